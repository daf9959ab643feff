//! Texts of a length that the API takes, whoever wrote them: a pod may answer anything.

/// The longest text, in bytes: an Event's note may be no longer, and in status more would hardly be read.
const LONGEST: usize = 1_024;

/// The text, or as much of its beginning as may be told.
pub(crate) fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST - "…".len())
            .rev()
            .find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_long_as_the_api_takes() {
        assert_eq!(cut("ä".repeat(512)), "ä".repeat(512));
        let cut = cut("ä".repeat(600));
        assert!(cut.len() <= LONGEST && cut.ends_with("ä…"));
    }
}
