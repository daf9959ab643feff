//! Each story of a reaction, as facts and the sentences that they come to.

mod liked;
mod resynced;

use super::{AtReceiver, Facts, sentences};
use duet_channel::life::{Applied, Met, Received, Waiting};
use liked::{applied, at, event, generation, holds, kept, liked, of_store};

/// What differs from ana's like, and what the sentences then say and do not say.
type Story = (
    &'static str,
    fn(&mut Facts),
    &'static [&'static str],
    &'static [&'static str],
);

const STORIES: &[Story] = &[
    (
        "Sync, and all went well",
        |_| {},
        &[
            "reaction: ana's reaction to post-1 is like.",
            "reaction: It was accepted at 2026-11-24T09:27:00Z (30 min ago) as event 5 (000000000000feed.0001.0000.000000000000002a.0000000000000005).",
            "reaction: The mode was Sync under generation 7 of the Channel, in force from 2026-11-24T09:26:00Z (31 min ago) until 2026-11-24T09:37:00Z (20 min ago) (spec.mode = Sync).",
            "the change was not taken back, for it did not fail or had arrived (spec.sync.deadline = 2s, spec.sync.onFailure = Fail).",
            "reaction: Receipts say that it is held by notification.",
            "reaction: It was not sampled: there is no trace of it.",
            "notification: It received the event and applied it at 2026-11-24T09:27:00.004Z (29 min ago), 4 ms later.",
            "notification: It decided: notified. bob has it among the notifications.",
            "pair: Not kept: earlier events",
        ],
        &["outbox", "resync"],
    ),
    (
        "Async, and all went well, with a trace",
        |facts| {
            facts.in_async();
            facts.own().trace = Some("ab".repeat(16));
            facts.trace = Some("http://127.0.0.1:16686/trace/abab".to_owned());
        },
        &[
            "The mode was Async under generation 8 of the Channel, in force from 2026-11-24T09:37:00Z (20 min ago), and still is (spec.mode = Async).",
            "Its caller was answered without waiting; it goes to receivers by the stream REACTIONS of NATS JetStream (spec.async.transport = NATSJetStream).",
            "9 ms later",
            "Its trace is at http://127.0.0.1:16686/trace/abab.",
        ],
        &["sampled", "deadline"],
    ),
    (
        "a trace, and no Jaeger",
        |facts| facts.own().trace = Some("ab".repeat(16)),
        &["`duet trace abababababababababababababababab` shows it"],
        &["sampled"],
    ),
    (
        "the canary's side",
        |facts| {
            facts.in_async();
            facts.own().generation = Some(9);
            facts.sent().generations = vec![generation(9)];
        },
        &[
            "The mode was Async under generation 9",
            "by its hash the pair is one of the canary's 100% (spec.mode = Sync, spec.canary = Async 100%).",
        ],
        &[],
    ),
    (
        "muted",
        |facts| facts.came().row = Some(applied(5, Some("muted"))),
        &[
            "It decided: muted. bob has muted the post, the kind or ana, and is not notified (preferences of bob).",
        ],
        &["among the notifications"],
    ),
    (
        "her own post",
        |facts| facts.came().row = Some(applied(5, Some("own"))),
        &["It decided: own. The post is ana's"],
        &["among the notifications"],
    ),
    (
        "undone",
        |facts| {
            facts.own().value = None;
            facts.came().row = Some(Applied {
                value: None,
                ..applied(5, Some("withdrawn"))
            });
        },
        &[
            "ana's reaction to post-1 is undone; that it was is kept until every receiver holds it.",
            "It decided: withdrawn. The reaction was undone, and bob does not see it any more.",
        ],
        &[],
    ),
    (
        "the receiver is down",
        |facts| {
            facts.in_async();
            facts.is_under_way();
            facts.receivers[0].told = Err("Connection refused".to_owned());
            facts.sent().process = Some(vec![Met {
                receiver: "notification".to_owned(),
                unacknowledged: 1,
                failing: Some("nothing gets to notification".to_owned()),
            }]);
        },
        &[
            "It is still in the outbox, for notification has not said that it holds it: nothing gets to notification (spec.async.transport = NATSJetStream).",
            "notification: It tells nothing of what came: Connection refused.",
        ],
        &["Receipts"],
    ),
    (
        "the mode was switched while it waited",
        |facts| {
            facts.is_under_way();
            facts.sent().generations.push(generation(8));
        },
        &[
            "The mode was Sync under generation 7",
            "is taken back if it fails, unless it arrives first",
            "it now goes by the stream REACTIONS of NATS JetStream, for what waits drains the new way (spec.mode = Async).",
            "notification: It has not received the event.",
        ],
        &[],
    ),
    (
        "nothing runs",
        |facts| {
            facts.is_under_way();
            facts.sent().process = None;
        },
        &["; Reaction does not run, so nothing is sent now."],
        &[],
    ),
    (
        "a failed call, taken back",
        |facts| {
            let row = facts.own();
            (row.value, row.restores, row.provisional) = (None, true, false);
            facts.came().row = None;
        },
        &[
            "A call failed, and at 2026-11-24T09:27:00Z (30 min ago) what it had changed was taken back by event 5",
            "notifies nobody anew (spec.sync.deadline = 2s, spec.sync.onFailure = Fail).",
            "notification: It received the event and keeps nothing of the pair: it was undone or is too old to count",
        ],
        &["It was accepted at", "Its caller"],
    ),
    (
        "parked, while an older one stands",
        |facts| {
            facts.came().row = Some(applied(3, Some("notified")));
            facts.came().kept = vec![kept(5, Some(at(1_860_000)))];
        },
        &[
            "It still has event 3 (000000000000feed.0001.0000.000000000000002a.0000000000000003), applied at",
            "which stays until the later one, received and kept, can be applied.",
            "It received the event and could not apply it: the disk is full. It is a parked event: tried 3 of 8 times since 2026-11-24T09:27:00.004Z (29 min ago), next at 2026-11-24T09:58:00Z (in 60 s) (spec.delivery.backoff = 1s to 600s).",
        ],
        &["dead letter"],
    ),
    (
        "a dead letter of an earlier event",
        |facts| facts.came().kept = vec![kept(3, None)],
        &[
            "It received event 3",
            "It is a dead letter: tried 3 of 8 times since",
            "`duet dead-letters redrive --id 000000000000feed.0001.0000.000000000000002a.0000000000000003` tries it again (spec.delivery.maxAttempts = 8).",
        ],
        &["parked"],
    ),
    (
        "an earlier one waits behind it",
        |facts| {
            facts.sent().waiting = vec![Waiting {
                event: event(4),
                kind: "dev.duet.reaction.set".to_owned(),
                accepted: at(-10),
                generation: 7,
                receivers: vec![holds("notification", false)],
            }];
        },
        &[
            "Before that event 4",
            "where the later one is first, it is superseded.",
        ],
        &[],
    ),
    (
        "the later one has not come",
        |facts| {
            facts.is_under_way();
            facts.came().row = Some(applied(3, Some("notified")));
        },
        &["It still has event 3", "for the later one has not come."],
        &[],
    ),
    (
        "superseded by what Reaction does not have",
        |facts| facts.came().row = Some(applied(9, Some("notified"))),
        &[
            "It has the later event 9",
            "by which Reaction's own is superseded",
        ],
        &[],
    ),
    (
        "of another store",
        |facts| {
            facts.came().row = Some(Applied {
                event: of_store(0xbeef, 5),
                ..applied(5, None)
            });
        },
        &[
            "which is of another store of Reaction's",
            "`duet resync` heals that",
        ],
        &[],
    ),
    (
        "a ghost",
        |facts| facts.sent().row = None,
        &[
            "reaction: It has no reaction of ana to post-1, and nothing of it waits.",
            "of which Reaction knows nothing: Reaction's store is an older copy or a new one (`duet audit` compares",
        ],
        &["Nothing is known"],
    ),
    (
        "nobody knows it",
        |facts| {
            facts.sent().row = None;
            facts.came().row = None;
        },
        &[
            "pair: Nothing is known of a reaction of ana to post-1: there never was one, or it was undone",
        ],
        &["Not kept", "notification:"],
    ),
    (
        "for nobody of now",
        |facts| facts.own().receivers.clear(),
        &["It is for no receiver of now"],
        &["outbox"],
    ),
    (
        "a row of an older version",
        |facts| {
            facts.own().generation = None;
            facts.came().row.as_mut().unwrap().applied = None;
        },
        &[
            "Under which settings is not known: the row is from before that was kept.",
            "It received the event and applied it.",
        ],
        &["The mode was"],
    ),
    (
        "settings of long ago",
        |facts| facts.sent().generations = vec![generation(8)],
        &[
            "It was accepted under generation 7 of the Channel, whose settings are not kept any more.",
        ],
        &["The mode was"],
    ),
    (
        "Reaction is down",
        |facts| facts.sender = Err("Connection refused".to_owned()),
        &[
            "reaction: It tells nothing of what it accepted: Connection refused.",
            "notification: It applied event 5",
            "It decided: notified.",
        ],
        &[],
    ),
];

