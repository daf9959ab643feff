//! Notification's own tables, as functions over a connection: in the writer's transaction, or on a reader.

/// Applies events.
pub mod apply;
/// What an audit reads.
pub mod audit;
/// In which order groups changed.
pub mod changes;
/// Groups that change other than by news.
mod groups;
/// What an owner reads.
pub mod inbox;
/// What the process knows without asking.
mod memory;
/// What users have muted.
pub mod mutes;
/// One row for each pair.
pub(crate) mod pairs;
/// Marks groups as read.
pub mod read;
/// What news comes to, summed up.
mod sums;

#[cfg(test)]
mod tests;

/// The tables' migrations, oldest first. One that was released never changes.
pub const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
];

pub use memory::Memory;
pub use pairs::applied;

use duet_channel::store::sqlite::checked;
