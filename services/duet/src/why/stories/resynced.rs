//! What a resync did, and events that are asked about by name.

use super::Story;
use super::liked::{anew, applied, at, event, kept};
use duet_channel::life::{Arrival, ResyncStage};

pub(super) const STORIES: &[Story] = &[
    (
        "told anew by a resync",
        |facts| {
            facts.is_resynced(ResyncStage::Done);
            let row = facts.came().row.as_mut().unwrap();
            (row.event, row.applied) = (anew(4), Some(at(901_000)));
        },
        &[
            "reaction: It is older than the resync that began at 2026-11-24T09:42:00Z (15 min ago), which told each row anew that stood",
            "every receiver holds that, and what was not told anew is swept away there.",
            "notification: It has the row as the resync that began at 2026-11-24T09:42:00Z (15 min ago) told it anew by event 4 (000000000000feed.0001.0000.000000000000002b.0000000000000004), applied at 2026-11-24T09:42:01Z",
            "It decided: notified.",
        ],
        &["superseded", "older copy", "for no receiver"],
    ),
    (
        "a resync that has not come to it",
        |facts| facts.is_resynced(ResyncStage::Announcing),
        &[
            "which is telling each row anew that stands",
            "It received the event and applied it",
        ],
        &["swept"],
    ),
    (
        "a ghost, while a resync waits for its receiver",
        |facts| {
            facts.is_resynced(ResyncStage::Sweeping);
            facts.sent().row = None;
        },
        &[
            "of which Reaction knows nothing",
            "(the resync under way sweeps it away at its end).",
        ],
        &["duet resync"],
    ),
    (
        "an earlier event, asked about by name",
        |facts| facts.is_asked(event(3), Arrival::Received),
        &[
            "reaction: A later event of the pair took the place of event 3 (000000000000feed.0001.0000.000000000000002a.0000000000000003), which is not in the outbox any more",
            "notification: It received event 3 (000000000000feed.0001.0000.000000000000002a.0000000000000003), which the later event 5",
            "notification: It received the event and applied it at",
        ],
        &[],
    ),
    (
        "the latest, asked about by name",
        |facts| facts.is_asked(event(5), Arrival::Received),
        &["notification: It received the event and applied it at"],
        &["took the place", "It received event 5"],
    ),
    (
        "one asked about that nobody knows",
        |facts| facts.is_asked(event(9), Arrival::NotYet),
        &[
            "It knows nothing of event 9",
            "notification: It has not received event 9",
        ],
        &[],
    ),
    (
        "one asked about that is a dead letter",
        |facts| {
            facts.is_asked(event(3), Arrival::Received);
            facts.came().kept = vec![kept(3, None)];
        },
        &[
            "took the place of event 3",
            "It received event 3",
            "It is a dead letter",
        ],
        &["which the later"],
    ),
    (
        "one asked about that was discarded",
        |facts| {
            facts.is_asked(event(5), Arrival::Received);
            facts.own().event = event(6);
            facts.came().row = Some(applied(4, Some("notified")));
        },
        &[
            "It received event 5",
            "neither applied nor kept: it was discarded",
        ],
        &[],
    ),
    (
        "one asked about of a resync's",
        |facts| {
            facts.is_resynced(ResyncStage::Done);
            facts.is_asked(anew(4), Arrival::Received);
            facts.came().row.as_mut().unwrap().event = anew(4);
        },
        &[
            "the resync that began at 2026-11-24T09:42:00Z (15 min ago) told the row anew, which keeps its own event",
            "and has that one.",
        ],
        &["knows nothing"],
    ),
];
