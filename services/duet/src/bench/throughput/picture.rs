//! The rates as bars.

use super::report::{ModeReport, Report};
use crate::pictures::{Bar, Picture, bars};
use duet_crd::Mode;

impl Report {
    /// Each mode's share of what the bare servers do; none where a mode was left out.
    pub(in crate::bench) fn picture(&self) -> Option<Picture> {
        let [sync, r#async] = &self.modes[..] else {
            return None;
        };
        let modes = [(Mode::Sync, sync), (Mode::Async, r#async)];
        let group = |name: &str, share: &dyn Fn(&ModeReport) -> f64| {
            let bar = |(mode, of): (Mode, &ModeReport)| {
                let percent = share(of) * 100.0;
                Bar {
                    mode,
                    percent: percent.min(100.0),
                    shown: format!("{percent:.0} %"),
                }
            };
            (name.to_owned(), Vec::from(modes.map(bar)))
        };
        let groups = [
            group("the same request", &|it| it.ratio_same_request.median),
            group("one static route", &|it| it.ratio.median),
        ];
        let rate = |of: &ModeReport| format!("{:.0}", of.series.per_second.median);
        let title = format!(
            "Stored at both ends: {}/s in Sync, {}/s in Async",
            rate(sync),
            rate(r#async)
        );
        let alt = format!(
            "Bar chart: reactions a second as a share of what a bare web server answers. {}",
            groups
                .iter()
                .map(|(name, bars)| format!(
                    "Of {name}: {} in Sync, {} in Async.",
                    bars[0].shown, bars[1].shown
                ))
                .collect::<Vec<_>>()
                .join(" ")
        );
        let drawn = bars("Of a bare web server's rate, %", &groups);
        Picture::new("throughput", title, alt, drawn)
    }
}
