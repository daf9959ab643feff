use super::*;
use duet_web::told::Answer;
use serde_json::{Value, json};

/// A chapter of one post; each pair with the kinds that are possible.
fn chapter(pairs: &[&[Standing]]) -> Chapter {
    let pairs = pairs.iter().enumerate().map(|(nth, ways)| {
        let mut pair = Pair::of(User::of(0, nth));
        pair.under_way = false;
        pair.standing = Possible::only(ways[0]);
        for way in &ways[1..] {
            pair.standing.told(*way, Answer::Unknown);
        }
        pair
    });
    let pairs = pairs.collect();
    let post = Post {
        number: 0,
        id: "p".to_owned(),
        room: 9,
        pairs,
    };
    Chapter {
        owner: "bob".to_owned(),
        posts: vec![post],
    }
}

fn inbox(groups: Value) -> Vec<Group> {
    serde_json::from_value(groups).unwrap()
}

fn group(count: u64, kinds: Value, actors: &[usize]) -> Value {
    let actors: Vec<_> = actors
        .iter()
        .map(|nth| User::of(0, *nth).to_string())
        .collect();
    json!({"post": "p", "title": "A walk", "count": count, "kinds": kinds, "actors": actors})
}

#[test]
fn an_inbox_is_compared_with_what_callers_were_told() {
    const LIKE: Standing = Some(Kind::Like);
    const LOVE: Standing = Some(Kind::Love);
    let told: &[&[Standing]] = &[&[LIKE], &[LOVE], &[None]];
    let right = group(2, json!({"like": 1, "love": 1}), &[1, 0]);
    let other = json!({"post": "q", "count": 2, "kinds": {"sad": 2}, "actors": []});
    for (why, groups, missing, doubled) in [
        ("as told", json!([right]), 0, 0),
        ("nothing arrived", json!([]), 2, 0),
        (
            "one is lost",
            json!([group(1, json!({"like": 1}), &[0])]),
            1,
            0,
        ),
        (
            "one is counted twice",
            json!([group(3, json!({"like": 2, "love": 1}), &[1, 0])]),
            0,
            1,
        ),
        (
            "an undone one is back",
            json!([group(
                3,
                json!({"like": 1, "love": 1, "wow": 1}),
                &[2, 1, 0]
            )]),
            0,
            1,
        ),
        (
            "the older kind won",
            json!([group(2, json!({"like": 2}), &[1, 0])]),
            1,
            1,
        ),
        (
            "the wrong user",
            json!([group(2, json!({"like": 1, "love": 1}), &[1, 2])]),
            1,
            1,
        ),
        (
            "a user named twice",
            json!([group(2, json!({"like": 1, "love": 1}), &[1])]),
            1,
            1,
        ),
        (
            "a count that is not its kinds'",
            json!([group(3, json!({"like": 1, "love": 1}), &[1, 0])]),
            0,
            1,
        ),
        ("listed twice", json!([right, right]), 0, 2),
        ("a post of nobody's", json!([right, other]), 0, 2),
    ] {
        let expected = Difference { missing, doubled };
        assert_eq!(chapter(told).compare(&inbox(groups)), expected, "{why}");
    }
    let empty = chapter(&[&[None], &[None]]);
    assert_eq!(empty.compare(&[]), Difference::default());
}

#[test]
fn of_a_pair_whose_caller_was_not_told_each_way_is_right() {
    const LIKE: Standing = Some(Kind::Like);
    const LOVE: Standing = Some(Kind::Love);
    let perhaps: &[&[Standing]] = &[&[LIKE], &[None, LIKE]];
    let changed: &[&[Standing]] = &[&[LIKE, LOVE]];
    for (why, told, groups, missing, doubled) in [
        (
            "it was taken back",
            perhaps,
            json!([group(1, json!({"like": 1}), &[0])]),
            0,
            0,
        ),
        (
            "it stands",
            perhaps,
            json!([group(2, json!({"like": 2}), &[1, 0])]),
            0,
            0,
        ),
        ("what was promised is lost", perhaps, json!([]), 1, 0),
        (
            "another than was promised",
            perhaps,
            json!([group(1, json!({"like": 1}), &[1])]),
            1,
            0,
        ),
        (
            "nobody asked for that",
            perhaps,
            json!([group(2, json!({"like": 1, "sad": 1}), &[1, 0])]),
            0,
            1,
        ),
        (
            "it is there twice",
            perhaps,
            json!([group(3, json!({"like": 3}), &[1, 0])]),
            0,
            1,
        ),
        (
            "nobody was promised anything",
            &[&[None, LIKE]],
            json!([]),
            0,
            0,
        ),
        (
            "the kind was not changed",
            changed,
            json!([group(1, json!({"like": 1}), &[0])]),
            0,
            0,
        ),
        (
            "the kind was changed",
            changed,
            json!([group(1, json!({"love": 1}), &[0])]),
            0,
            0,
        ),
        (
            "both kinds",
            changed,
            json!([group(2, json!({"like": 1, "love": 1}), &[0])]),
            0,
            1,
        ),
        ("neither kind", changed, json!([]), 1, 0),
    ] {
        let expected = Difference { missing, doubled };
        assert_eq!(chapter(told).compare(&inbox(groups)), expected, "{why}");
    }
}

#[test]
fn a_pair_whose_caller_was_not_told_is_settled_once_both_services_see_the_same() {
    let like = Some(Kind::Like);
    let chapter = chapter(&[&[None, like]]);
    assert_eq!(chapter.doubtful().collect::<Vec<_>>(), [(0, 0)]);
    let shown = inbox(json!([group(1, json!({"like": 1}), &[0])]));
    for (why, row, shown, agrees) in [
        ("it stands at both", like, &shown[..], true),
        ("its call is still under way", like, &[], false),
        (
            "it was taken back at Reaction alone so far",
            None,
            &shown,
            false,
        ),
        ("it was taken back at both", None, &[], true),
        ("nobody asked for that", Some(Kind::Sad), &shown, false),
    ] {
        assert_eq!(chapter.agrees(&[((0, 0), row)], shown), agrees, "{why}");
    }
}
