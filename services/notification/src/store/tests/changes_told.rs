use duet_protocol::event::Key;
use duet_protocol::receive::Apply;
use duet_protocol::sequence::Epoch;
use rusqlite::Connection;

use super::Bob;
use crate::domain::Newness;
use crate::store::read::Read;
use crate::store::{MIGRATIONS, changes, inbox};
use crate::stream::{Begin, Progress};

#[test]
fn one_group_is_read_or_all_that_are_not_newer() {
    let mut bob = Bob::new();
    for post in ["p1", "p2", "p3"] {
        bob.reacts(post, "ana", "like");
    }
    let unread = |bob: &Bob| {
        bob.groups()
            .iter()
            .map(|group| group.unread)
            .collect::<Vec<_>>()
    };
    let p2 = bob.groups()[1].newness;
    bob.reads(Read::Post("p1".parse().unwrap()));
    bob.reads(Read::Post("nothing".parse().unwrap()));
    assert_eq!(unread(&bob), [true, true, false]);
    bob.reads(Read::UpTo(p2));
    assert_eq!(unread(&bob), [true, false, false]);
    // What comes to a read group is not read by what was read before.
    bob.reacts("p2", "cy", "like");
    bob.reads(Read::UpTo(p2));
    assert_eq!(unread(&bob), [true, true, false]);
    // Undone, it leaves a read group.
    bob.undoes("p2", "cy");
    assert_eq!(unread(&bob), [true, false, false]);
}

#[test]
fn more_than_one_transaction_of_groups_is_read() {
    let mut bob = Bob::new();
    for post in 0..600 {
        bob.reacts(&format!("p{post}"), "ana", "like");
    }
    bob.reads_all();
    assert_eq!(
        inbox::unread(&bob.connection, &"bob".parse().unwrap()).unwrap(),
        0
    );
}

#[test]
fn every_change_is_told_once_in_order_and_across_restarts() {
    let mut bob = Bob::new();
    let begin = bob.last();
    bob.reacts("p1", "ana", "like");
    bob.reacts("p2", "ana", "like");
    bob.reacts("p1", "cy", "like");
    let (after, told) = bob.told_after(begin);
    assert_eq!(
        told,
        [
            "ana reacted to About p2*",
            "cy and ana reacted to About p1*"
        ]
    );
    assert_eq!(bob.told_after(after).1, [""; 0]);

    let mut bob = bob.restart();
    assert!(bob.last() > after);
    bob.undoes("p1", "cy");
    bob.undoes("p2", "ana");
    let (after, told) = bob.told_after(after);
    assert_eq!(told, ["ana reacted to About p1*", "p2 is gone"]);
    bob.reads_all();
    let (after, told) = bob.told_after(after);
    assert_eq!(told, ["ana reacted to About p1"]);
    bob.reads_all();
    assert_eq!(bob.told_after(after).1, [""; 0], "it was read already");
    // What is gone comes back.
    bob.reacts("p2", "ana", "wow");
    assert_eq!(bob.told_after(after).1, ["ana reacted to About p2*"]);
    assert_eq!(bob.told_after(Newness(0)).1.len(), 2);
}

#[test]
fn what_can_be_gone_on_from_is_known() {
    let mut bob = Bob::new();
    let known = |bob: &Bob, incarnation, newness| {
        changes::are_known_after(&bob.connection, Epoch(incarnation), newness).unwrap()
    };
    let begin = bob.last();
    assert!(known(&bob, 1, begin));
    assert!(!known(&bob, 7, begin), "another store's");
    let mut bob = {
        bob.reacts("p1", "ana", "like");
        bob.restart()
    };
    assert!(known(&bob, 1, begin));
    assert!(
        !known(&bob, 1, bob.last()),
        "what came later was not told then"
    );
    for post in ["p1", "p2", "p3"] {
        bob.reacts(post, "ana", "like");
        bob.undoes(post, "ana");
    }
    let over = |keep| changes::newest_over(&bob.connection, keep).unwrap();
    assert_eq!(over(3), None);
    let oldest = over(2).unwrap();
    assert!(changes::forget(&bob.connection, oldest, 1).unwrap());
    assert!(!changes::forget(&bob.connection, oldest, 1).unwrap());
    assert!(!known(&bob, 1, begin), "that p1 is gone is forgotten");
    assert!(known(&bob, 2, bob.last()));
    assert_eq!(bob.told_after(Newness(0)).1, ["p2 is gone", "p3 is gone"]);
}

