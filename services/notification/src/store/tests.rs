//! What an owner sees after which events, over a store in memory.

use std::sync::Arc;
use std::time::Duration;

use duet_protocol::event::{Body, Data, Event, Key, TraceContext};
use duet_protocol::receive::Apply;
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence, StoreId};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;
use rusqlite::Connection;
use serde_json::json;

use super::apply::Table;
use super::inbox::{self, Place};
use super::read::Read;
use super::{Memory, changes, mutes, read};
use crate::domain::{Group, Mute, Newness};

/// What streams are told, and what is read.
mod changes_told;
/// What is not notified.
mod muted;
/// What a resync tells anew, and what it sweeps.
mod resynced;
/// What a pair's row tells afterwards.
mod row_tells;

const WORDS: [&str; 4] = ["notified", "muted", "own", "withdrawn"];
const SET: &str = "dev.duet.reaction.set";
const REMOVED: &str = "dev.duet.reaction.removed";

const LANE: Lane = Lane {
    store: StoreId(7),
    partitions: 1,
    partition: Partition(0),
};

/// How long after it was made an event is applied.
const LATER: Duration = Duration::from_millis(4);

/// Bob's post `p1` (and `p2`), and a clock: event `n` is made at second `n` and comes at once.
struct Bob {
    connection: Connection,
    memory: Arc<Memory>,
    second: i64,
}

struct Told {
    kind: Option<&'static str>,
    at: i64,
    restores: bool,
}

impl Bob {
    fn new() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        for migration in super::MIGRATIONS {
            connection.execute_batch(migration).unwrap();
        }
        Self::over(connection, 0)
    }

    fn over(connection: Connection, second: i64) -> Self {
        let incarnation = Epoch(
            connection
                .query_row("SELECT 1 + max(incarnation) FROM openings", [], |row| {
                    row.get::<_, i64>(0)
                })
                .unwrap()
                .cast_unsigned(),
        );
        let memory = Arc::new(Memory::open(&connection, incarnation).unwrap());
        Self {
            connection,
            memory,
            second,
        }
    }

    /// The process ends and another begins.
    fn restart(self) -> Self {
        Self::over(self.connection, self.second)
    }

    fn mutes(&self, mute: Mute) {
        let bob = "bob".parse().unwrap();
        self.memory.mutes_now("bob");
        mutes::put(&self.connection, &bob, &mute).unwrap();
        assert_eq!(mutes::get(&self.connection, &bob).unwrap(), mute);
    }

    fn table(&self) -> Table<'_> {
        Table::new(&self.connection, self.memory.clone())
    }

    /// What a stream tells after `after`: each change as the group's text, or the post that is gone.
    fn told_after(&self, after: Newness) -> (Newness, Vec<String>) {
        let bob = "bob".parse().unwrap();
        let changes = changes::after(&self.connection, &bob, after, 100).unwrap();
        let last = changes.last().map_or(after, |change| change.newness);
        assert!(changes.is_sorted_by(|one, two| one.newness < two.newness));
        let tell = |change: &changes::Change| match &change.group {
            Some(group) if group.unread => format!("{}*", group.text()),
            Some(group) => group.text(),
            None => format!("{} is gone", change.post),
        };
        (last, changes.iter().map(tell).collect())
    }

    fn last(&self) -> Newness {
        changes::last(&self.connection, &"bob".parse().unwrap()).unwrap()
    }

    fn tell(
        &mut self,
        post: &str,
        user: &str,
        told: impl FnOnce(i64) -> Told,
    ) -> (i64, Option<&'static str>) {
        self.second += 1;
        let now = Timestamp::from_micros(self.second * 1_000_000);
        let Told { kind, at, restores } = told(self.second);
        let data = Data {
            kind: if kind.is_some() { SET } else { REMOVED }.into(),
            key: Key::new(format!("{post}/{user}")).unwrap(),
            json: json!({
                "post": post, "user": user, "owner": "bob", "title": format!("About {post}"), "kind": kind,
                "at": jiff::Timestamp::from_second(at).unwrap().to_string(), "restores": restores, "later": "more",
            })
            .to_string()
            .into(),
        };
        let mut table = Table::new(&self.connection, self.memory.clone());
        let event = event(self.second, now, data.clone());
        assert!(
            table
                .held(&data.key)
                .unwrap()
                .is_none_or(|held| held < event.version())
        );
        table.applies_at(now + LATER);
        let decided = table.apply(&event, &data).unwrap().unwrap();
        self.memory.sums.write(&self.connection).unwrap();
        assert_eq!(table.held(&data.key).unwrap(), Some(event.version()));
        assert_eq!(table.decided(&data.key).unwrap(), decided);
        (
            self.second,
            decided.map(|word| WORDS.into_iter().find(|it| *it == word.as_str()).unwrap()),
        )
    }

    fn reacts(&mut self, post: &str, user: &str, kind: &'static str) -> i64 {
        self.tell(post, user, |now| Told {
            kind: Some(kind),
            at: now,
            restores: false,
        })
        .0
    }

    fn undoes(&mut self, post: &str, user: &str) {
        self.tell(post, user, |now| Told {
            kind: None,
            at: now,
            restores: false,
        });
    }

    /// What is decided of a reaction (`None`: of its undoing).
    fn decides(
        &mut self,
        post: &str,
        user: &str,
        kind: Option<&'static str>,
    ) -> Option<&'static str> {
        self.tell(post, user, |at| Told {
            kind,
            at,
            restores: false,
        })
        .1
    }

    fn takes_back(&mut self, post: &str, user: &str, kind: &'static str, since: i64) {
        self.tell(post, user, |_| Told {
            kind: Some(kind),
            at: since,
            restores: true,
        });
    }

    fn groups(&self) -> Vec<Group> {
        inbox::page(&self.connection, &"bob".parse().unwrap(), None, 100).unwrap()
    }

    /// Each group as `text (kinds) at`, unread ones with a star.
    fn sees(&self) -> Vec<String> {
        let groups = self.groups();
        let unread = groups.iter().filter(|group| group.unread).count() as u64;
        assert_eq!(
            inbox::unread(&self.connection, &"bob".parse().unwrap()).unwrap(),
            unread
        );
        let tell = |group: &Group| {
            assert_eq!(group.kinds.values().sum::<u64>(), group.count, "{group:?}");
            let kinds: Vec<_> = group
                .kinds
                .iter()
                .map(|(kind, count)| format!("{count} {kind}"))
                .collect();
            let star = if group.unread { "*" } else { "" };
            format!(
                "{}{star} ({}) at {}",
                group.text(),
                kinds.join(", "),
                group.at.micros() / 1_000_000
            )
        };
        groups.iter().map(tell).collect()
    }

    fn reads(&self, what: Read) {
        let bob = "bob".parse().unwrap();
        while read::mark(&self.connection, &self.memory, &bob, &what).unwrap() {}
    }

    fn reads_all(&self) {
        self.reads(Read::UpTo(self.groups()[0].newness));
    }
}

