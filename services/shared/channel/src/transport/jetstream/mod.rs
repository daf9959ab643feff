//! NATS JetStream: messages wait in a stream until every receiver has them; what receivers say goes over plain NATS subjects.
//!
//! A message carries one event in CloudEvents' binary mode, or several as a JSON batch (a convention of ours: CloudEvents' binding for
//! NATS has none). [`JetStreamPublish`] and [`JetStreamConsume`] share a connection, [`Nats`], with whoever else in the process has
//! to do with the broker; [`JetStreamProvision`] makes stream and consumers. It takes nats-server 2.14 or later.
//!
//! What a broker stores can be lost, and what is said over plain NATS is said once to whoever listens. The protocol above takes both.

mod api;
mod connection;
mod consume;
mod denied;
mod message;
mod position;
mod provision;
mod publish;
mod pull;
mod subjects;
mod taking;
mod watchdog;

pub use connection::{Login, Nats, NatsError};
pub use consume::JetStreamConsume;
pub use provision::{Action, JetStreamProvision, OWNER, Observed, Plan, ensure, plan};
pub use publish::JetStreamPublish;

use super::{BacklogKnown, Features, Order, ReceiptsBy};

/// The conventions' `messaging.system`.
const SYSTEM: &str = "nats";

/// What it can do.
const FEATURES: Features = Features {
    order: Order::ByKey,
    backlog: BacklogKnown::Exact,
    repeats: true,
    receipts: ReceiptsBy::Itself,
};
