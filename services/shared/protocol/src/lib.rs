//! The channel's decisions as pure state machines: no I/O, no clock, no randomness.

pub mod settings;
