//! The report for a terminal.

use super::{Report, summary, terms};
use crate::compare::{
    claims::{Claim, Verdict},
    recommend::{Criterion, Fits},
};
use comfy_table::{
    Attribute, Cell, Color, ContentArrangement, Table, presets::UTF8_HORIZONTAL_ONLY,
};
use duet_crd::Mode;
use std::fmt::Write;

/// Below this a table would be a column of single words.
const NARROWEST: u16 = 72;
/// Beyond this lines are too long to be read.
const WIDEST: u16 = 160;
/// Where a terminal does not tell, or there is none.
const USUAL: u16 = 120;

/// How the report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// In columns.
    width: u16,
    colours: bool,
}

impl Style {
    /// As the terminal is; without one, plain.
    pub(crate) fn of_stdout() -> Self {
        use std::io::IsTerminal;
        let watched = std::io::stdout().is_terminal();
        Self {
            width: Table::new().width().unwrap_or(USUAL),
            colours: watched && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty()),
        }
    }

    #[cfg(test)]
    pub(super) fn plain(width: u16) -> Self {
        Self {
            width,
            colours: false,
        }
    }

    fn table(self, head: [&str; 4]) -> Table {
        let mut table = Table::new();
        table
            .load_style(UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(self.width.clamp(NARROWEST, WIDEST));
        match self.colours {
            true => table.enforce_styling(),
            false => table.force_no_tty(),
        };
        let head = head.into_iter().filter(|it| !it.is_empty());
        table.set_header(head.map(|it| Cell::new(it).add_attribute(Attribute::Bold)));
        table
    }
}

impl Report {
    /// Text as wide as `style` says: the figures that say most, each statement, the criteria, the recommendation.
    pub(crate) fn text(&self, style: Style) -> String {
        let mut text = String::new();
        self.write(&mut text, style)
            .expect("text can be written to");
        text
    }

    fn write(&self, text: &mut String, style: Style) -> std::fmt::Result {
        writeln!(
            text,
            "Sync and Async on this pair: {}\n",
            terms::line(&self.measured.terms)
        )?;

        let mut figures = style.table(["", "Sync", "Async", ""]);
        figures.set_header(
            ["", "Sync", "Async"].map(|it| Cell::new(it).add_attribute(Attribute::Bold)),
        );
        for row in summary::rows(&self.measured) {
            let [sync, asynchronous] = row.figures;
            figures.add_row([row.what, sync, asynchronous]);
        }
        writeln!(text, "{figures}\n")?;

        for (mode, said) in [(Mode::Sync, "synchronous"), (Mode::Async, "asynchronous")] {
            writeln!(text, "What is said of the {said} mode")?;
            let mut table = style.table(["Statement", "Sync", "Async", "In this run"]);
            for claim in self.claims.iter().filter(|it| it.said.of == mode) {
                table.add_row(cells(claim));
            }
            writeln!(text, "{table}\n")?;
        }
        writeln!(text, "{}\n", self.tally())?;

        writeln!(text, "When to use which")?;
        let mut table = style.table(["Criterion", "For", "Fits", "Why"]);
        for criterion in &self.recommendation.criteria {
            table.add_row(criterion_cells(criterion));
        }
        writeln!(text, "{table}\n")?;

        writeln!(text, "Recommended: {}", self.recommendation.choice.words())?;
        for sentence in &self.recommendation.because {
            writeln!(text, "  {sentence} [{}]", sentence.sources().join(", "))?;
        }
        let document = &self.recommendation.document;
        match document.changes.as_slice() {
            [] => writeln!(text, "\nThe Channel for it, as it was before the run:\n")?,
            _ => writeln!(
                text,
                "\nThe Channel for it (--out DIR writes it; then: {}):\n",
                document.apply
            )?,
        }
        writeln!(text, "{}", document.yaml.trim_end())?;
        for note in &self.measured.notes {
            writeln!(text, "\nMind: {note}")?;
        }
        Ok(())
    }
}

fn cells(claim: &Claim) -> [Cell; 4] {
    let judged = &claim.judged;
    let verdict = judged.judgement.verdict;
    let commands: Vec<_> = judged
        .measured
        .iter()
        .map(|it| it.command.as_str())
        .collect();
    [
        Cell::new(format!("{}\n({})", claim.said.words, commands.join("; "))),
        Cell::new(&judged.sync),
        Cell::new(&judged.r#async),
        Cell::new(format!(
            "{}. {}",
            verdict.words().to_uppercase(),
            judged.judgement.because
        ))
        .fg(match verdict {
            Verdict::Held => Color::Green,
            Verdict::HeldInPart => Color::Yellow,
            Verdict::DidNotHold => Color::Magenta,
            Verdict::TooLittleData => Color::DarkGrey,
        }),
    ]
}

fn criterion_cells(criterion: &Criterion) -> [String; 4] {
    let (fits, why) = fits(criterion);
    [
        criterion.words.to_owned(),
        format!("{:?}", criterion.of),
        fits.to_owned(),
        why,
    ]
}

/// Whether a criterion fits, in a word, and why.
pub(super) fn fits(criterion: &Criterion) -> (&'static str, String) {
    let why = || {
        criterion
            .because
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    match (&criterion.fits, criterion.assumed) {
        (Fits::Yes, false) => ("yes", why()),
        (Fits::Yes, true) => ("yes, assumed", why()),
        (Fits::No, false) => ("no", why()),
        (Fits::No, true) => ("no, assumed", why()),
        (Fits::Unknown(why), _) => ("too little data", why.clone()),
    }
}
