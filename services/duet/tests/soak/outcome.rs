use crate::{
    callers::{Told, owners},
    rows,
    run::Ended,
    say,
};
use duet_history::{Explained, Group, Held, Rows, groups};
use duet_testkit::{Pair, Service, until};
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};

/// How long it may take until nothing is under way: the longest backoff, a few times.
const PATIENCE: Duration = Duration::from_secs(120);
/// Violations shown.
const SHOWN: usize = 5;

/// Waits until nothing is under way, and compares.
///
/// # Panics
/// If anything can't be explained.
pub(crate) async fn judge(ended: Ended) -> Explained {
    let Ended { pair, told } = ended;
    let Told { history, strange } = told;
    is_settled(&pair).await;
    let held = held(&pair);
    let explained = history.check(&held);
    let mut wrong: Vec<String> = Vec::new();
    if let Err(violations) = &explained {
        say(&format!("{} violations", violations.len()));
        wrong.extend(violations.iter().map(ToString::to_string));
    }
    let violations = groups(&held.sender, &owners(), &shown(&pair).await);
    wrong.extend(violations.iter().map(ToString::to_string));
    wrong.extend(
        strange
            .into_iter()
            .map(|it| format!("a caller was told {it}")),
    );
    for service in services(&pair) {
        let output = service.output();
        let panicked = output.lines().filter(|line| line.contains("panicked"));
        wrong.extend(panicked.map(|line| format!("{}: {line}", service.name())));
    }
    wrong.extend(left(&pair));
    let count = wrong.len();
    wrong.truncate(SHOWN);
    assert!(wrong.is_empty(), "{count} wrong:\n{}", wrong.join("\n"));
    explained.unwrap()
}

fn services(pair: &Pair) -> [&Service; 3] {
    [&pair.reaction, &pair.notification, pair.trending()]
}

/// Waits until both receivers are known to hold everything, and nothing is parked.
async fn is_settled(pair: &Pair) {
    until(PATIENCE, || async {
        let told = pair.reaction.channel().await?;
        let is_sent = told["unacknowledged"] == 0 && told["opening"].is_null();
        let mut parked = Vec::new();
        for receiver in [&pair.notification, pair.trending()] {
            parked.push(receiver.channel().await?["parked"].clone());
        }
        let is_applied = parked.iter().all(|it| it.is_null() || it == 0);
        (is_sent && is_applied)
            .then_some(())
            .ok_or_else(|| format!("{told}, parked {parked:?}"))
    })
    .await;
}

fn held(pair: &Pair) -> Held {
    let receivers = [
        ("notification", rows::at_notification(pair)),
        ("trending", rows::at_trending(pair)),
    ];
    let rows = |rows: rows::Rows| -> Rows {
        let rows = rows.into_iter();
        rows.map(|((post, user), kind)| (duet_history::Pair::new(&post, &user), kind.into()))
            .collect()
    };
    let receivers = receivers.map(|(name, held)| (name.into(), rows(held)));
    Held {
        sender: rows(rows::at_reaction(pair)),
        receivers: receivers.into(),
    }
}

/// What every owner is shown.
async fn shown(pair: &Pair) -> Vec<Group> {
    let mut shown = Vec::new();
    for owner in owners().values().collect::<BTreeSet<_>>() {
        let text = |it: &Value| it.as_str().unwrap().into();
        shown.extend(pair.inbox(owner).await.iter().map(|it| {
            Group {
                owner: owner.clone(),
                post: text(&it["post"]),
                count: it["count"].as_u64().unwrap(),
                kinds: it["kinds"]
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(|(kind, count)| (kind.as_str().into(), count.as_u64().unwrap()))
                    .collect(),
                actors: it["actors"].as_array().unwrap().iter().map(text).collect(),
            }
        }));
    }
    shown
}

/// What should not be there when nothing is under way: events in the outbox, runs in an inbox.
fn left(pair: &Pair) -> Vec<String> {
    let count = |service: &Service, what: &str| -> Option<String> {
        let left = rows::count(service, what);
        (left > 0).then(|| format!("{}: {left} of {what}", service.name()))
    };
    let outbox = count(&pair.reaction, "outbox");
    let runs = "inbox_epochs WHERE length(runs) > 0";
    let inboxes = [&pair.notification, pair.trending()].map(|it| count(it, runs));
    outbox
        .into_iter()
        .chain(inboxes.into_iter().flatten())
        .collect()
}
