//! The report as Markdown, to paste where a team writes.

use super::{Report, page::Page};
use crate::{
    compare::recommend::Span,
    failure::{Doing, Failure},
};
use askama::{Template, filters::Escaper};
use std::fmt;

/// Escapes what a cell of a table can't hold. Backticks stay: what is between them is code in every form of the report.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cell;

impl Escaper for Cell {
    fn write_escaped_str<W: fmt::Write>(&self, mut to: W, text: &str) -> fmt::Result {
        text.chars().try_for_each(|letter| match letter {
            '|' => to.write_str("\\|"),
            '<' => to.write_str("&lt;"),
            '\n' | '\r' => to.write_char(' '),
            other => to.write_char(other),
        })
    }
}

#[derive(Template)]
#[template(path = "report.md")]
struct Document<'a> {
    page: Page<'a>,
}

impl Report {
    /// GitHub's Markdown.
    pub(super) fn markdown(&self) -> Result<String, Failure> {
        let document = Document { page: self.page() };
        document
            .render()
            .doing(|| "write the report as Markdown".to_owned())
    }
}
