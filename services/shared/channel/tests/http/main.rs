//! HTTP as a transport, over real servers.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

mod answers;
mod conformance;
mod receiver;
