//! Notification's own tables, as functions over a connection: in the writer's transaction, or on a reader.

/// Applies events.
pub mod apply;
/// Groups: kept while events are applied.
mod groups;
/// What an owner reads.
pub mod inbox;
/// One row for each pair.
mod pairs;

#[cfg(test)]
mod tests;

/// The tables' migrations, oldest first. One that was released never changes.
pub const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

use duet_channel::store::sqlite::checked;
