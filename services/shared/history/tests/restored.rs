//! Stores that were restored from an older copy: what that loses is explained, and nothing else.

mod story;

use std::ops::Range;
use std::time::Duration;

use duet_history::{Answer, Restored, Violation};

use Answer::{Accepted, Delivered, Refused, Stood, Unknown};
use story::{Step, held, history, observed, read, wrote};

fn ms(time: Range<u64>) -> Range<Duration> {
    Duration::from_millis(time.start)..Duration::from_millis(time.end)
}

/// Copied from 10 to 12, put back from 30 to 35, healed at 50.
fn restored(receiver: Option<&str>) -> Restored {
    Restored {
        receiver: receiver.map(Into::into),
        copied: ms(10..12),
        put_back: ms(30..35),
        healed: Duration::from_millis(50),
    }
}

fn judged(receiver: Option<&str>, steps: &[Step], stands: &str) -> Result<(), Vec<Violation>> {
    let mut history = history(steps);
    history.restored(restored(receiver));
    history.check(&held(stands, stands)).map(drop)
}

#[track_caller]
fn right(receiver: Option<&str>, steps: &[Step], stands: &str) {
    if let Err(violations) = judged(receiver, steps, stands) {
        panic!("{}", violations[0]);
    }
}

#[track_caller]
fn refused(receiver: Option<&str>, steps: &[Step], stands: &str) {
    judged(receiver, steps, stands).expect_err("this can't be explained");
}

const SENDER: Option<&str> = None;
const RECEIVER: Option<&str> = Some("notification");

#[test]
fn what_the_sender_answered_since_the_copy_is_gone_and_what_it_answered_before_is_not() {
    for told in [Delivered, Accepted] {
        let since = [(0, 1, wrote("like", told)), (20, 21, wrote("love", told))];
        right(SENDER, &since, "like");
        refused(SENDER, &since, "love");
        refused(SENDER, &since, "-");
        let before = [(0, 1, wrote("like", told)), (8, 9, wrote("love", told))];
        right(SENDER, &before, "love");
        refused(SENDER, &before, "like");
        // Who was answered while it was copied may be in the copy or not.
        let meanwhile = [(0, 1, wrote("like", told)), (11, 13, wrote("love", told))];
        right(SENDER, &meanwhile, "love");
        right(SENDER, &meanwhile, "like");
        let after = [(20, 21, wrote("like", told)), (40, 41, wrote("love", told))];
        right(SENDER, &after, "love");
        refused(SENDER, &after, "like");
        refused(SENDER, &after, "-");
    }
}

#[test]
fn what_a_receiver_loses_takes_nothing_from_what_callers_were_told() {
    let steps = [
        (0, 1, wrote("like", Accepted)),
        (20, 21, wrote("love", Accepted)),
    ];
    right(RECEIVER, &steps, "love");
    refused(RECEIVER, &steps, "like");
}

#[test]
fn what_was_taken_back_after_the_copy_may_stand_again() {
    let steps = [(9, 20, wrote("love", Refused))];
    right(SENDER, &steps, "love");
    right(SENDER, &steps, "-");
    refused(SENDER, &[(0, 8, wrote("love", Refused))], "love");
    refused(SENDER, &[(13, 20, wrote("love", Refused))], "love");
}

#[test]
fn what_the_restored_store_shows_is_the_copy() {
    let lost = (20, 21, wrote("love", Accepted));
    right(
        SENDER,
        &[lost.clone(), (22, 23, read("love")), (40, 41, read("-"))],
        "-",
    );
    refused(SENDER, &[lost.clone(), (40, 41, read("love"))], "-");
    refused(SENDER, &[lost, (22, 23, read("-"))], "-");
    // Of a request that the killed process did not answer, the copy knows nothing.
    right(SENDER, &[(20, 29, wrote("love", Unknown))], "-");
    refused(SENDER, &[(20, 29, wrote("love", Unknown))], "love");
}

#[test]
fn a_receiver_shows_what_the_sender_lost_until_it_is_healed_and_no_longer() {
    let story = |from| {
        [
            (0, 1, wrote("like", Delivered)),
            (20, 21, wrote("love", Delivered)),
            (22, 23, observed("love")),
            (from, from + 1, observed("love")),
        ]
    };
    right(
        SENDER,
        &[&story(40)[..], &[(45, 46, observed("like"))]].concat(),
        "like",
    );
    refused(SENDER, &story(51), "like");
    let back = [
        (0, 1, wrote("like", Accepted)),
        (2, 3, wrote("wow", Accepted)),
        (51, 52, observed("wow")),
        (53, 54, observed("like")),
    ];
    refused(SENDER, &back, "wow");
}

#[test]
fn a_restored_receiver_may_lack_what_was_delivered_until_it_is_healed_and_no_longer() {
    let story = |from| {
        [
            (0, 1, wrote("like", Delivered)),
            (20, 21, wrote("love", Delivered)),
            (from, from + 1, observed("like")),
        ]
    };
    right(RECEIVER, &story(40), "love");
    refused(RECEIVER, &story(25), "love");
    refused(RECEIVER, &story(51), "love");
    // Another's store is no excuse.
    refused(Some("trending"), &story(40), "love");
    // What was in the copy it has, and what was delivered since.
    refused(
        RECEIVER,
        &[(0, 1, wrote("like", Delivered)), (40, 41, observed("-"))],
        "like",
    );
    refused(
        RECEIVER,
        &[(36, 37, wrote("like", Delivered)), (40, 41, observed("-"))],
        "like",
    );
    // Of what it had, a change that changes nothing may be told to be delivered, until it is healed.
    let story = |from| {
        [
            (0, 1, wrote("-", Delivered)),
            (20, 21, wrote("love", Delivered)),
            (36, 37, wrote("love", Stood)),
            (from, from + 1, observed("-")),
        ]
    };
    right(RECEIVER, &story(40), "love");
    refused(RECEIVER, &story(51), "love");
    refused(Some("trending"), &story(40), "love");
}
