use super::*;
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
fn where_an_answer_was_lost_reactions_row_decides_if_it_is_possible() {
    let like = Some(Kind::Like);
    let mut chapter = chapter(&[&[None, like]]);
    let shown = inbox(json!([group(1, json!({"like": 1}), &[0])]));
    let doubtful: Vec<_> = chapter.doubtful().collect();
    assert_eq!(doubtful, [(0, 0)]);
    assert!(
        !chapter.compare(&shown).is_none(),
        "nothing is right while it is in doubt"
    );
    chapter.decide((0, 0), Some(Kind::Sad));
    assert_eq!(chapter.doubtful().count(), 1, "nobody asked for that");
    chapter.decide((0, 0), like);
    assert_eq!(chapter.doubtful().count(), 0);
    assert!(chapter.compare(&shown).is_none());
}
