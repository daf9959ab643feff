//! The durable tables, in memory: what a crash leaves and a backup copies. A transaction that is rolled back is a copy put back.

mod appended;
mod notifications;
mod outbox;
mod reactions;
mod received;

use bytes::Bytes;
use duet_protocol::event::{Body, Data, Event, EventId};
use duet_protocol::sequence::{Incarnation, Version};

pub(crate) use appended::Appended;
pub(crate) use notifications::NotificationRows;
pub(crate) use outbox::Outbox;
pub(crate) use reactions::ReactionRows;
pub(crate) use received::Received;

/// What a row holds: a kind of reaction.
pub(crate) type Value = u8;

/// The sender's store.
#[derive(Clone, Debug)]
pub(crate) struct SenderStore {
    pub(crate) outbox: Outbox,
    pub(crate) rows: ReactionRows,
}

/// A receiver's store.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReceiverStore {
    pub(crate) incarnation: Incarnation,
    pub(crate) received: Received,
    pub(crate) rows: NotificationRows,
}

/// What an event says of its key's value.
pub(super) fn json(value: Option<Value>) -> Bytes {
    const DIGITS: &[u8] = b"0123456789";
    match value {
        Some(value) => Bytes::from_static(&DIGITS[usize::from(value)..usize::from(value) + 1]),
        None => Bytes::from_static(b"null"),
    }
}

/// The event, saying something else.
pub(crate) fn corrupted(event: &Event) -> Event {
    let mut other = event.clone();
    if let Body::Data(data) = &mut other.body {
        data.json = json(Some(9));
    }
    other
}

/// The version that an event writes.
pub(crate) fn version(id: EventId) -> Version {
    id.source.version(id.sequence)
}

/// What [`json`] wrote.
pub(crate) fn value(data: &Data) -> Option<Value> {
    match data.json.first() {
        Some(digit @ b'0'..=b'9') => Some(digit - b'0'),
        _ => None,
    }
}
