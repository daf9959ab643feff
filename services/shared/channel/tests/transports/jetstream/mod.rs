//! NATS JetStream.

mod broker;
mod conformance;
mod limits;
mod login;
mod stopping;
mod watchdog;
