//! NATS JetStream.

mod broker;
pub(crate) mod conformance;
