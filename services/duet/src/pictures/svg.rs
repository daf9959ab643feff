//! What plotters leaves out: a title for who can't see it, colours for the dark, and a size that follows the page.

use std::fmt::Write;

/// The colours of a picture in the dark; in the page and in a picture that stands alone.
pub(crate) const STYLE: &str = include_str!("../compare/templates/pictures.css");

/// The drawing with its title and description, and without a size of its own.
pub(super) fn described(drawn: &str, id: &str, title: &str, alt: &str) -> Option<String> {
    let (head, body) = drawn.split_once('>')?;
    let (_, view) = head.split_once("viewBox=\"")?;
    let (view, _) = view.split_once('"')?;
    let mut svg = String::new();
    write!(
        svg,
        r#"<svg class="picture" viewBox="{view}" xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{id}-title {id}-alt"><title id="{id}-title">{}</title><desc id="{id}-alt">{}</desc>"#,
        escaped(title),
        escaped(alt)
    )
    .ok()?;
    svg.push_str(body.trim());
    Some(svg)
}

/// Above a picture that stands alone, for its title.
const HEAD: u32 = 40;

/// A described drawing as a file of its own: its title above it, and the colours with it.
pub(super) fn alone(svg: &str, title: &str) -> Option<String> {
    let (head, body) = svg.split_once("</desc>")?;
    let (before, rest) = head.split_once("viewBox=\"0 0 ")?;
    let (size, after) = rest.split_once('"')?;
    let (width, height) = size.split_once(' ')?;
    let height = height.parse::<u32>().ok()? + HEAD;
    let title = escaped(title);
    Some(format!(
        r#"{before}viewBox="0 -{HEAD} {width} {height}" width="{width}" height="{height}"{after}</desc><style>{STYLE}</style><rect class="page" y="-{HEAD}" width="{width}" height="{height}"/><text x="12" y="-14" font-size="15" font-weight="600" fill="{}">{title}</text>{body}"#,
        super::canvas::INK_HEX
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
