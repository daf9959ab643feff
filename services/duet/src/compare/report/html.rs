//! The report as one page of HTML with everything in it: no script, nothing from elsewhere.

use super::{Report, page::Page};
use crate::{
    compare::recommend::Span,
    failure::{Doing, Failure},
    pictures,
};
use askama::Template;

#[derive(Template)]
#[template(path = "report.html")]
struct Document<'a> {
    page: Page<'a>,
    style: &'static str,
    pictures_style: &'static str,
}

impl Report {
    /// The page.
    pub(super) fn html(&self) -> Result<String, Failure> {
        let document = Document {
            page: self.page(),
            style: include_str!("../templates/report.css"),
            pictures_style: pictures::STYLE,
        };
        document
            .render()
            .doing(|| "write the report as HTML".to_owned())
    }
}
