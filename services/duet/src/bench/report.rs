//! What was measured, as numbers and as text.

use super::{disk::Disk, pair::Traces, sample::Sample};
use serde::{Serialize, Serializer};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write},
    time::Duration,
};

/// The terms, and what came out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) terms: Terms,
    /// A bare actix-web server with one static route.
    pub(super) baseline: Series,
    /// The pair, by mode.
    pub(super) modes: Vec<ModeReport>,
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
    pub(super) rounds: u16,
    pub(super) posts: u32,
    /// Threads that serve HTTP, in the baseline and in each service.
    pub(super) workers: usize,
    pub(super) cores: usize,
    pub(super) traces: Traces,
    pub(super) disk: Disk,
}

/// One mode of the pair.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModeReport {
    pub(super) mode: &'static str,
    /// Its rate to the baseline's of the same round.
    pub(super) ratio: Spread,
    #[serde(flatten)]
    pub(super) series: Series,
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
    /// Cores that were busy with all of it, on average.
    pub(super) cores_busy: Spread,
}

/// The median of the rounds, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
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
            cores_busy: spread(&Sample::cores_busy),
        }
    }
}

impl Spread {
    /// Over the rounds; all zero if there are none.
    pub(super) fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut rounds: Vec<f64> = rounds.into_iter().collect();
        rounds.sort_by(f64::total_cmp);
        let at = |index: usize| rounds.get(index).copied().unwrap_or_default();
        let last = rounds.len().saturating_sub(1);
        Self {
            median: f64::midpoint(at(last / 2), at(last.div_ceil(2))),
            least: at(0),
            most: at(last),
        }
    }
}

fn seconds<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64())
}

pub(super) fn micros<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64() * 1e6)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.terms)?;
        let head = [
            "",
            "ratio",
            "requests/s",
            "µs CPU",
            "p50 ms",
            "p99 ms",
            "drain s",
            "load",
        ];
        row(f, head.map(str::to_owned))?;
        let line = |name: &str, series: &Series, ratio: String, drain: String| {
            let ms = |micros: Spread| format!("{:.1}", micros.median / 1e3);
            [
                name.to_owned(),
                ratio,
                format!("{:.0}", series.per_second.median),
                format!("{:.1}", series.cpu_micros_together.median),
                ms(series.wait_p50_micros),
                ms(series.wait_p99_micros),
                drain,
                format!("{:.0} %", series.load_share.median * 100.0),
            ]
        };
        row(
            f,
            line("baseline", &self.baseline, "1".to_owned(), String::new()),
        )?;
        for mode in &self.modes {
            let drain = format!("{:.2}", mode.drain_seconds.median);
            let ratio = format!("{:.3}", mode.ratio.median);
            row(f, line(mode.mode, &mode.series, ratio, drain))?;
        }
        for mode in &self.modes {
            writeln!(f, "\n{mode}")?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, [name, cells @ ..]: [String; 8]) -> fmt::Result {
    let mut line = format!("{name:<10}");
    for cell in cells {
        write!(line, " {cell:>10}")?;
    }
    writeln!(f, "{}", line.trim_end())
}

impl fmt::Display for ModeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            mode,
            ratio,
            series,
            stored,
            ..
        } = self;
        let Spread {
            median,
            least,
            most,
        } = ratio;
        writeln!(
            f,
            "{mode}: ratio {median:.3} ({least:.3} to {most:.3}), {:.0} requests/s ({:.0} to {:.0})",
            series.per_second.median, series.per_second.least, series.per_second.most
        )?;
        writeln!(
            f,
            "  stored at both ends, counted: {stored} of {stored} accepted"
        )?;
        let refused: Vec<_> = series
            .statuses
            .iter()
            .filter(|(status, _)| !(200..300).contains(*status))
            .map(|(status, times)| format!("{times} × {status}"))
            .collect();
        if !refused.is_empty() {
            writeln!(f, "  not accepted: {}", refused.join(", "))?;
        }
        let mut parts: Vec<_> = series.cpu_micros.iter().collect();
        parts.sort_by(|(_, a), (_, b)| b.median.total_cmp(&a.median));
        let parts: Vec<_> = parts
            .iter()
            .map(|(name, spread)| format!("{name} {:.1}", spread.median))
            .collect();
        write!(
            f,
            "  µs of CPU a reaction: {}; beside them the load generator {:.1}; {:.2} cores busy",
            parts.join(", "),
            series.load_cpu_micros.median,
            series.cores_busy.median
        )
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connections,
            duration,
            warm_up,
            rounds,
            posts,
            workers,
            cores,
            traces,
            disk,
        } = self;
        writeln!(
            f,
            "{connections} connections, {duration:?} a round after {warm_up:?} of warm-up, medians of {rounds} rounds; {cores} cores, {workers} HTTP workers each"
        )?;
        writeln!(
            f,
            "Every request is a reaction of another user, to one of {posts} posts; what counts is stored at both ends, the drain included."
        )?;
        let traces = match traces {
            Traces::Default => {
                "traces sampled as by default and sent to Jaeger's pages in `duet up`"
            }
            Traces::Off => "no traces",
        };
        write!(
            f,
            "Stores on {} with synchronous=FULL, a flush takes {:.2} ms; {traces}.",
            disk.file_system,
            disk.flush.as_secs_f64() * 1e3
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        let spread = |rounds: &[f64]| Spread::of(rounds.iter().copied());
        assert_eq!(
            spread(&[3.0, 1.0, 2.0]),
            Spread {
                median: 2.0,
                least: 1.0,
                most: 3.0
            }
        );
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(spread(&[7.0]).median, 7.0);
        assert_eq!(spread(&[]).median, 0.0);
    }
}