#[test]
fn every_story_is_told() {
    for (name, happens, said, unsaid) in STORIES.iter().chain(resynced::STORIES) {
        let mut facts = liked();
        happens(&mut facts);
        let told: Vec<_> = sentences(&facts).iter().map(ToString::to_string).collect();
        let told = told.join("\n");
        for part in *said {
            assert!(told.contains(part), "{name}: {part:?} is not in\n{told}");
        }
        for part in *unsaid {
            assert!(!told.contains(part), "{name}: {part:?} is in\n{told}");
        }
    }
}

#[test]
fn a_receiver_that_keeps_no_decisions_is_told_of_beside_the_other() {
    let mut facts = liked();
    facts.receivers.push(AtReceiver {
        name: "trending".to_owned(),
        asked: None,
        told: Ok(Received {
            row: Some(Applied {
                decision: None,
                owner: None,
                ..applied(5, None)
            }),
            ..facts.receivers[0].told.clone().unwrap()
        }),
    });
    let told = sentences(&facts);
    let of = |about: &str| told.iter().filter(|it| it.about == about).count();
    assert_eq!((of("notification"), of("trending")), (2, 1));
    assert!(told.iter().any(|it| {
        it.about == "trending"
            && it
                .text
                .starts_with("It received the event and applied it at")
    }));
}
