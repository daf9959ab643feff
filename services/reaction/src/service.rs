//! Reaction as the channel sees it: its rows, and what it refuses.

use duet_channel::sender::{Sender, SendingService};
use duet_channel::store::StoreError;
use duet_channel::store::sqlite::SqliteStore;
use duet_protocol::event::Key;
use rusqlite::Connection;

use crate::domain::{Pair, Stand};
use crate::store::{posts, reactions};

/// What request handlers send with.
pub type Sending = Sender<SqliteStore, Reactions>;

/// Reaction's part of the accepting transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reactions;

/// A reaction to a post that isn't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchPost;

impl SendingService<Connection> for Reactions {
    type Value = Stand;
    type Refusal = NoSuchPost;
    type Rows<'t> = reactions::Table<'t>;

    fn admit(
        &self,
        connection: &Connection,
        key: &Key,
        _: Option<&Stand>,
    ) -> Result<Result<(), NoSuchPost>, StoreError> {
        let post = Pair::split(key).map_or("", |(post, _)| post);
        Ok(if posts::exists(connection, post)? {
            Ok(())
        } else {
            Err(NoSuchPost)
        })
    }

    fn rows<'t>(&self, connection: &'t Connection) -> reactions::Table<'t> {
        reactions::Table::new(connection)
    }

    fn count(&self, connection: &Connection) -> Result<u64, StoreError> {
        Ok(reactions::count(connection)?)
    }
}
