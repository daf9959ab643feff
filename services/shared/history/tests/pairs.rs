//! Stories of one pair that are right, and for each kind of violation one that must be refused.

mod story;

use std::time::Duration;

use duet_history::{Answer, Did, History, Kind, Violation};

use Answer::{Accepted, Delivered, Refused, Unknown};
use story::{Step, held, history, judged, observed, read, refused, right, wrote};

#[test]
fn the_last_success_stands() {
    right(&[], "-");
    right(&[(0, 1, wrote("like", Delivered))], "like");
    right(
        &[
            (0, 1, wrote("like", Accepted)),
            (2, 3, wrote("-", Accepted)),
        ],
        "-",
    );
}

#[test]
fn a_success_that_is_lost_is_refused() {
    for told in [Delivered, Accepted] {
        refused(&[(0, 1, wrote("like", told))], "-");
        refused(
            &[(0, 1, wrote("like", told)), (2, 3, wrote("-", told))],
            "like",
        );
    }
}

#[test]
fn what_nobody_asked_for_is_refused() {
    refused(&[], "like");
    refused(&[(0, 1, wrote("like", Accepted))], "love");
}

#[test]
fn of_two_at_once_either_is_the_last() {
    let both = [
        (0, 5, wrote("like", Accepted)),
        (1, 4, wrote("love", Accepted)),
    ];
    right(&both, "like");
    right(&both, "love");
    refused(&both, "-");
}

#[test]
fn a_failure_does_not_stand() {
    let failed = [(0, 1, wrote("like", Refused))];
    right(&failed, "-");
    refused(&failed, "like");
    let changed = [
        (0, 1, wrote("like", Delivered)),
        (2, 3, wrote("love", Refused)),
    ];
    right(&changed, "like");
    refused(&changed, "love");
    refused(&changed, "-");
}

#[test]
fn two_failures_that_undo_each_other_leave_nothing_that_both_were_told_is_gone() {
    // Schedule 1: the first is built on by the second, which restores it.
    let both = [
        (0, 10, wrote("like", Refused)),
        (1, 12, wrote("-", Refused)),
    ];
    right(&both, "-");
    refused(&both, "like");
}

#[test]
fn a_success_that_a_failure_takes_with_it_is_refused() {
    // Schedule 2: an equal request is told success while the one that wrote the row fails.
    let joined = [
        (0, 10, wrote("like", Refused)),
        (1, 5, wrote("like", Delivered)),
    ];
    right(&joined, "like");
    refused(&joined, "-");
}

#[test]
fn three_successes_of_which_the_last_is_undone_are_refused() {
    // Schedule 4: it joined the first, which succeeded, and the row is the second's.
    let steps = [
        (0, 20, wrote("like", Delivered)),
        (1, 5, wrote("-", Delivered)),
        (6, 20, wrote("like", Delivered)),
    ];
    right(&steps, "like");
    refused(&steps, "-");
}

#[test]
fn what_was_not_answered_may_have_happened_until_who_was_asked_ended() {
    let lost = [(0, 10, wrote("like", Unknown))];
    right(&lost, "like");
    right(&lost, "-");
    refused(&lost, "love");
    // After that it can't take effect any more.
    let late = [
        (0, 10, wrote("like", Unknown)),
        (20, 21, wrote("-", Delivered)),
    ];
    right(&late, "-");
    refused(&late, "like");
    // Nor may it come and go.
    refused(
        &[
            (0, 10, wrote("like", Unknown)),
            (11, 12, read("like")),
            (13, 14, read("-")),
        ],
        "-",
    );
}

#[test]
fn what_was_not_answered_ends_with_who_was_asked() {
    let steps = [
        (0, 10, wrote("like", Unknown)),
        (20, 21, wrote("-", Delivered)),
    ];
    let mut history = history(&steps);
    assert!(history.check(&held("like", "like")).is_err());
    history.end_unanswered(|gave_up| gave_up + Duration::from_millis(100));
    assert!(history.check(&held("like", "like")).is_ok());
    assert!(history.check(&held("-", "-")).is_ok());
}

#[test]
fn a_read_sees_what_stands() {
    let told = (0, 1, wrote("like", Accepted));
    right(&[told.clone(), (2, 3, read("like"))], "like");
    refused(&[told.clone(), (2, 3, read("-"))], "like");
    // While it is changed, either.
    let changes = (2, 6, wrote("love", Accepted));
    right(
        &[told.clone(), changes.clone(), (3, 4, read("like"))],
        "love",
    );
    right(
        &[told.clone(), changes.clone(), (3, 4, read("love"))],
        "love",
    );
    // But not first the new one and then the old one.
    let forth = [told, changes, (3, 4, read("love")), (5, 6, read("like"))];
    refused(&forth, "love");
}

#[test]
fn a_failure_is_seen_until_it_is_answered_and_not_after() {
    let fails = (2, 10, wrote("love", Refused));
    let before = (0, 1, wrote("like", Accepted));
    right(
        &[
            before.clone(),
            fails.clone(),
            (3, 4, read("like")),
            (5, 6, read("love")),
            (7, 8, read("like")),
        ],
        "like",
    );
    refused(
        &[before.clone(), fails.clone(), (11, 12, read("love"))],
        "like",
    );
    // It comes once and goes once.
    refused(
        &[
            before,
            fails,
            (3, 4, read("love")),
            (5, 6, read("like")),
            (7, 8, read("love")),
        ],
        "like",
    );
}

