//! HTTP.

mod answers;
mod conformance;
mod receiver;
