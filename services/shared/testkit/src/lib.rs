//! For tests only: the real things a test of Duet needs, started in milliseconds and gone with the test.
//!
//! What can't be had (no `nats-server`, a port that doesn't open) panics with what to do about it: a test has nothing
//! better to do with such an error. Nothing here is a double; what a user runs is what a test talks to.

#[cfg(not(unix))]
compile_error!("the testkit works with signals and process groups: Unix only");

/// What each service's OpenAPI document must be.
pub mod document;
mod eventually;
mod in_process;
mod kept;
mod nats;
mod otlp;
mod pair;
mod process;
mod toxiproxy;
mod wire;

/// Waiting for a condition instead of for a time.
pub use eventually::{eventually, until};
/// A service in the test's own process, and what it answers.
pub use in_process::{Answer, answer, configured, listening, raw};
/// A real nats-server with JetStream on free ports, with the faults a broker has.
pub use nats::{NatsServer, NatsStorage};
/// A collector that keeps what it is sent, for tests to read.
pub use otlp::{Event, Export, Kind, Link, LogLine, OtlpReceiver, Point, Span, Status, drawn};
/// Reaction and Notification as separate processes, with a broker between them.
pub use pair::{Load, Mode, Pair, PairBuilder, Reply, Service, Told, group};
/// A child that dies with the test.
pub use process::{Exit, Process, running};
/// Links that can be cut, slowed and left half-open.
pub use toxiproxy::{Toxiproxy, Wrong};
/// The wire between a client and nats-server, with the faults a wire has.
pub use wire::{Acks, Wire};
