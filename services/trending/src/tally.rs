use std::collections::BTreeMap;
use std::time::Duration;

use duet_channel::store::StoreError;
use duet_channel::store::sqlite::checked;
use duet_channel::store::sqlite::versions::{self, Kept};
use duet_protocol::time::Timestamp;
use duet_web::cursor::Position;
use duet_web::ids::{PostId, Title};
use duet_web::reaction_event::Told;
use rusqlite::{Connection, OptionalExtension, Result, params};
use serde::{Deserialize, Serialize};

/// How long a reaction counts.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// The tables' migrations, oldest first. One that was released never changes.
pub const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// A post, and what stands of the last hour's reactions to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) post: PostId,
    pub(crate) title: Title,
    pub(crate) count: u64,
    pub(crate) kinds: BTreeMap<String, u64>,
}

/// Where a page ended. A post that passes it meanwhile is on neither page or on both: the list moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place(i64, PostId);

impl Position for Place {
    const LIST: &'static str = "trending";
}

impl From<&Counted> for Place {
    fn from(counted: &Counted) -> Self {
        Self(counted.count.cast_signed(), counted.post.clone())
    }
}

/// Puts what an event tells in place of what its pair had. Says whether it counts: it stands, and for less than an hour.
///
/// Its time is since when the reaction stands, which is when its event was accepted, but for one that is restored: that is not news.
pub(crate) fn put(connection: &Connection, told: &Told, now: Timestamp) -> Result<Kept> {
    let (post, user) = (told.post.as_str(), told.user.as_str());
    remove(connection, post, user)?;
    // A clock that is ahead would keep it here for longer.
    let at = told.at.min(now);
    let counts = told.kind.as_ref().filter(|_| now.since(at) < HOUR);
    let Some(kind) = counts else {
        return Ok(Kept::Nothing);
    };
    connection
        .prepare_cached("INSERT INTO reactions VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![post, user, kind.as_str(), at.micros()])?;
    connection
        .prepare_cached(
            "INSERT INTO posts VALUES (?1, ?2, 1)
             ON CONFLICT (post) DO UPDATE SET title = excluded.title, count = count + 1",
        )?
        .execute([post, told.title.as_str()])?;
    connection
        .prepare_cached(
            "INSERT INTO kinds VALUES (?1, ?2, 1) ON CONFLICT (post, kind) DO UPDATE SET count = count + 1",
        )?
        .execute([post, kind.as_str()])?;
    Ok(Kept::Something)
}

/// Drops what a pair has.
pub(crate) fn remove(connection: &Connection, post: &str, user: &str) -> Result<()> {
    let before: Option<String> = connection
        .prepare_cached("DELETE FROM reactions WHERE post = ?1 AND user = ?2 RETURNING kind")?
        .query_row([post, user], |row| row.get(0))
        .optional()?;
    match before {
        Some(kind) => uncount(connection, post, &kind),
        None => Ok(()),
    }
}

/// Lets at most `limit` reactions leave that stand for an hour, the oldest first, and says how many did. What is older than they are
/// may still come: the channel keeps their pairs' versions until it can't.
pub(crate) fn forget(
    connection: &Connection,
    now: Timestamp,
    limit: usize,
) -> std::result::Result<usize, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT post, user, kind FROM reactions WHERE at <= ?1 ORDER BY at LIMIT ?2",
    )?;
    let hour = i64::try_from(HOUR.as_micros()).unwrap_or(i64::MAX);
    let old = select
        .query_map(
            params![
                now.micros().saturating_sub(hour),
                i64::try_from(limit).unwrap_or(i64::MAX)
            ],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?
        .collect::<Result<Vec<(String, String, String)>>>()?;
    for (post, user, kind) in &old {
        connection
            .prepare_cached("DELETE FROM reactions WHERE post = ?1 AND user = ?2")?
            .execute([post, user])?;
        uncount(connection, post, kind)?;
        versions::gone(connection, &format!("{post}/{user}"))?;
    }
    Ok(old.len())
}

