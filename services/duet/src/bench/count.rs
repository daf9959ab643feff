//! What both stores hold afterwards, read from their tables.

use crate::failure::{Doing, Failure, Kind};
use rusqlite::{Connection, OpenFlags};
use std::{fmt, path::Path};

/// Reactions in both stores, and those that only one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    /// Rows in Reaction's store.
    reaction: u64,
    /// Rows in Notification's store.
    notification: u64,
    /// Pairs of post and user that both hold.
    both: u64,
}

impl Stored {
    /// Counts them. Nothing may write any more.
    pub(super) fn under(dir: &Path) -> Result<Self, Failure> {
        let [reaction, notification] = [
            "reaction/reaction.sqlite",
            "notification/notification.sqlite",
        ]
        .map(|store| dir.join(store));
        let count = || {
            let store = Connection::open_with_flags(&reaction, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            store.execute(
                "ATTACH ?1 AS other",
                [format!("file:{}?mode=ro", notification.display())],
            )?;
            let one = |sql| {
                store
                    .query_row(sql, [], |row| row.get(0))
                    .map(i64::cast_unsigned)
            };
            Ok(Self {
                reaction: one("SELECT count(*) FROM reactions WHERE kind IS NOT NULL")?,
                notification: one(
                    "SELECT count(*) FROM other.notifications WHERE kind IS NOT NULL",
                )?,
                both: one(
                    "SELECT count(*) FROM reactions JOIN other.notifications USING (post, user)
                     WHERE reactions.kind IS NOT NULL AND notifications.kind IS NOT NULL",
                )?,
            })
        };
        let counted: rusqlite::Result<Self> = count();
        counted.doing(|| format!("count what is stored in {}", dir.display()))
    }

    /// Fails unless both hold exactly what was accepted.
    pub(super) fn must_be(self, accepted: u64) -> Result<(), Failure> {
        let Self {
            reaction,
            notification,
            both,
        } = self;
        if [reaction, notification, both] == [accepted; 3] {
            return Ok(());
        }
        Err(Failure::new(
            Kind::Differs,
            format!("{accepted} reactions were accepted, and {self}"),
        ))
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reaction,
            notification,
            both,
        } = self;
        write!(
            f,
            "Reaction stores {reaction}, Notification {notification}; {both} of them are the same pairs"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_one_store_holds_is_a_failure_that_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let store = |service: &str, table: &str, rows: &str| {
            std::fs::create_dir(dir.path().join(service)).unwrap();
            let file = dir.path().join(format!("{service}/{service}.sqlite"));
            let sql = format!(
                "CREATE TABLE {table} (post, user, kind); INSERT INTO {table} VALUES {rows}"
            );
            Connection::open(file).unwrap().execute_batch(&sql).unwrap();
        };
        store(
            "reaction",
            "reactions",
            "(1, 1, 'like'), (1, 2, 'like'), (1, 3, NULL)",
        );
        store(
            "notification",
            "notifications",
            "(1, 1, 'like'), (1, 3, 'like'), (1, 4, NULL)",
        );
        let stored = Stored::under(dir.path()).unwrap();
        assert_eq!(
            stored,
            Stored {
                reaction: 2,
                notification: 2,
                both: 1
            }
        );
        let failure = stored.must_be(2).unwrap_err();
        assert_eq!(failure.kind(), Kind::Differs);
        let told = "2 reactions were accepted, and Reaction stores 2, Notification 2; 1 of them are the same pairs";
        assert_eq!(failure.to_string(), told);
    }
}
