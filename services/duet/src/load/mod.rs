//! Traffic at a fixed rate, and whether all of it arrived.
//!
//! The loop is open: a request is due at its time whether or not the one before was answered, and what its caller waited counts from
//! then on, so that a service that stalls can't hide it by being asked less.

mod ask; // requests to both services
mod audience; // whoever is told of each request
mod chapter; // what callers were told of one owner's posts, and what the owner sees
mod modes; // which mode the answers told, since when
pub(crate) mod pace; // when requests are due
mod progress; // what was sent and answered so far
mod report; // what came out
mod run; // the traffic, from the first post to the last comparison
mod story; // what callers do next
mod unchecked; // whose inbox is to be compared, and when
mod words; // names and titles

/// Both services, as their callers reach them; what came of a request.
pub(crate) use ask::{End, Heard, Services};
/// Whoever is told of each request.
pub(crate) use audience::{Audience, Call};
/// How much traffic.
pub(crate) use pace::Rate;
/// What came out.
pub(crate) use report::Report;
/// Makes the traffic.
pub(crate) use run::{Plan, run};
