//! The channel's decisions as pure state machines: no I/O, no clock, no threads, no randomness of their own.
//!
//! What is durable is reached through tables ([`outbox::OutboxTables`], [`accept::Rows`], [`receive::InboxTables`]), and functions
//! over them decide inside the store's transaction. What is in memory is a machine ([`sender::Sender`], [`receipts::Receipts`]) with
//! inputs that carry the time, outputs that are polled, and a moment to be woken at. The shell around them carries, and decides nothing;
//! the simulation in `tests/simulation` runs the same functions and machines.

pub mod accept;
pub mod calls;
pub mod decision;
pub mod delivery;
mod dice;
pub mod event;
pub mod faults;
pub mod inbox;
pub mod ledger;
pub mod membership;
pub mod outbox;
pub mod receipt;
pub mod receipts;
pub mod receive;
pub mod record;
pub mod resync;
pub mod route;
pub mod rules;
pub mod runs;
pub mod sender;
pub mod sequence;
pub mod settings;
pub mod sweep;
pub mod time;
pub mod unrecorded;