fn event(sequence: i64, time: Timestamp, data: Data) -> Event {
    Event {
        source: LANE.source(Epoch(1)),
        sequence: Sequence(sequence.cast_unsigned()),
        time,
        body: Body::Data(data),
        trace: TraceContext::default(),
        generation: Generation::FIRST,
    }
}

#[test]
fn reactions_are_grouped_by_post_the_newest_first() {
    let mut bob = Bob::new();
    bob.reacts("p1", "ana", "like");
    bob.reacts("p2", "ana", "wow");
    bob.reacts("p1", "cy", "love");
    assert_eq!(
        bob.sees(),
        [
            "cy and ana reacted to About p1* (1 like, 1 love) at 3",
            "ana reacted to About p2* (1 wow) at 2"
        ]
    );
    bob.reacts("p1", "dee", "like");
    bob.reacts("p1", "eve", "like");
    assert_eq!(
        bob.sees()[0],
        "eve and 3 others reacted to About p1* (3 like, 1 love) at 5"
    );
    let actors: Vec<_> = bob.groups()[0]
        .actors
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(actors, ["eve", "dee", "cy"]);
}

#[test]
fn a_page_begins_after_the_one_before() {
    let mut bob = Bob::new();
    for post in ["p1", "p2", "p3"] {
        bob.reacts(post, "ana", "like");
    }
    let owner = "bob".parse().unwrap();
    let first = inbox::page(&bob.connection, &owner, None, 2).unwrap();
    let place = Place::of(&owner, first.last().unwrap());
    bob.reacts("p2", "cy", "like");
    let second = inbox::page(&bob.connection, &owner, Some(&place), 2).unwrap();
    assert_eq!(
        second
            .iter()
            .map(|group| group.post.as_str())
            .collect::<Vec<_>>(),
        ["p1"]
    );
}

#[test]
fn nobody_is_notified_of_their_own_reaction() {
    let mut bob = Bob::new();
    bob.reacts("p1", "bob", "like");
    assert_eq!(bob.sees(), [""; 0]);
    bob.reacts("p1", "ana", "like");
    bob.undoes("p1", "bob");
    assert_eq!(bob.sees(), ["ana reacted to About p1* (1 like) at 2"]);
}

