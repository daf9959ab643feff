//! What a service that a Channel is `from` tells and is asked, beside its own routes.

/// What is said of a receiver that does not fit this store.
mod regressed;
/// `/v1/resync`.
mod resync;

pub use regressed::{HEAL, regressed};
pub use resync::{configure, under_way};

/// What the service's rows are read and written over.
type Connection =
    <duet_channel::store::sqlite::SqliteStore as duet_channel::store::Store>::Connection;
