//! What plotters leaves out: a title for who can't see it, colours for the dark, and a size that follows the page.

use std::fmt::Write;

/// The colours of a picture in the dark; in the page and in a picture that stands alone.
pub(in super::super) const STYLE: &str = include_str!("../../templates/pictures.css");

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

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