fn uncount(connection: &Connection, post: &str, kind: &str) -> Result<()> {
    for statement in [
        "UPDATE kinds SET count = count - 1 WHERE post = ?1 AND kind = ?2",
        "DELETE FROM kinds WHERE post = ?1 AND kind = ?2 AND count = 0",
    ] {
        connection
            .prepare_cached(statement)?
            .execute([post, kind])?;
    }
    for statement in [
        "UPDATE posts SET count = count - 1 WHERE post = ?1",
        "DELETE FROM posts WHERE post = ?1 AND count = 0",
    ] {
        connection.prepare_cached(statement)?.execute([post])?;
    }
    Ok(())
}

/// Up to `limit` posts from the one after `after` on: the most reactions first.
pub(crate) fn page(
    connection: &Connection,
    after: Option<&Place>,
    limit: usize,
) -> Result<Vec<Counted>> {
    let (count, post) = after.map_or((i64::MAX, ""), |place| (place.0, place.1.as_str()));
    let mut posts = connection
        .prepare_cached(
            "SELECT post, title, count FROM posts WHERE (-count, post) > (?1, ?2) ORDER BY -count, post LIMIT ?3",
        )?
        .query_map(
            params![-count, post, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| {
                Ok(Counted {
                    post: checked(row, 0)?,
                    title: checked(row, 1)?,
                    count: row.get::<_, i64>(2)?.cast_unsigned(),
                    kinds: BTreeMap::new(),
                })
            },
        )?
        .collect::<Result<Vec<_>>>()?;
    for counted in &mut posts {
        let mut select =
            connection.prepare_cached("SELECT kind, count FROM kinds WHERE post = ?1")?;
        let kinds = select.query_map([counted.post.as_str()], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
        })?;
        counted.kinds = kinds.collect::<Result<_>>()?;
    }
    Ok(posts)
}

#[cfg(test)]
mod tests {
    use duet_web::reaction_event::ReactionKind;

    use super::*;

    /// The tables, and a clock that is turned by hand.
    struct Table {
        connection: Connection,
        now: Timestamp,
    }

    impl Table {
        fn new() -> Self {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(MIGRATIONS[0]).unwrap();
            // The channel's own, of which only this statement is asked here.
            connection
                .execute_batch("CREATE TABLE versions (key TEXT, gone INTEGER)")
                .unwrap();
            Table {
                connection,
                now: Timestamp::from_micros(1_796_000_000_000_000),
            }
        }

        fn minutes_later(&mut self, minutes: u64) {
            self.now = self.now + Duration::from_secs(60 * minutes);
        }

        /// What came of an event: `kind` stands since some minutes ago.
        fn told(&self, post: &str, user: &str, kind: Option<&str>, minutes_ago: i64) -> Kept {
            let at = Timestamp::from_micros(self.now.micros() - minutes_ago * 60_000_000);
            let told = Told {
                post: post.parse().unwrap(),
                user: user.parse().unwrap(),
                owner: "bob".parse().unwrap(),
                title: format!("About {post}").parse().unwrap(),
                kind: kind.map(|kind| kind.parse::<ReactionKind>().unwrap()),
                at,
                restores: false,
                announces: false,
            };
            put(&self.connection, &told, self.now).unwrap()
        }

        fn reacts(&self, post: &str, user: &str, kind: &str) {
            assert_eq!(self.told(post, user, Some(kind), 0), Kept::Something);
        }

        fn forgets(&self) -> usize {
            forget(&self.connection, self.now, 100).unwrap()
        }

        /// Each post as `post count (kinds)`.
        fn sees(&self) -> Vec<String> {
            let tell = |counted: Counted| {
                let kinds = counted.kinds.iter();
                let kinds: Vec<_> = kinds
                    .map(|(kind, count)| format!("{count} {kind}"))
                    .collect();
                format!("{} {} ({})", counted.post, counted.count, kinds.join(", "))
            };
            let posts = page(&self.connection, None, 100).unwrap();
            posts.into_iter().map(tell).collect()
        }
    }