#[test]
fn a_stream_to_which_a_change_can_not_be_told_any_more_begins_anew_and_no_other() {
    let mut bob = Bob::new();
    let user = "bob".parse().unwrap();
    let reads = |bob: &Bob, progress: &mut Progress, limit| {
        let page = changes::page(&bob.connection, &user, progress.after(), limit).unwrap();
        progress.take(&page).then_some(page.changes.len())
    };
    let forget_all = |bob: &Bob| {
        let newest = changes::newest_over(&bob.connection, 0).unwrap().unwrap();
        changes::forget(&bob.connection, newest, 1_000).unwrap();
    };
    let begin = Begin::After(bob.last());
    let (mut slow, mut quick) = (Progress::of(begin), Progress::of(begin));
    for post in ["p1", "p2"] {
        bob.reacts(post, "ana", "like");
    }
    assert_eq!(reads(&bob, &mut slow, 1), Some(1));
    assert_eq!(reads(&bob, &mut quick, 9), Some(2));
    bob.undoes("p1", "ana");
    assert_eq!(reads(&bob, &mut quick, 9), Some(1));
    forget_all(&bob);
    assert_eq!(reads(&bob, &mut slow, 1), None, "that p1 is gone");
    assert_eq!(reads(&bob, &mut quick, 9), Some(0));

    // What was forgotten before one begins at the start is no loss to it, however many pages it takes.
    bob.reacts("p3", "ana", "like");
    let mut anew = Progress::of(Begin::Anew);
    assert_eq!(reads(&bob, &mut anew, 1), Some(1));
    assert_eq!(reads(&bob, &mut anew, 1), Some(1));
    assert_eq!(reads(&bob, &mut anew, 1), Some(0));

    // Nor to one that begins now, by an id from which it can be gone on.
    let eve = "eve".parse().unwrap();
    let now = changes::last(&bob.connection, &eve).unwrap();
    let page = changes::page(&bob.connection, &eve, now, 9).unwrap();
    assert!(Progress::of(Begin::After(now)).take(&page));
    assert!(changes::are_known_after(&bob.connection, Epoch(1), now).unwrap());

    // One that has told all of its owner's goes on, however much is forgotten of others since.
    assert_eq!(reads(&bob, &mut quick, 9), Some(1));
    for number in 0..3 {
        bob.reacts(&format!("q{number}"), "ana", "like");
        bob.undoes(&format!("q{number}"), "ana");
    }
    assert_eq!(reads(&bob, &mut quick, 9), Some(3));
    assert_eq!(reads(&bob, &mut quick, 9), Some(0));
    forget_all(&bob);
    assert_eq!(reads(&bob, &mut quick, 9), Some(0));
}

#[test]
fn a_store_of_before_goes_on_where_it_was() {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(MIGRATIONS[0]).unwrap();
    connection
        .execute_batch(
            "INSERT INTO notifications VALUES
               ('p1', 'ana', 'bob', 'like', 1000000, 1800000000000001, NULL, 7, 1, 0, 1, 1),
               ('p1', 'cy', 'bob', NULL, 1000000, 1800000000000002, NULL, 7, 1, 0, 1, 2);
             INSERT INTO groups VALUES ('bob', 'p1', 'About p1', 1, 1800000000000001, 1000000, 1800000000000003);
             INSERT INTO kinds VALUES ('bob', 'p1', 'like', 1);",
        )
        .unwrap();
    for migration in &MIGRATIONS[1..] {
        connection.execute_batch(migration).unwrap();
    }
    let mut bob = Bob::over(connection, 10);
    assert_eq!(bob.sees(), ["ana reacted to About p1 (1 like) at 1"]);
    let ana = Key::new("p1/ana").unwrap();
    let decided = bob.table().decided(&ana).unwrap();
    assert_eq!(decided.unwrap().as_str(), "notified");
    let begin = bob.last();
    bob.reacts("p1", "dee", "wow");
    assert_eq!(
        bob.sees(),
        ["dee and ana reacted to About p1* (1 like, 1 wow) at 11"]
    );
    bob.takes_back("p1", "cy", "like", 1);
    assert_eq!(
        bob.sees(),
        ["dee and 2 others reacted to About p1* (2 like, 1 wow) at 11"]
    );
    assert_eq!(bob.decides("p1", "ana", None), Some("withdrawn"));
    assert_eq!(bob.told_after(begin).1, ["dee and cy reacted to About p1*"]);
}
