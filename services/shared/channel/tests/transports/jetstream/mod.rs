//! NATS JetStream.

mod broker;
mod conformance;
