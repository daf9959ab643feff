//! A user's notifications as they change: server-sent events (WHATWG HTML, "Server-sent events").
//!
//! A stream keeps no queue: it remembers the last change that it told, and reads what changed after it from the store, at most a
//! page at a time and only when its client has taken the page before. What changes faster than it is taken is told once, as it then is.

/// What a client was told last: the events' ids.
mod event_id;
/// From the store to the client.
mod follow;
/// Who listens, and waking them.
mod listeners;
/// How far a stream is.
mod progress;

pub use event_id::EventId;
pub use follow::{Begin, follow};
pub use listeners::{Listeners, Listening, TooMany};
pub use progress::Progress;

use std::sync::Arc;

use duet_protocol::sequence::Incarnation;
use tokio_util::sync::CancellationToken;

/// What all streams of the process share. Cheap to clone.
#[derive(Clone)]
pub struct Streams {
    /// Who listens.
    pub listeners: Arc<Listeners>,
    /// The store's, under which ids are told.
    pub incarnation: Incarnation,
    /// When they end.
    pub closing: CancellationToken,
}
