//! A report as text.

use super::{ModeReport, Report, Series, Spread, Terms};
use crate::bench::{load::Users, pair::Traces};
use std::fmt::{self, Write};

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
        if let Some(written) = series.written_kib {
            writeln!(
                f,
                "  written to files: {:.1} KiB a reaction",
                written.median
            )?;
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
            users,
            workers,
            cores,
            traces,
            disk,
        } = self;
        writeln!(
            f,
            "{connections} connections, {duration:?} a round after {warm_up:?} of warm-up, medians of {rounds} rounds; {cores} cores, {workers} HTTP workers each"
        )?;
        let order = match users {
            Users::Ordered => "",
            Users::Scattered => ", in no order",
        };
        writeln!(
            f,
            "Every request is a reaction of another user to one of {posts} posts{order}; what counts is stored at both ends, the drain included."
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
