use super::{Bob, Told};
use crate::domain::{Kind, Mute, Newness};

#[test]
fn what_is_muted_is_decided_so_and_changes_no_group() {
    let of = |posts: &[&str], kinds: &[Kind], users: &[&str]| Mute {
        posts: posts.iter().map(|post| post.parse().unwrap()).collect(),
        kinds: kinds.iter().copied().collect(),
        users: users.iter().map(|user| user.parse().unwrap()).collect(),
    };
    for (mute, muted) in [
        (of(&["p1"], &[], &[]), ("p1", "ana", "like")),
        (of(&[], &[Kind::Angry], &[]), ("p2", "cy", "angry")),
        (of(&[], &[], &["ana"]), ("p2", "ana", "wow")),
    ] {
        let mut bob = Bob::new();
        bob.reacts("p1", "dee", "like");
        let before = bob.sees();
        bob.mutes(mute);
        let (post, user, kind) = muted;
        assert_eq!(bob.decides(post, user, Some(kind)), Some("muted"));
        assert_eq!(bob.sees(), before, "{muted:?}");
        assert_eq!(bob.told_after(Newness(0)).1.len(), 1);
        assert_eq!(bob.decides("p3", "eve", Some("like")), Some("notified"));
        assert_eq!(bob.decides("p1", "bob", Some("like")), Some("own"));
        // Undone while it is muted, and when it is not any more.
        assert_eq!(bob.decides(post, user, None), Some("muted"));
        bob.mutes(Mute::default());
        assert_eq!(bob.decides(post, user, Some(kind)), Some("notified"));
        assert_eq!(bob.decides(post, user, None), Some("withdrawn"));
    }
}

#[test]
fn what_was_muted_does_not_come_back_but_its_next_change_is_news() {
    let mut bob = Bob::new();
    bob.mutes(Mute {
        kinds: [Kind::Sad].into(),
        ..Mute::default()
    });
    assert_eq!(bob.decides("p1", "ana", Some("sad")), Some("muted"));
    bob.mutes(Mute::default());
    assert_eq!(bob.sees(), [""; 0]);
    assert_eq!(bob.decides("p1", "ana", Some("wow")), Some("notified"));
    assert_eq!(bob.sees(), ["ana reacted to About p1* (1 wow) at 2"]);
}

#[test]
fn a_muted_post_keeps_its_group_until_what_is_in_it_changes() {
    let mut bob = Bob::new();
    bob.reacts("p1", "ana", "like");
    bob.reacts("p1", "cy", "like");
    bob.reacts("p1", "dee", "like");
    bob.mutes(Mute {
        posts: ["p1".parse().unwrap()].into(),
        ..Mute::default()
    });
    assert_eq!(bob.decides("p1", "eve", Some("love")), Some("muted"));
    assert_eq!(
        bob.sees(),
        ["dee and 2 others reacted to About p1* (3 like) at 3"]
    );
    // It was undone: it leaves.
    assert_eq!(bob.decides("p1", "dee", None), Some("withdrawn"));
    assert_eq!(
        bob.sees(),
        ["cy and ana reacted to About p1* (2 like) at 2"]
    );
    // What bob was notified of does not stand any more, and of what stands he is not notified.
    assert_eq!(bob.decides("p1", "cy", Some("angry")), Some("muted"));
    assert_eq!(bob.sees(), ["ana reacted to About p1* (1 like) at 1"]);
    assert_eq!(bob.decides("p1", "ana", None), Some("withdrawn"));
    assert_eq!(bob.sees(), [""; 0]);
}

#[test]
fn a_failed_change_that_was_muted_leaves_no_trace() {
    let mut bob = Bob::new();
    let since = bob.reacts("p1", "ana", "like");
    bob.reacts("p1", "cy", "like");
    bob.reads_all();
    let before = bob.sees();
    bob.mutes(Mute {
        kinds: [Kind::Angry].into(),
        ..Mute::default()
    });
    bob.decides("p1", "ana", Some("angry"));
    assert_ne!(bob.sees(), before);
    bob.takes_back("p1", "ana", "like", since);
    assert_eq!(bob.sees(), before);
    // And of one that was muted before, a failed change that was not.
    let since = bob
        .tell("p2", "dee", |at| Told {
            kind: Some("angry"),
            at,
            restores: false,
        })
        .0;
    bob.reacts("p2", "dee", "wow");
    bob.takes_back("p2", "dee", "angry", since);
    assert_eq!(bob.sees(), before);
}

#[test]
fn a_mute_is_known_after_a_restart() {
    let bob = Bob::new();
    bob.mutes(Mute {
        users: ["ana".parse().unwrap()].into(),
        ..Mute::default()
    });
    let mut bob = bob.restart();
    assert_eq!(bob.decides("p1", "ana", Some("like")), Some("muted"));
}
