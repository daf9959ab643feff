//! HTTP/1.1: a receiver is asked directly, and answers with the outcomes.
//!
//! `POST {base}/v1/events` takes a CloudEvents JSON batch, `POST {base}/v1/hello` `{"store": "…"}`. [`HttpCall`] asks; [`intake`] is what
//! a service's handlers answer with, whatever their web framework.

mod call;
pub mod intake;

pub use call::{HttpCall, HttpCallError};

/// Where a receiver takes events.
pub const EVENTS: &str = "/v1/events";
/// Where a receiver answers a hello.
pub const HELLO: &str = "/v1/hello";
/// How much time is left, in whole milliseconds: relative, since clocks differ.
pub const DEADLINE: &str = "duet-deadline";
/// `inline` where callers wait, else `background`.
pub const DELIVERY: &str = "duet-delivery";
