//! The transports over real servers.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

mod http;
mod jetstream;
mod keeping; // the receiving service of these tests

use duet_channel::transport::spans::Observer;
use duet_telemetry::{Config, Telemetry};

/// Tells nobody.
fn observer() -> Observer {
    let telemetry = Telemetry::start(Config::new("test", "0.0.0")).unwrap();
    Observer {
        tracer: telemetry.tracer(),
        instruments: telemetry.instruments(),
    }
}
