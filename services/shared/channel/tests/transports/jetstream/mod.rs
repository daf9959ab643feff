//! NATS JetStream.

mod broker;
mod conformance;
mod login;
mod stopping;
