//! Pictures: SVG, made by plotters.

mod axis; // from figures to places, and what is written beside an axis
mod canvas; // lines, bars and ranges in the two modes' colours
mod svg; // what plotters leaves out: a title for who can't see it, colours for the dark

pub(crate) use axis::Axis;
pub(crate) use canvas::{Bar, Line, Range, bars, lines, ranges};
pub(crate) use svg::STYLE;

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    /// For links.
    pub(crate) id: &'static str,
    /// What it shows, as a headline.
    pub(crate) title: String,
    /// The same for who can't see it, with the figures.
    pub(crate) alt: String,
    /// The element `svg`.
    pub(crate) svg: String,
}

impl Picture {
    pub(crate) fn new(
        id: &'static str,
        title: impl Into<String>,
        alt: impl Into<String>,
        drawn: Option<String>,
    ) -> Option<Self> {
        let (title, alt) = (title.into(), alt.into());
        let svg = svg::described(&drawn?, id, &title, &alt)?;
        Some(Self {
            id,
            title,
            alt,
            svg,
        })
    }

    /// A file of its own, with its title above it.
    pub(crate) fn alone(&self) -> Option<String> {
        svg::alone(&self.svg, &self.title)
    }

    /// That file's name.
    pub(crate) fn file(&self) -> String {
        format!("{}.svg", self.id)
    }
}
