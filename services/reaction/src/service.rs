//! Reaction as the channel sees it: its rows, and what it refuses.

use std::sync::Arc;

use duet_channel::sender::{Sender, SendingService};
use duet_channel::store::sqlite::SqliteStore;
use duet_channel::store::{Store, StoreError};
use duet_protocol::event::Key;
use rusqlite::Connection;

use crate::domain::{Pair, Stand};
use crate::store::{Kept, reactions};

/// What request handlers send with.
pub type Sending = Sender<SqliteStore, Reactions>;

/// Reaction's part of the accepting transaction.
#[derive(Clone, Debug)]
pub struct Reactions {
    /// What the writer keeps in memory of posts.
    pub kept: Arc<Kept>,
}

impl Reactions {
    /// Over a store, which from now on writes what is kept before each commit. Once for each opening of it, before anything is accepted.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn over(store: &SqliteStore) -> Result<Self, StoreError> {
        let kept = Arc::<Kept>::default();
        let behind = kept.clone();
        store
            .write(move |tx| {
                tx.write_behind(behind.clone());
                Ok(())
            })
            .await?;
        Ok(Self { kept })
    }
}

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
        Ok(if self.kept.exists(connection, post)? {
            Ok(())
        } else {
            Err(NoSuchPost)
        })
    }

    fn rows<'t>(&self, connection: &'t Connection) -> reactions::Table<'t> {
        reactions::Table::new(connection, self.kept.clone())
    }

    fn count(&self, connection: &Connection) -> Result<u64, StoreError> {
        Ok(reactions::count(connection)?)
    }
}
