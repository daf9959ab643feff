//! Posts, reactions and their counts, over a store in memory.

use std::sync::Arc;

use duet_channel::store::sqlite::life::OwnRow;
use duet_protocol::accept::{Rows, Write};
use duet_protocol::event::TraceContext;
use duet_protocol::sequence::{Epoch, Sequence, Version};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;
use rusqlite::Connection;

use super::{Kept, posts, reactions};
use crate::domain::{AnotherOwner, Counts, Kind, Pair, Post, Put, Stand};

fn store() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    for migration in super::MIGRATIONS {
        connection.execute_batch(migration).unwrap();
    }
    connection
}

fn post(owner: &str, title: &str) -> Post {
    Post {
        id: "p1".parse().unwrap(),
        owner: owner.parse().unwrap(),
        title: title.parse().unwrap(),
    }
}

fn put_post(connection: &Connection, wanted: &Post) -> Result<Put, AnotherOwner> {
    let put = wanted.put(posts::get(connection, &wanted.id).unwrap().as_ref())?;
    posts::put(connection, &Kept::default(), wanted, put).unwrap();
    Ok(put)
}

fn version(sequence: u64) -> Version {
    Version {
        epoch: Epoch(u64::MAX >> 1),
        sequence: Sequence(sequence),
    }
}

fn write(
    connection: &Connection,
    user: &str,
    kind: Option<Kind>,
    sequence: u64,
) -> serde_json::Value {
    let key = pair(user).key().unwrap();
    let at = Timestamp::from_micros(i64::try_from(sequence).unwrap() * 1_000_000);
    let stand = kind.map(|kind| Stand {
        kind,
        since: Timestamp::from_micros(0),
    });
    let write = Write {
        value: stand.as_ref(),
        version: version(sequence),
        provisional: true,
        restores: sequence > 10,
        at,
        trace: &TraceContext {
            traceparent: "00-0000000000000000000000000000002a-0000000000000001-01".into(),
            tracestate: "".into(),
        },
        generation: Generation(7),
    };
    let kept = Arc::<Kept>::default();
    let data = reactions::Table::new(connection, kept.clone())
        .write(&key, write)
        .unwrap();
    kept.write(connection).unwrap();
    serde_json::from_slice(&data.json).unwrap()
}

fn pair(user: &str) -> Pair {
    Pair {
        post: "p1".parse().unwrap(),
        user: user.parse().unwrap(),
    }
}

#[test]
fn a_posts_title_may_change_and_its_owner_may_not() {
    let connection = store();
    assert_eq!(put_post(&connection, &post("bob", "one")), Ok(Put::Create));
    assert_eq!(put_post(&connection, &post("bob", "one")), Ok(Put::Nothing));
    assert_eq!(put_post(&connection, &post("bob", "two")), Ok(Put::Retitle));
    assert_eq!(
        put_post(&connection, &post("eve", "three")),
        Err(AnotherOwner)
    );
    assert_eq!(
        posts::get(&connection, &"p1".parse().unwrap()).unwrap(),
        Some(post("bob", "two"))
    );
    assert!(posts::exists(&connection, "p1").unwrap());
    assert!(!posts::exists(&connection, "p2").unwrap());
}

#[test]
fn counts_follow_each_write() {
    let connection = store();
    put_post(&connection, &post("bob", "T")).unwrap();
    write(&connection, "ana", Some(Kind::Like), 1);
    write(&connection, "cy", Some(Kind::Like), 2);
    write(&connection, "ana", Some(Kind::Wow), 3);
    let counts = || posts::counts(&connection, &"p1".parse().unwrap()).unwrap();
    assert_eq!(
        counts(),
        Counts {
            like: 1,
            wow: 1,
            ..Counts::default()
        }
    );
    write(&connection, "cy", None, 4);
    write(&connection, "cy", None, 5);
    assert_eq!(
        counts(),
        Counts {
            wow: 1,
            ..Counts::default()
        }
    );
}

#[test]
fn an_undone_row_keeps_its_version_and_is_not_read_until_it_is_dropped() {
    let connection = store();
    put_post(&connection, &post("bob", "T")).unwrap();
    let told = write(&connection, "ana", Some(Kind::Like), 1);
    assert_eq!(
        (&told["owner"], &told["title"], &told["kind"]),
        (&"bob".into(), &"T".into(), &"like".into())
    );
    write(&connection, "ana", None, 2);
    let key = pair("ana").key().unwrap();
    let row = reactions::Table::new(&connection, Arc::default())
        .row(&key)
        .unwrap()
        .unwrap();
    assert_eq!(
        (row.value, row.version, row.provisional),
        (None, version(2), true)
    );
    assert_eq!(reactions::get(&connection, &pair("ana")).unwrap(), None);

    assert_eq!(
        reactions::drop_undone(&connection, version(1), 10).unwrap(),
        0
    );
    assert_eq!(
        reactions::drop_undone(&connection, version(2), 10).unwrap(),
        1
    );
    assert_eq!(
        reactions::Table::new(&connection, Arc::default())
            .row(&key)
            .unwrap(),
        None
    );
}

#[test]
fn what_is_restored_stands_since_it_was_made() {
    let connection = store();
    put_post(&connection, &post("bob", "T")).unwrap();
    let told = write(&connection, "ana", Some(Kind::Like), 11);
    assert_eq!(
        (&told["at"], &told["restores"]),
        (&"1970-01-01T00:00:00Z".into(), &true.into())
    );
    let reaction = reactions::get(&connection, &pair("ana")).unwrap().unwrap();
    assert_eq!(reaction.at, Timestamp::from_micros(0));
}

#[test]
fn a_row_tells_how_it_came_to_be() {
    let connection = store();
    put_post(&connection, &post("bob", "T")).unwrap();
    let key = pair("ana").key().unwrap();
    let own_row = || reactions::own_row(&connection, &key).unwrap();
    assert_eq!(own_row(), None);
    write(&connection, "ana", Some(Kind::Like), 3);
    let liked = OwnRow {
        value: Some("like".to_owned()),
        version: version(3),
        accepted: Timestamp::from_micros(3_000_000),
        generation: Some(Generation(7)),
        provisional: true,
        restores: false,
        trace: Some(format!("{:032x}", 42)),
    };
    // What stands tells since when, which an ordinary write takes from the moment that it happens.
    assert_eq!(own_row(), Some(liked.clone()));
    write(&connection, "ana", None, 11);
    let taken_back = OwnRow {
        value: None,
        version: version(11),
        accepted: Timestamp::from_micros(11_000_000),
        restores: true,
        ..liked
    };
    assert_eq!(own_row(), Some(taken_back));
}

#[test]
fn a_posts_reactions_are_paged_by_user() {
    let connection = store();
    put_post(&connection, &post("bob", "T")).unwrap();
    for (sequence, user) in [(1, "cy"), (2, "ana"), (3, "eve"), (4, "dee")] {
        write(&connection, user, Some(Kind::Love), sequence);
    }
    write(&connection, "dee", None, 5);
    let page = |after: Option<&str>| -> Vec<String> {
        let after = after.map(|user| user.parse().unwrap());
        let page = reactions::page(&connection, &"p1".parse().unwrap(), after.as_ref(), 2).unwrap();
        page.iter()
            .map(|reaction| reaction.user.to_string())
            .collect()
    };
    assert_eq!(page(None), ["ana", "cy"]);
    assert_eq!(page(Some("cy")), ["eve"]);
    assert_eq!(page(Some("eve")), [""; 0]);
}