#[test]
fn a_receiver_that_holds_something_else_is_refused() {
    let history = history(&[(0, 1, wrote("like", Accepted))]);
    for other in ["-", "love"] {
        let violations = history
            .check(&held("like", other))
            .expect_err("they differ");
        assert!(
            matches!(violations[..], [Violation::Differs { .. }]),
            "{violations:?}"
        );
    }
    // A ghost is one also where nobody asked for anything.
    assert!(History::default().check(&held("-", "like")).is_err());
}

#[test]
fn a_receiver_may_be_behind_but_not_behind_what_was_delivered() {
    let accepted = [
        (0, 1, wrote("like", Accepted)),
        (2, 3, wrote("love", Accepted)),
    ];
    for saw in ["-", "like", "love"] {
        let steps = [&accepted[..], &[(4, 5, observed(saw))]].concat();
        right(&steps, "love");
    }
    let delivered = [
        (0, 1, wrote("like", Accepted)),
        (2, 3, wrote("love", Delivered)),
    ];
    for (saw, is_right) in [
        ("love", true),
        ("like", false),
        ("-", false),
        ("wow", false),
    ] {
        let steps = [&delivered[..], &[(4, 5, observed(saw))]].concat();
        assert_eq!(judged(&steps, "love").is_ok(), is_right, "{saw}");
    }
    // What is delivered during the read may or may not be seen.
    let meanwhile = [&delivered[..], &[(2, 5, observed("like"))]].concat();
    right(&meanwhile, "love");
}

#[test]
fn a_receiver_brings_nothing_back() {
    let accepted = [
        (0, 1, wrote("like", Accepted)),
        (2, 3, wrote("love", Accepted)),
        (4, 5, observed("-")),
        (6, 7, observed("like")),
        (8, 9, observed("love")),
    ];
    right(&accepted, "love");
    for older in ["like", "-"] {
        let back = [&accepted[..], &[(10, 11, observed(older))]].concat();
        assert!(
            matches!(refused(&back, "love"), Violation::Seen { .. }),
            "{older}"
        );
    }
    // Of two at once nobody knows which is older.
    let both = [
        (0, 3, wrote("like", Accepted)),
        (2, 5, wrote("love", Accepted)),
        (6, 7, observed("love")),
        (8, 9, observed("like")),
    ];
    right(&both, "like");
    // What a failure replaced for a while comes back.
    let failed = [
        (0, 1, wrote("like", Accepted)),
        (2, 8, wrote("love", Refused)),
        (4, 5, observed("love")),
        (10, 11, observed("like")),
    ];
    right(&failed, "like");
}

#[test]
fn what_is_taken_back_may_be_seen_at_a_receiver_for_a_while_but_not_before_it_was_asked_for() {
    let fails = (5, 10, wrote("love", Refused));
    right(&[fails.clone(), (11, 12, observed("love"))], "-");
    let early = refused(&[fails, (1, 2, observed("love"))], "-");
    assert!(matches!(early, Violation::Seen { .. }), "{early:?}");
}

#[test]
fn a_violation_tells_the_shortest_story_that_cant_be_explained() {
    let steps = [
        (0, 1, wrote("wow", Accepted)),
        (2, 3, wrote("like", Accepted)),
        (10, 14, wrote("love", Accepted)),
        (11, 12, read("sad")),
        (20, 21, wrote("like", Accepted)),
    ];
    // It needs no more than how it stood when the read began.
    tells(
        &steps,
        "like",
        &[
            wrote("like", Accepted),
            wrote("love", Accepted),
            read("sad"),
        ],
        None,
    );
    // What nobody took away: from where it was last written.
    let lost = [&steps[..3], &[(30, 31, wrote("-", Refused))]].concat();
    let told = [wrote("love", Accepted), wrote("-", Refused)];
    tells(&lost, "-", &told, Some(None));
}

#[track_caller]
fn tells(steps: &[Step], stands: &str, told: &[Did], ends_with: Option<Option<Kind>>) {
    let violation = refused(steps, stands);
    let Violation::Unexplained { story, held, .. } = violation else {
        panic!("{violation}");
    };
    let story: Vec<_> = story.into_iter().map(|it| it.did).collect();
    assert_eq!((&story[..], held), (told, ends_with));
}

#[test]
fn a_long_story_of_many_callers_is_judged_soon() {
    let mut steps = Vec::new();
    let kinds = ["like", "love", "wow", "-"];
    for step in 0..2_000_u64 {
        // Four callers whose requests overlap, and one in ten is not answered for long.
        let (from, kind) = (step * 2, kinds[(step % 4) as usize]);
        let (long, answer) = match step % 10 {
            0 => (40, Unknown),
            1 => (7, Refused),
            _ => (7, Accepted),
        };
        steps.push((from, from + long, wrote(kind, answer)));
    }
    // What stands was among the last, and not the one that was answered before they began.
    let stands = kinds.map(|it| judged(&steps, it).is_ok());
    assert_eq!(stands, [true, true, true, true]);
    steps.push((50_000, 50_001, wrote("sad", Accepted)));
    right(&steps, "sad");
    refused(&steps, "like");
}
