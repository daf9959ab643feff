//! What a run looks like: each picture of one question.

use crate::{
    compare::{
        claims::{BROKER_AWAY, RECEIVER_AWAY, Tail, View, failed},
        measured::{Measured, Quantiles, SlowStep, SurgeStep},
        printed::{PerSecond, Share, Time},
    },
    pictures::{Axis, Bar, Line, Picture, Range, bars, lines, ranges},
};
use duet_crd::Mode;
use std::time::Duration;

const MODES: [Mode; 2] = [Mode::Sync, Mode::Async];

/// Those pictures for which both modes were measured.
pub(super) fn all(measured: &Measured) -> Vec<Picture> {
    let pictures = [
        slow(measured),
        surge(measured),
        backlog(measured),
        failures(measured),
        freshness(measured),
    ];
    pictures.into_iter().flatten().collect()
}

/// A figure of each mode, if both have it.
fn both<T>(measured: &Measured, figure: impl Fn(View<'_>) -> Option<T>) -> Option<[T; 2]> {
    let [sync, r#async] = MODES.map(|mode| figure(View::new(measured, mode)));
    Some([sync?, r#async?])
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Callers' latency by mode while Notification slows.
fn slow(measured: &Measured) -> Option<Picture> {
    let point = |SlowStep { delay, traffic }: &SlowStep| {
        Some((millis(*delay), millis(traffic.waits_of_all.get().ok()?.p50)))
    };
    let [sync, r#async]: [Vec<_>; 2] = both(measured, |view| {
        let points = view
            .of(|it| &it.slow)
            .ok()?
            .steps
            .iter()
            .filter_map(point)
            .collect::<Vec<_>>();
        (points.len() > 1).then_some(points)
    })?;
    let (slowest, waited) = (*sync.last()?, *r#async.last()?);
    let most = sync
        .iter()
        .chain(&r#async)
        .map(|it| it.1)
        .fold(1.0, f64::max);
    let drawn = lines(
        &Axis::up_to("Added to Notification's time, ms", slowest.0.max(waited.0)),
        &Axis::linear("Caller waits, median, ms", most),
        &[Line::of(Mode::Sync, sync), Line::of(Mode::Async, r#async)],
        None,
    );
    let time = |millis: f64| Time(Duration::from_secs_f64(millis / 1e3));
    let title = match slowest.1 >= slowest.0 / 2.0 {
        true => "Callers in Sync wait for what Notification takes longer",
        false => "What callers wait while Notification takes longer",
    };
    Picture::new(
        "slow",
        title,
        format!(
            "Line chart: with {} added to Notification's time, the median caller waits {} in Sync and {} in Async.",
            time(slowest.0),
            time(slowest.1),
            time(waited.1)
        ),
        drawn,
    )
}

/// Rate offered against what nearly all callers wait.
fn surge(measured: &Measured) -> Option<Picture> {
    let steps = both(measured, |view| {
        let steps = &view.of(|it| &it.surge).ok()?.steps;
        let step = |SurgeStep { traffic, .. }: &SurgeStep| {
            Some((traffic.per_second, *traffic.waits_of_all.get().ok()?))
        };
        let steps = steps.iter().filter_map(step).collect::<Vec<_>>();
        (steps.len() > 1).then_some(steps)
    })?;
    let tail = Tail::of(steps.iter().flatten().map(|(_, waits)| waits));
    let [sync, r#async] = steps.map(|steps| {
        let point = |(rate, waits): (f64, Quantiles)| (rate, millis(tail.time(&waits)));
        steps.into_iter().map(point).collect::<Vec<_>>()
    });
    let cap = f64::from(cap(measured)?);
    let waits = || sync.iter().chain(&r#async).map(|it| it.1);
    let fastest = waits().fold(f64::INFINITY, f64::min);
    let slowest = waits().fold(0.0, f64::max);
    let (last, other) = (*sync.last()?, *r#async.last()?);
    let waits = match tail {
        Tail::P99 => "Caller waits, p99, ms",
        Tail::P90 => "Caller waits, p90, ms",
    };
    let drawn = lines(
        &Axis::up_to("Reactions offered a second", last.0.max(other.0)),
        &Axis::log(waits, fastest, slowest),
        &[Line::of(Mode::Sync, sync), Line::of(Mode::Async, r#async)],
        Some((cap, format!("Notification takes {}", PerSecond(cap)))),
    );
    let time = |millis: f64| Time(Duration::from_secs_f64(millis / 1e3));
    Picture::new(
        "surge",
        format!(
            "What callers wait when more comes than the {} that Notification takes",
            PerSecond(cap)
        ),
        format!(
            "Line chart, logarithmic: at {} a {tail} of {} in Sync and {} in Async.",
            PerSecond(last.0),
            time(last.1),
            time(other.1)
        ),
        drawn,
    )
}

fn cap(measured: &Measured) -> Option<u32> {
    let surge = View::new(measured, Mode::Async).of(|it| &it.surge).ok()?;
    Some(surge.cap_per_second)
}

/// What waits for Notification during the surge and after it.
fn backlog(measured: &Measured) -> Option<Picture> {
    let [sync, r#async]: [Vec<_>; 2] = both(measured, |view| {
        let backlog = &view.of(|it| &it.surge).ok()?.backlog;
        let points: Vec<_> = backlog
            .iter()
            .map(|it| (it.at.as_secs_f64(), it.waiting as f64))
            .collect();
        (points.len() > 1).then_some(points)
    })?;
    let points = || sync.iter().chain(&r#async);
    let (length, most) = (
        points().map(|it| it.0).fold(0.0, f64::max),
        points().map(|it| it.1).fold(1.0, f64::max),
    );
    let highest = |points: &[(f64, f64)]| points.iter().map(|it| it.1).fold(0.0, f64::max);
    let drained = [&sync, &r#async]
        .iter()
        .all(|it| it.last().is_none_or(|last| last.1 == 0.0));
    let left = if drained {
        "none does"
    } else {
        "some still do"
    };
    let alt = format!(
        "Line chart over time: at most {:.0} reactions wait in Sync and {:.0} in Async; after {length:.0} s {left}.",
        highest(&sync),
        highest(&r#async)
    );
    let title = match drained && highest(&r#async) > highest(&sync) {
        true => "In Async the surge waits in the outbox and the stream, and drains after it",
        false => "What waits for Notification during a surge, and after it",
    };
    let drawn = lines(
        &Axis::up_to("Since the surge began, s", length),
        &Axis::linear("Reactions that wait for Notification", most),
        &[
            Line::of(Mode::Sync, sync).unmarked(),
            Line::of(Mode::Async, r#async).unmarked(),
        ],
        None,
    );
    Picture::new("backlog", title, alt, drawn)
}

/// Failures by mode, for each thing that went wrong.
fn failures(measured: &Measured) -> Option<Picture> {
    type Shares = fn(View<'_>) -> Option<Share>;
    let failing: Shares = |view| failed(&view.of(|it| &it.failing).ok()?.traffic).ok();
    let long: Shares = |view| failed(&view.of(|it| &it.long_job).ok()?.traffic).ok();
    let mut shown: Vec<(String, [Option<Share>; 2])> = Vec::new();
    let mut add = |name: String, share: &dyn Fn(View<'_>) -> Option<Share>| {
        let shares = MODES.map(|mode| share(View::new(measured, mode)));
        if shares.iter().any(Option::is_some) {
            shown.push((name, shares));
        }
    };
    for (name, of) in RECEIVER_AWAY {
        add(format!("Notification {name}"), &|view| {
            failed(&view.of(of).ok()?.traffic).ok()
        });
    }
    add("Notification failing".to_owned(), &failing);
    add("Job over the deadline".to_owned(), &long);
    for (name, of) in BROKER_AWAY {
        add(format!("Broker {name}"), &|view| {
            failed(&view.of(of).ok()?.traffic).ok()
        });
    }
    if shown.is_empty() {
        return None;
    }
    let told = shown.iter().map(|(name, [sync, r#async])| {
        let share =
            |it: &Option<Share>| it.map_or_else(|| "not measured".to_owned(), |it| it.to_string());
        format!(
            "{name}: {} in Sync, {} in Async",
            share(sync),
            share(r#async)
        )
    });
    let alt = format!("Bar chart. {}.", told.collect::<Vec<_>>().join("; "));
    let groups: Vec<_> = shown
        .into_iter()
        .map(|(name, shares)| {
            let bars = MODES.into_iter().zip(shares).filter_map(|(mode, share)| {
                share.map(|share| Bar {
                    mode,
                    percent: share.of_one() * 100.0,
                    shown: share.to_string(),
                })
            });
            (name, bars.collect::<Vec<_>>())
        })
        .collect();
    Picture::new(
        "failures",
        "How many requests fail, by what goes wrong",
        alt,
        bars("Requests that fail, %", &groups),
    )
}

/// What the caller waits beside what the owner does.
fn freshness(measured: &Measured) -> Option<Picture> {
    let waited = both(measured, |view| {
        let traffic = &view.baseline().ok()?.traffic;
        let (caller, owner) = (
            traffic.waits.get().ok()?,
            traffic.freshness.get().ok()?.took,
        );
        Some([
            (view.mode, "caller is answered", *caller),
            (view.mode, "owner sees it", owner),
        ])
    })?;
    let tail = Tail::of(waited.iter().flatten().map(|(_, _, waits)| waits));
    let rows = waited
        .into_iter()
        .flatten()
        .map(|(mode, who, waits)| Range {
            name: format!("{mode:?}: {who}"),
            mode,
            from: millis(waits.p50),
            to: millis(tail.time(&waits)),
            shown: format!("{} · {tail} {}", Time(waits.p50), Time(tail.time(&waits))),
        });
    let rows: Vec<_> = rows.collect();
    let told: Vec<_> = rows
        .iter()
        .map(|it| format!("{}: median {}", it.name, it.shown))
        .collect();
    let axis = match tail {
        Tail::P99 => "After the request was due, ms: median to p99",
        Tail::P90 => "After the request was due, ms: median to p90",
    };
    Picture::new(
        "freshness",
        "When the caller is answered, and when the owner sees it",
        format!("Range chart, logarithmic. {}.", told.join("; ")),
        ranges(axis, &rows),
    )
}
