//! A report as text.

use super::report::{ModeReport, Report, Series, Terms};
use crate::bench::{
    load::Users,
    report::{Spread, goals},
};
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
        let same = self.same_request.per_second.median / self.baseline.per_second.median;
        for (name, series, ratio) in [
            ("bare", &self.baseline, 1.0),
            ("same request", &self.same_request, same),
        ] {
            row(f, line(name, series, format!("{ratio:.3}"), String::new()))?;
        }
        for mode in &self.modes {
            let drain = format!("{:.2}", mode.drain_seconds.median);
            let ratio = format!("{:.3}", mode.ratio.median);
            row(f, line(mode.mode, &mode.series, ratio, drain))?;
        }
        for mode in &self.modes {
            writeln!(f, "\n{mode}")?;
        }
        goals(f, &self.goals)
    }
}

fn row(f: &mut fmt::Formatter<'_>, [name, cells @ ..]: [String; 8]) -> fmt::Result {
    let mut line = format!("{name:<12}");
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
            ratio_same_request,
            series,
            broker_per_second,
            stored,
            ..
        } = self;
        writeln!(
            f,
            "{mode}: {ratio:.3} of the bare server, {:.3} of the one that is asked the same; {:.0} requests/s",
            ratio_same_request, series.per_second
        )?;
        writeln!(
            f,
            "  stored at both ends, counted: {stored} of {stored} accepted"
        )?;
        if let Some(broker) = broker_per_second {
            writeln!(
                f,
                "  its nats-server alone stores and acknowledges {:.0} messages/s of one event each",
                broker.median
            )?;
        }
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
            posts,
            users,
            ground,
        } = self;
        writeln!(
            f,
            "{connections} connections, {duration:?} a round after {warm_up:?} of warm-up. {ground}"
        )?;
        let order = match users {
            Users::Ordered => "",
            Users::Scattered => ", in no order",
        };
        write!(
            f,
            "Every request is a reaction of another user to one of {posts} posts{order}; what counts is stored at both ends, the drain included."
        )
    }
}
