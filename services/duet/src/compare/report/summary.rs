//! The few rows that say most: what README shows of a run.

use crate::compare::{
    claims::{BROKER_AWAY, RECEIVER_AWAY, Tail, View, failed, peak, slowed},
    measured::{Figure, Measured, Quantiles, Traffic},
    printed::{Count, Time},
};
use duet_crd::Mode;

/// A figure in both modes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) what: String,
    /// Sync's and Async's.
    pub(super) figures: [String; 2],
}

/// Where there is none.
const NONE: &str = "–";

/// Those rows of which at least one mode was measured.
pub(super) fn rows(measured: &Measured) -> Vec<Row> {
    let row = |what: &str, figure: &dyn Fn(View<'_>) -> Option<String>| {
        let figures = [Mode::Sync, Mode::Async].map(|mode| figure(View::new(measured, mode)));
        figures.iter().any(Option::is_some).then(|| Row {
            what: what.to_owned(),
            figures: figures.map(|it| it.unwrap_or_else(|| NONE.to_owned())),
        })
    };
    let quantiles = |of: &Quantiles| {
        let tail = Tail::of([of]);
        format!("{}, {tail} {}", Time(of.p50), Time(tail.time(of)))
    };
    let slower = View::new(measured, Mode::Sync)
        .of(|it| &it.slow)
        .ok()
        .and_then(|it| it.steps.last());
    let slower = slower.map_or_else(String::new, |it| format!(" by {}", Time(it.delay)));
    let mut rows = vec![
        row("Caller waits, median", &|view| {
            Some(quantiles(view.baseline().ok()?.traffic.waits.get().ok()?))
        }),
        row("Owner sees it after, median", &|view| {
            Some(quantiles(
                &view.baseline().ok()?.traffic.freshness.get().ok()?.took,
            ))
        }),
        row(
            &format!("Caller waits, median, while Notification is slower{slower}"),
            &|view| Some(Time(slowed(view).ok()?.after).to_string()),
        ),
        row(
            "Served as before up to, with Notification taking a fixed rate",
            &|view| {
                let peak = peak(view).ok()?;
                Some(format!("{} of {}", peak.held, peak.cap))
            },
        ),
    ];
    for (name, of) in RECEIVER_AWAY {
        let lasted = match name {
            // Who asks less than the deadline before its end is still answered.
            "hung" => hung_for(measured),
            _ => None,
        };
        rows.push(row(
            &format!(
                "Requests that fail while Notification is {name}{}",
                lasted.unwrap_or_default()
            ),
            &|view| Some(failed(&view.of(of).ok()?.traffic).ok()?.to_string()),
        ));
    }
    rows.push(row(
        "Requests that fail while the broker is down",
        &|view| {
            Some(
                failed(&view.of(|it| &it.broker_down).ok()?.traffic)
                    .ok()?
                    .to_string(),
            )
        },
    ));
    rows.push(row(
        "Reactions accepted and lost, over everything",
        &|view| Some(Count(lost(view)?).to_string()),
    ));
    rows.push(row("CPU a reaction, all processes", &|view| {
        Some(Time(view.baseline().ok()?.cpu_each.get().ok()?.time).to_string())
    }));
    rows.into_iter().flatten().collect()
}

/// For how long, beside how long a caller waits.
fn hung_for(measured: &Measured) -> Option<String> {
    let hung = View::new(measured, Mode::Sync).of(|it| &it.hung).ok()?;
    let deadline = measured.terms.deadline;
    Some(format!(
        " for {} (deadline {})",
        Time(hung.away),
        Time(deadline)
    ))
}

/// Over every scenario with traffic of which it was counted.
fn lost(view: View<'_>) -> Option<u64> {
    let mut traffic: Vec<&Traffic> = Vec::new();
    traffic.extend(view.baseline().map(|it| &it.traffic));
    traffic.extend(view.of(|it| &it.long_job).map(|it| &it.traffic));
    traffic.extend(view.of(|it| &it.failing).map(|it| &it.traffic));
    let slow = view.of(|it| &it.slow).into_iter().flat_map(|it| &it.steps);
    traffic.extend(slow.map(|it| &it.traffic));
    // A surge is one load, and each of its steps tells what was lost over all of it.
    traffic.extend(
        view.of(|it| &it.surge)
            .ok()
            .and_then(|it| Some(&it.steps.last()?.traffic)),
    );
    if let Ok(joined) = view.of(|it| &it.second_receiver) {
        traffic.push(&joined.alone);
        traffic.extend(
            [&joined.with_fast, &joined.with_slow]
                .map(Figure::get)
                .into_iter()
                .flatten(),
        );
    }
    let outages = RECEIVER_AWAY.into_iter().chain(BROKER_AWAY);
    traffic.extend(outages.filter_map(|(_, of)| view.of(of).ok().map(|it| &it.traffic)));
    let lost = traffic.iter().filter_map(|it| it.lost.get().ok());
    lost.copied().reduce(|sum, lost| sum + lost)
}
