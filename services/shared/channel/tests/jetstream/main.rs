//! NATS JetStream as a transport, over a real nats-server.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

mod broker;
mod conformance;
