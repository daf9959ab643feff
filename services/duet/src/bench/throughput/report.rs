//! What was measured: the numbers, which are also the JSON.

use crate::bench::{
    load::Users,
    report::{Goal, Ground, Spread, seconds},
    sample::Sample,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The terms, and what came out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::bench) struct Report {
    pub(super) question: &'static str,
    pub(super) terms: Terms,
    /// A bare actix-web server with one static route.
    pub(super) baseline: Series,
    /// A bare actix-web server that is asked the same: it parses path and JSON, and answers in JSON of the same form.
    pub(super) same_request: Series,
    /// The pair, by mode.
    pub(super) modes: Vec<ModeReport>,
    pub(super) goals: Vec<Goal>,
}

/// On what terms the numbers stand.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Terms {
    pub(super) connections: u16,
    #[serde(rename = "durationSeconds", serialize_with = "seconds")]
    pub(super) duration: Duration,
    #[serde(rename = "warmUpSeconds", serialize_with = "seconds")]
    pub(super) warm_up: Duration,
    pub(super) posts: u32,
    pub(super) users: Users,
    #[serde(flatten)]
    pub(super) ground: Ground,
}

/// One mode of the pair.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModeReport {
    pub(super) mode: &'static str,
    /// Its rate to the baseline's of the same round.
    pub(super) ratio: Spread,
    /// Its rate to that of the bare server that is asked the same.
    pub(super) ratio_same_request: Spread,
    #[serde(flatten)]
    pub(super) series: Series,
    /// What its broker alone takes: messages of one event each, stored and acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) broker_per_second: Option<Spread>,
    /// Reactions that were accepted, warm-up included; both stores were counted and hold exactly these.
    pub(super) stored: u64,
    /// Seconds from the last answer until all was stored at both ends.
    pub(super) drain_seconds: Spread,
}

/// All rounds of one kind.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Series {
    /// Requests that were accepted; where something is stored, until it is stored at both ends.
    pub(super) per_second: Spread,
    /// How often each status was answered.
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Microseconds that callers waited: half of them at most this long. The loop is closed: a slow answer delays the next
    /// request.
    pub(super) wait_p50_micros: Spread,
    /// Of a hundred callers, one waited longer.
    pub(super) wait_p99_micros: Spread,
    /// Microseconds of CPU for each request, by process.
    pub(super) cpu_micros: BTreeMap<String, Spread>,
    /// The same of all of them, without the load generator.
    pub(super) cpu_micros_together: Spread,
    /// The same of the load generator.
    pub(super) load_cpu_micros: Spread,
    /// The load generator's share of all CPU that was used.
    pub(super) load_share: Spread,
    /// KiB that were written to files for each request, by all processes; none where the system doesn't tell.
    pub(super) written_kib: Option<Spread>,
    /// Cores that were busy with all of it, on average.
    pub(super) cores_busy: Spread,
}

impl Series {
    pub(super) fn of(rounds: &[Sample]) -> Self {
        let spread = |of: &dyn Fn(&Sample) -> f64| Spread::of(rounds.iter().map(of));
        let wait = |quantile| spread(&|it| it.answered.wait(quantile).as_secs_f64() * 1e6);
        let mut statuses = BTreeMap::new();
        for (status, times) in rounds.iter().flat_map(|round| &round.answered.statuses) {
            *statuses.entry(*status).or_default() += times;
        }
        let processes: BTreeSet<_> = rounds.iter().flat_map(|round| round.cpu.keys()).collect();
        let cpu_of = |name: &String| {
            spread(&|it| it.micros_each(it.cpu.get(name).copied().unwrap_or_default()))
        };
        Self {
            per_second: spread(&Sample::per_second),
            statuses,
            wait_p50_micros: wait(0.5),
            wait_p99_micros: wait(0.99),
            cpu_micros: processes
                .into_iter()
                .map(|name| (name.clone(), cpu_of(name)))
                .collect(),
            cpu_micros_together: spread(&|it| it.micros_each(it.together())),
            load_cpu_micros: spread(&|it| it.micros_each(it.load_cpu)),
            load_share: spread(&Sample::load_share),
            written_kib: rounds
                .iter()
                .map(Sample::kib_written_each)
                .collect::<Option<Vec<_>>>()
                .map(Spread::of),
            cores_busy: spread(&Sample::cores_busy),
        }
    }
}
