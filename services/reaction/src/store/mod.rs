//! Reaction's own tables, as functions over a connection: in the writer's transaction, or on a reader.

/// What an audit reads.
pub mod audit;
/// What the writer keeps in memory.
mod kept;
/// Posts and their counts.
pub mod posts;
/// Reactions: read by a pair and by pages, written by events.
pub mod reactions;

#[cfg(test)]
mod tests;

/// The tables' migrations, oldest first. One that was released never changes.
pub const MIGRATIONS: &[&str] = &[include_str!("schema.sql"), include_str!("schema_2.sql")];

pub use kept::Kept;

use duet_channel::store::sqlite::checked;
