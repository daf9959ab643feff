//! Events as CloudEvents 1.0, and what receivers answer, as JSON.
//!
//! One event can travel in binary mode (attributes as headers, its data as the body); several travel as a JSON batch. The data's
//! bytes survive either way exactly: hashes are taken over them. Everything that comes in is checked, within limits, and nothing
//! that comes in can panic.
//!
//! | attribute | is |
//! |---|---|
//! | `source` | the [`Source`](duet_protocol::sequence::Source) |
//! | `id`, `duetsequence` | the place in it: decimal digits (a CloudEvents integer has 32 bits) |
//! | `type` | the event's, or [`OPENED`] or [`SWEEP`] |
//! | `subject` | the key; none for [`OPENED`] and [`SWEEP`] |
//! | `time` | when it was accepted |
//! | `duetgeneration` | the Channel's generation it was accepted under: decimal digits |
//! | `traceparent`, `tracestate` | the span that sent it (the distributed tracing extension) |

mod answer;
mod decode;
mod encode;
mod name;

pub use answer::{
    NotAnAnswer, hello_from_json, hello_question_from_json, hello_question_to_json, hello_to_json,
    outcome_word, outcomes_from_json, outcomes_to_json, receipts_from_json, receipts_to_json,
};
pub use decode::{DecodeError, batch, binary};
pub use encode::{Carried, batch_to_json, binary_body, binary_headers};

/// The type of the first event of every epoch. Its data is `{"previous": {"epoch": "…", "last": n} | null}`.
pub const OPENED: &str = "dev.duet.opened";

/// The type of the event that ends a resync. Its data is `{"below": "…"}`.
pub const SWEEP: &str = "dev.duet.sweep";

/// The media type of several events.
pub const BATCH: &str = "application/cloudevents-batch+json";

/// The media type of an event's data.
pub const DATA: &str = "application/json";

/// The most bytes of a message or request body.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The most events of a message or request.
pub const MAX_EVENTS: usize = 512;

/// The most bytes of an event's `type`.
pub const MAX_TYPE: usize = 128;

#[cfg(test)]
mod tests;
