//! What owners are shown: sums and event streams that are right, and those that must be refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use duet_history::{Group, Pair, Rows, Told, groups, stream};

fn rows() -> Rows {
    let rows = [("ana", "like"), ("cy", "love"), ("bob", "wow")];
    rows.map(|(user, kind)| (Pair::new("walk", user), kind.into()))
        .into_iter()
        .collect()
}

fn owners() -> BTreeMap<Arc<str>, Arc<str>> {
    BTreeMap::from([("walk".into(), "bob".into()), ("rain".into(), "dan".into())])
}

fn group() -> Group {
    Group {
        owner: "bob".into(),
        post: "walk".into(),
        count: 2,
        kinds: BTreeMap::from([("like".into(), 1), ("love".into(), 1)]),
        actors: vec!["cy".into(), "ana".into()],
    }
}

#[test]
fn a_group_is_the_sum_of_the_reactions_of_others() {
    assert_eq!(groups(&rows(), &owners(), &[group()]), []);
    assert_eq!(groups(&Rows::new(), &owners(), &[]), []);
}

#[test]
fn a_group_that_is_no_such_sum_is_refused() {
    type Spoil = fn(&mut Group);
    let spoilt: [(&str, Spoil); 7] = [
        ("counted twice", |it| it.count = 3),
        ("a kind twice", |it| {
            it.kinds.insert("like".into(), 2);
        }),
        ("a kind missing", |it| {
            it.kinds.remove("like");
        }),
        ("an actor twice", |it| {
            it.actors = vec!["ana".into(), "ana".into()]
        }),
        ("an actor who reacts not", |it| {
            it.actors = vec!["eve".into()]
        }),
        ("the owner", |it| it.actors = vec!["bob".into()]),
        ("another's post", |it| it.owner = "dan".into()),
    ];
    for (how, spoil) in spoilt {
        let mut group = group();
        spoil(&mut group);
        assert_eq!(groups(&rows(), &owners(), &[group]).len(), 1, "{how}");
    }
}

#[test]
fn a_group_too_many_or_too_few_is_refused() {
    assert_eq!(groups(&rows(), &owners(), &[]).len(), 1);
    assert_eq!(groups(&rows(), &owners(), &[group(), group()]).len(), 1);
    assert_eq!(groups(&Rows::new(), &owners(), &[group()]).len(), 1);
}

fn shown(id: &str, count: u64) -> Told {
    Told::Shown {
        id: id.to_owned(),
        group: Group { count, ..group() },
    }
}

fn removed(id: &str) -> Told {
    Told::Removed {
        id: id.to_owned(),
        post: "walk".into(),
    }
}

#[test]
fn a_stream_that_ends_with_what_there_is_is_right() {
    assert_eq!(stream(&[], &[]), []);
    assert_eq!(stream(&[shown("1", 1), shown("2", 2)], &[group()]), []);
    assert_eq!(stream(&[shown("1", 1), removed("2")], &[]), []);
    let anew = [shown("1", 1), Told::Reset, shown("1", 2)];
    assert_eq!(stream(&anew, &[group()]), []);
}

#[test]
fn a_stream_that_tells_twice_or_not_at_all_is_refused() {
    for (how, told, there) in [
        ("twice", vec![shown("1", 2), shown("1", 2)], vec![group()]),
        ("not the last", vec![shown("1", 1)], vec![group()]),
        ("nothing", vec![], vec![group()]),
        ("not that it went", vec![shown("1", 2)], vec![]),
        (
            "that it went",
            vec![shown("1", 2), removed("2")],
            vec![group()],
        ),
    ] {
        assert_eq!(stream(&told, &there).len(), 1, "{how}");
    }
}