    #[test]
    fn posts_are_listed_by_their_reactions_and_as_many_by_their_ids() {
        let table = Table::new();
        for (post, user, kind) in [
            ("p2", "ana", "like"),
            ("p1", "ana", "like"),
            ("p3", "ana", "like"),
            ("p3", "cy", "wow"),
        ] {
            table.reacts(post, user, kind);
        }
        let all = ["p3 2 (1 like, 1 wow)", "p1 1 (1 like)", "p2 1 (1 like)"];
        assert_eq!(table.sees(), all);
        let first = page(&table.connection, None, 2).unwrap();
        let place = Place::from(first.last().unwrap());
        let second = page(&table.connection, Some(&place), 2).unwrap();
        assert_eq!(second.len(), 1);
        assert_eq!(second[0].post.as_str(), "p2");
    }

    #[test]
    fn a_pair_counts_once_with_its_newest_kind_and_not_at_all_once_it_is_undone() {
        let table = Table::new();
        table.reacts("p1", "ana", "like");
        table.reacts("p1", "ana", "love");
        table.reacts("p1", "cy", "like");
        assert_eq!(table.sees(), ["p1 2 (1 like, 1 love)"]);
        assert_eq!(table.told("p1", "ana", None, 0), Kept::Nothing);
        assert_eq!(table.told("p1", "eva", None, 0), Kept::Nothing);
        assert_eq!(table.sees(), ["p1 1 (1 like)"]);
        assert_eq!(table.told("p1", "cy", None, 0), Kept::Nothing);
        assert_eq!(table.sees(), [""; 0]);
    }

    #[test]
    fn a_reaction_counts_for_an_hour_since_it_was_made_whenever_it_comes() {
        let mut table = Table::new();
        table.reacts("p1", "ana", "like");
        table.minutes_later(30);
        table.reacts("p1", "cy", "like");
        assert_eq!(table.told("p1", "late", Some("wow"), 59), Kept::Something);
        assert_eq!(table.told("p1", "later", Some("wow"), 60), Kept::Nothing);
        assert_eq!(table.sees(), ["p1 3 (2 like, 1 wow)"]);
        table.minutes_later(1);
        assert_eq!(
            (table.forgets(), table.sees()),
            (1, vec!["p1 2 (2 like)".to_owned()])
        );
        table.minutes_later(29);
        assert_eq!(
            (table.forgets(), table.sees()),
            (1, vec!["p1 1 (1 like)".to_owned()])
        );
        table.minutes_later(30);
        assert_eq!((table.forgets(), table.sees().len()), (1, 0));
        for of in ["reactions", "posts", "kinds"] {
            let count = format!("SELECT count(*) FROM {of}");
            let left: i64 = table
                .connection
                .query_row(&count, [], |row| row.get(0))
                .unwrap();
            assert_eq!(left, 0, "{of}");
        }
    }

    #[test]
    fn what_is_restored_counts_from_when_it_was_made_first() {
        let table = Table::new();
        table.reacts("p1", "ana", "angry");
        assert_eq!(table.told("p1", "ana", Some("like"), 90), Kept::Nothing);
        assert_eq!(table.sees(), [""; 0]);
    }

    #[test]
    fn a_clock_that_is_ahead_keeps_nothing_for_longer() {
        let mut table = Table::new();
        assert_eq!(table.told("p1", "ana", Some("like"), -600), Kept::Something);
        table.minutes_later(60);
        assert_eq!(table.forgets(), 1);
    }

    #[test]
    fn the_oldest_leave_first_and_not_more_at_once_than_asked() {
        let mut table = Table::new();
        table.reacts("p1", "ana", "like");
        table.minutes_later(1);
        table.reacts("p2", "ana", "like");
        table.minutes_later(61);
        assert_eq!(forget(&table.connection, table.now, 1).unwrap(), 1);
        assert_eq!(table.sees(), ["p2 1 (1 like)"]);
    }
}