#[test]
fn an_undone_reaction_leaves_its_group_and_an_empty_group_goes() {
    let mut bob = Bob::new();
    bob.reacts("p1", "ana", "like");
    bob.reacts("p1", "cy", "love");
    bob.undoes("p1", "cy");
    assert_eq!(bob.sees(), ["ana reacted to About p1* (1 like) at 1"]);
    bob.undoes("p1", "ana");
    assert_eq!(bob.sees(), [""; 0]);
    let left: i64 = bob
        .connection
        .query_row("SELECT count(*) FROM kinds", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
    bob.reacts("p1", "ana", "sad");
    assert_eq!(bob.sees(), ["ana reacted to About p1* (1 sad) at 5"]);
}

#[test]
fn a_reaction_to_a_read_group_makes_it_unread_until_it_is_undone() {
    let mut bob = Bob::new();
    bob.reacts("p1", "ana", "like");
    bob.reads_all();
    assert_eq!(bob.sees(), ["ana reacted to About p1 (1 like) at 1"]);
    bob.reacts("p1", "cy", "like");
    assert_eq!(
        bob.sees(),
        ["cy and ana reacted to About p1* (2 like) at 2"]
    );
    bob.undoes("p1", "cy");
    assert_eq!(bob.sees(), ["ana reacted to About p1 (1 like) at 1"]);
}

#[test]
fn another_kind_replaces_the_first_and_is_news() {
    let mut bob = Bob::new();
    bob.reacts("p1", "ana", "like");
    bob.reads_all();
    bob.reacts("p1", "ana", "angry");
    assert_eq!(bob.sees(), ["ana reacted to About p1* (1 angry) at 2"]);
}

#[test]
fn what_is_taken_back_leaves_no_trace_whether_it_came_here_or_not() {
    let mut bob = Bob::new();
    let since = bob.reacts("p1", "ana", "like");
    bob.reacts("p2", "cy", "like");
    bob.reads_all();
    let before = bob.sees();

    bob.takes_back("p1", "ana", "like", since); // the failed call's event did not come
    assert_eq!(bob.sees(), before);
    bob.reacts("p1", "ana", "angry"); // it did
    assert_ne!(bob.sees(), before);
    bob.takes_back("p1", "ana", "like", since);
    assert_eq!(bob.sees(), before);
    bob.undoes("p1", "ana"); // the failed call was an undoing one
    bob.takes_back("p1", "ana", "like", since);
    assert_eq!(bob.sees(), before);
    bob.undoes("p1", "ana"); // two were, and what took the first back did not come
    bob.undoes("p1", "ana");
    bob.takes_back("p1", "ana", "like", since);
    assert_eq!(bob.sees(), before);
}

#[test]
fn what_is_restored_and_never_came_here_is_news() {
    let mut bob = Bob::new();
    bob.takes_back("p1", "ana", "like", 0);
    assert_eq!(bob.sees(), ["ana reacted to About p1* (1 like) at 0"]);
    // Nor where its undoing, which is taken back, came before it.
    bob.undoes("p2", "cy");
    bob.takes_back("p2", "cy", "wow", 1);
    assert_eq!(bob.sees()[0], "cy reacted to About p2* (1 wow) at 1");
}

#[test]
fn tombstones_are_told_oldest_first_and_dropped_one_by_one() {
    let mut bob = Bob::new();
    for user in ["ana", "cy", "dee"] {
        bob.reacts("p1", user, "like");
        bob.undoes("p1", user);
    }
    let up_to = LANE.source(Epoch(1)).version(Sequence(4));
    let mut table = bob.table();
    let keys = table.tombstones(LANE, up_to, 10).unwrap();
    assert_eq!(
        keys.iter().map(Key::as_str).collect::<Vec<_>>(),
        ["p1/ana", "p1/cy"]
    );
    table.drop_tombstone(&keys[0]).unwrap();
    assert_eq!(table.held(&keys[0]).unwrap(), None);
    let another = Lane {
        store: StoreId(8),
        ..LANE
    };
    assert_eq!(table.tombstones(another, up_to, 10).unwrap(), []);
}

#[test]
fn what_cant_be_understood_is_a_failure_that_writes_nothing() {
    let bob = Bob::new();
    let mut table = bob.table();
    let good = json!({"post": "p1", "user": "ana", "owner": "bob", "title": "T", "kind": "like", "at": "2026-11-24T09:00:00Z"});
    let mut no_owner = good.clone();
    no_owner["owner"] = json!("..");
    for (kind, key, json, cause) in [
        (
            "dev.duet.reaction.shared",
            "p1/ana",
            &good,
            "not known here",
        ),
        (SET, "p1/ana", &no_owner, "dots alone"),
        (SET, "p1/eve", &good, "another pair"),
        (REMOVED, "p1/ana", &good, "contradict"),
    ] {
        let data = Data {
            kind: kind.into(),
            key: Key::new(key).unwrap(),
            json: json.to_string().into(),
        };
        let event = event(1, Timestamp::default(), data.clone());
        let failure = table.apply(&event, &data).unwrap().unwrap_err();
        assert!(failure.cause.contains(cause), "{failure}");
        assert_eq!(table.held(&data.key).unwrap(), None);
    }
}
