//! The shell around the protocol: stores, transports, settings, and the sender and receiver that drive the machines.
//!
//! The shell does the I/O and decides nothing; what to send, retry, apply or retransmit is decided in `duet-protocol`.
//!
//! Begin with [`open`], which puts one end of a channel together from defaults; `examples/pair.rs` is a pair on one page.

pub mod brokers;
pub mod clock;
pub mod dead_letters;
pub mod failing;
pub mod life;
pub mod mended;
pub mod open;
mod pause;
pub mod receiver;
pub mod sender;
pub mod settings;
pub mod store;
mod strikes;
mod told;
pub mod transport;
mod waiters;
