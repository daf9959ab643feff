use crate::{
    callers::{Told, owners},
    common::duet_on,
    rows,
    run::Ended,
    say,
    streams::Streams,
};
use duet_history::{Explained, Group, Held, Rows, Violation, groups, stream};
use duet_testkit::{Pair, Service, until};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{Instant, sleep};

/// How long it may take until nothing is under way: the longest backoff, a few times.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long an event stream may take to tell the last change: twice its heartbeat.
const TOLD: Duration = Duration::from_secs(30);
/// Violations shown.
const SHOWN: usize = 5;

/// Waits until nothing is under way, and compares.
///
/// # Panics
/// If anything can't be explained.
pub(crate) async fn judge(ended: Ended) -> Explained {
    let Ended {
        pair,
        told,
        streams,
        trending_lacks,
    } = ended;
    let Told { history, strange } = told;
    is_settled(&pair).await;
    if trending_lacks {
        since_it_joined(&pair);
        is_balanced(&pair);
        // What it lacks, as one that joined later, it is given by a resync.
        let said = duet_on(&pair, "resync", &["--yes", "--sweep-most"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        is_settled(&pair).await;
    }
    let held = held(&pair);
    let explained = history.check(&held);
    let mut wrong: Vec<String> = Vec::new();
    if let Err(violations) = &explained {
        say(&format!("{} violations", violations.len()));
        wrong.extend(violations.iter().map(ToString::to_string));
    }
    let violations = shown(&pair, &streams, &held.sender).await;
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
    is_balanced(&pair);
    wrong.extend(services(&pair).iter().filter_map(|it| too_large(it)));
    let count = wrong.len();
    wrong.truncate(SHOWN);
    assert!(wrong.is_empty(), "{count} wrong:\n{}", wrong.join("\n"));
    explained.unwrap()
}

/// # Panics
/// If `duet audit` doesn't say so.
fn is_balanced(pair: &Pair) {
    let audit = duet_on(pair, "audit", &[]);
    assert_eq!(audit.code, Some(0), "{audit:?}");
    say(&audit.stdout);
}

/// Of a receiver that was none for a while: it holds what was written since it joined.
///
/// # Panics
/// If it lacks something of that.
fn since_it_joined(pair: &Pair) {
    let (due, held) = (
        rows::since_joined(pair, "trending"),
        rows::at_trending(pair),
    );
    let lacks = due
        .iter()
        .filter(|(pair, kind)| held.get(*pair) != Some(*kind));
    let lacks: Vec<_> = lacks.take(SHOWN).collect();
    let all = due.len();
    assert!(
        lacks.is_empty(),
        "of {all} since it joined, Trending lacks {lacks:?}"
    );
    say(&format!(
        "Trending, which was no receiver for a while, holds all {all} since it joined"
    ));
}

fn services(pair: &Pair) -> [&Service; 3] {
    [&pair.reaction, &pair.notification, pair.trending()]
}

/// Waits until both receivers are known to hold everything, and nothing is parked or dead.
async fn is_settled(pair: &Pair) {
    until(PATIENCE, || async {
        let told = pair.reaction.channel().await?;
        // Trending joined last of all: before it has, nothing is due to it.
        let both = told["receivers"]
            .as_array()
            .is_some_and(|all| all.len() == 2);
        let is_sent = both && told["unacknowledged"] == 0 && told["opening"].is_null();
        let mut parked = Vec::new();
        for receiver in [&pair.notification, pair.trending()] {
            let told = receiver.channel().await?;
            parked.extend(["parked", "deadLetters"].map(|it| told[it].clone()));
        }
        let is_applied = parked.iter().all(|it| it.is_null() || it == 0);
        (is_sent && is_applied)
            .then_some(())
            .ok_or_else(|| format!("{told}, parked and dead {parked:?}"))
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

/// What every owner is shown, and what is wrong with it and with what event streams told of it.
async fn shown(pair: &Pair, streams: &Streams, rows: &Rows) -> Vec<Violation> {
    let owners = owners();
    let mut all: Vec<Group> = Vec::new();
    let mut wrong = Vec::new();
    for owner in owners.values().collect::<BTreeSet<_>>() {
        let list = pair.groups(owner).await;
        // What was the last change is told soon, or with the next sign of life.
        let told_by = Instant::now() + TOLD;
        while !stream(&streams.told(owner), &list).is_empty() && Instant::now() < told_by {
            sleep(Duration::from_millis(50)).await;
        }
        wrong.extend(stream(&streams.told(owner), &list));
        all.extend(list);
    }
    wrong.extend(groups(rows, &owners, &all));
    wrong
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

/// What a process takes, if it is more than the little that so few pairs should leave: its memory, and its store's files.
fn too_large(service: &Service) -> Option<String> {
    const MEMORY: u64 = 256 << 20;
    const FILES: u64 = 64 << 20;
    let status = format!("/proc/{}/status", service.id());
    let status = std::fs::read_to_string(status).unwrap_or_default();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory: u64 = memory.map_or(0, |it| {
        let kilobytes = it.trim().trim_end_matches(" kB");
        kilobytes.parse::<u64>().unwrap() << 10
    });
    let files = std::fs::read_dir(service.data_dir()).unwrap().flatten();
    let files = files.filter(|it| it.file_name().to_string_lossy().contains(".sqlite"));
    let files: u64 = files.map(|it| it.metadata().unwrap().len()).sum();
    let took = format!(
        "{}: {} MiB of memory, {} MiB of files",
        service.name(),
        memory >> 20,
        files >> 20
    );
    say(&took);
    (memory > MEMORY || files > FILES).then_some(took)
}
