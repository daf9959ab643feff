//! One value of a document changed as text: comments, order and line ends stay as they are.

use serde_yaml_ng::Value;
use std::ops::Range;

/// The document with `spec.mode` set to `mode`, or why that can't be done by changing one value.
pub(super) fn with_mode(text: &str, mode: &str) -> Result<String, String> {
    let place = value_of(text, "mode").ok_or("there is no line `mode: …` right under `spec:`")?;
    let edited = format!("{}{mode}{}", &text[..place.start], &text[place.end..]);
    proved(text, edited, "mode", |value| *value = mode.into())
}

/// The document with one more receiver at the end of `spec.to`, or why that can't be done by adding one.
pub(super) fn with_receiver(text: &str, name: &str) -> Result<String, String> {
    let place = value_of(text, "to").ok_or("there is no line `to: …` right under `spec:`")?;
    let (at, added) = match &text[place.clone()] {
        "" => after_last_item(text, place.end, name)
            .ok_or("the receivers under `to:` can't be found")?,
        list if list.ends_with(']') => (place.end - 1, format!(", {{name: {name}}}")),
        _ => return Err("`to` is no list".to_owned()),
    };
    let edited = format!("{}{added}{}", &text[..at], &text[at..]);
    proved(text, edited, "to", |value| {
        let named = Value::Mapping([("name".into(), name.into())].into_iter().collect());
        if let Value::Sequence(to) = value {
            to.push(named);
        }
    })
}

/// The document with this as `spec.faults`, written on one line, or without any; or why that can't be done by changing those lines alone.
pub(super) fn with_faults(text: &str, faults: Option<&str>) -> Result<String, String> {
    let edited = match (lines_of(text, "faults"), faults) {
        (None, None) => return Ok(text.to_owned()),
        (Some(lines), None) => format!("{}{}", &text[..lines.start], &text[lines.end..]),
        (Some(lines), Some(faults)) => {
            let first = &text[lines.clone()];
            let indent = &first[..first.len() - first.trim_start_matches(' ').len()];
            let (end, line) = (line_end(first), format!("{indent}faults: {faults}"));
            format!("{}{line}{end}{}", &text[..lines.start], &text[lines.end..])
        }
        (None, Some(faults)) => {
            let mode =
                lines_of(text, "mode").ok_or("there is no line `mode: …` right under `spec:`")?;
            let before = &text[mode.clone()];
            let indent = &before[..before.len() - before.trim_start_matches(' ').len()];
            let end = line_end(before);
            let open = if before.ends_with('\n') { "" } else { end };
            let line = format!("{open}{indent}faults: {faults}{end}");
            format!("{}{line}{}", &text[..mode.end], &text[mode.end..])
        }
    };
    let wanted = faults.map(serde_yaml_ng::from_str::<Value>).transpose();
    let wanted = wanted.map_err(|error| error.to_string())?;
    proved_spec(text, edited, "faults", |spec| {
        let Value::Mapping(spec) = spec else {
            return Err("`spec` is no map".to_owned());
        };
        match wanted {
            Some(wanted) => spec.insert("faults".into(), wanted),
            None => spec.remove("faults"),
        };
        Ok(())
    })
}

/// The lines that a field of `spec` takes: its own, and those below it that are deeper.
fn lines_of(text: &str, field: &str) -> Option<Range<usize>> {
    let value = value_of(text, field)?;
    let start = text[..value.start].rfind('\n').map_or(0, |at| at + 1);
    let depth = text[start..].len() - text[start..].trim_start_matches(' ').len();
    let mut end = start;
    let mut at = start;
    for line in text[start..].split_inclusive('\n') {
        let content = line.trim_start_matches(' ');
        let deeper = line.len() - content.len() > depth && !content.trim_end().is_empty();
        let blank = content.trim_end().is_empty();
        if at > start && !deeper && !blank {
            break;
        }
        at += line.len();
        if !blank {
            end = at;
        }
    }
    Some(start..end)
}

fn line_end(line: &str) -> &'static str {
    if line.ends_with("\r\n") { "\r\n" } else { "\n" }
}

/// The edited document, if it says what the old one says with this field of `spec` changed, and nothing else. A scanner of lines can
/// be misled (by a block of text that looks like YAML); a parser can't.
fn proved(
    text: &str,
    edited: String,
    field: &str,
    change: impl FnOnce(&mut Value),
) -> Result<String, String> {
    proved_spec(text, edited, field, |spec| {
        let value = spec.get_mut(field);
        change(value.ok_or_else(|| format!("there is no `spec.{field}`"))?);
        Ok(())
    })
}

/// The same, of a change to `spec` that is about a field.
fn proved_spec(
    text: &str,
    edited: String,
    field: &str,
    change: impl FnOnce(&mut Value) -> Result<(), String>,
) -> Result<String, String> {
    let parse = |text: &str| serde_yaml_ng::from_str::<Value>(text);
    let mut expected = parse(text).map_err(|error| error.to_string())?;
    change(expected.get_mut("spec").ok_or("there is no `spec`")?)?;
    match parse(&edited) {
        Ok(found) if found == expected => Ok(edited),
        _ => Err(format!(
            "the {field} can't be changed without changing something else"
        )),
    }
}

/// Where the value of a field of `spec` stands, quotes included, if the field has a line of its own; empty where the value is below.
fn value_of(text: &str, field: &str) -> Option<Range<usize>> {
    let mut start = 0;
    let mut in_spec = false;
    let mut indent = None;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start_matches(' ');
        let depth = line.len() - content.len();
        let blank = content.trim_end().is_empty() || content.starts_with('#');
        if depth == 0 && !blank {
            in_spec = content
                .strip_prefix("spec:")
                .is_some_and(|rest| is_end(rest.trim_start()));
        } else if in_spec && !blank {
            // The first line under `spec:` says how far its fields are indented.
            let fields = *indent.get_or_insert(depth);
            let value = content.strip_prefix(field).filter(|_| depth == fields);
            if let Some(rest) = value.and_then(|rest| rest.strip_prefix(':')) {
                let value = rest.trim_start_matches([' ', '\t']);
                let from = start + line.len() - value.len();
                let is_below = is_end(value.trim_end());
                let length = value.find(" #").filter(|_| !is_below);
                let length = if is_below {
                    0
                } else {
                    length.unwrap_or(value.len())
                };
                return Some(from..from + value[..length].trim_end().len());
            }
        }
        start += line.len();
    }
    None
}

/// Whether nothing but a comment is left of a line.
fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('#')
}

/// Where one more item goes of the list that begins below the line that `from` is on, and its text.
fn after_last_item(text: &str, from: usize, name: &str) -> Option<(usize, String)> {
    let mut at = from + text[from..].find('\n')? + 1;
    let mut last = None;
    for line in text[at..].split_inclusive('\n') {
        let content = line.trim_start_matches(' ');
        let depth = line.len() - content.len();
        let blank = content.trim_end().is_empty() || content.starts_with('#');
        let is_item = content.starts_with("- ");
        let list = last.map_or(depth, |(_, depth, _)| depth);
        at += line.len();
        match (blank, is_item && depth == list, last) {
            (true, ..) => {}
            (_, true, _) => last = Some((at, depth, line)),
            // What belongs to an item is deeper than the list.
            (_, false, Some(_)) if depth > list => last = Some((at, list, line)),
            _ => break,
        }
    }
    let (at, depth, line) = last?;
    let end = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
    let before = if line.ends_with('\n') { "" } else { end };
    let indent = " ".repeat(depth);
    Some((at, format!("{before}{indent}- name: {name}{end}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMENTED: &str = "\
# mode: this line is a comment
kind: Channel
spec:   # the channel
    # mode: Async would be the other
    from: reaction
    nested:
        mode: inner   # not this one

    mode:   'Sync'   # Sync | Async\t
    note: |
        mode: text
other: {mode: Sync}
";

    #[test]
    fn only_the_value_of_the_mode_changes() {
        let edited = with_mode(COMMENTED, "Async").unwrap();
        assert_eq!(edited, COMMENTED.replace("'Sync'", "Async"));
    }

    #[test]
    fn line_ends_stay_as_they_are() {
        let windows = COMMENTED.replace('\n', "\r\n");
        assert_eq!(
            with_mode(&windows, "Async").unwrap(),
            windows.replace("'Sync'", "Async")
        );
        assert_eq!(
            with_mode("spec:\n  mode: Sync", "Async").unwrap(),
            "spec:\n  mode: Async"
        );
    }

    #[test]
    fn what_is_not_one_value_on_one_line_is_refused() {
        for document in [
            "spec: {mode: Sync}\n",
            "spec:\n  from: reaction\n",
            "spec:\n  sync:\n    mode: Sync\n",
            "spec:\n  mode: &anchor Sync\n  other: *anchor\n",
            "spec:\n  mode:\n    Sync\n",
        ] {
            assert!(with_mode(document, "Async").is_err(), "{document}");
        }
    }

    #[test]
    fn faults_are_written_below_the_mode_and_taken_away_again() {
        let one = Some("{delay: 200ms}");
        for (without, with) in [
            (
                "spec:\n  mode: Sync # s\n  to: []\n",
                "spec:\n  mode: Sync # s\n  faults: {delay: 200ms}\n  to: []\n",
            ),
            (
                "spec:\r\n    mode: Sync\r\n",
                "spec:\r\n    mode: Sync\r\n    faults: {delay: 200ms}\r\n",
            ),
        ] {
            assert_eq!(with_faults(without, one).unwrap(), with);
            assert_eq!(with_faults(with, None).unwrap(), without);
            assert_eq!(with_faults(without, None).unwrap(), without);
        }
        assert_eq!(
            with_faults("spec:\n  mode: Sync", one).unwrap(),
            "spec:\n  mode: Sync\n  faults: {delay: 200ms}\n"
        );
    }

    #[test]
    fn faults_that_are_there_are_replaced_on_one_line_or_several() {
        let one = Some("{delay: 200ms}");
        for (before, with, without) in [
            (
                "spec:\n  faults: {jitter: 1s} # for now\n  mode: Sync\n",
                "spec:\n  faults: {delay: 200ms}\n  mode: Sync\n",
                "spec:\n  mode: Sync\n",
            ),
            (
                "spec:\n  mode: Sync\n  faults:\n    jitter: 1s\n    # more\n    delay: 1s\n\n  # the end\n  to: []\n",
                "spec:\n  mode: Sync\n  faults: {delay: 200ms}\n\n  # the end\n  to: []\n",
                "spec:\n  mode: Sync\n\n  # the end\n  to: []\n",
            ),
        ] {
            assert_eq!(with_faults(before, one).unwrap(), with);
            assert_eq!(with_faults(before, None).unwrap(), without);
        }
    }

    #[test]
    fn faults_that_cant_be_told_apart_are_left_alone() {
        for document in [
            "spec: {mode: Sync}\n",
            "spec: {mode: Sync, faults: {delay: 1s}}\n",
            "spec:\n  faults: &f {delay: 1s}\n  mode: *f\n",
        ] {
            assert!(
                with_faults(document, Some("{delay: 200ms}")).is_err(),
                "{document}"
            );
        }
    }

    #[test]
    fn a_receiver_is_added_to_a_list_on_one_line() {
        for (before, after) in [
            (
                "spec:\n  from: a\n  to: [{name: b}]   # who receives\n",
                "spec:\n  from: a\n  to: [{name: b}, {name: c}]   # who receives\n",
            ),
            (
                "spec:\n  to: [{name: 'b'}, {name: d}]",
                "spec:\n  to: [{name: 'b'}, {name: d}, {name: c}]",
            ),
        ] {
            assert_eq!(with_receiver(before, "c").unwrap(), after);
        }
    }

    #[test]
    fn a_receiver_is_added_after_the_last_of_a_list_in_lines() {
        for (before, after) in [
            (
                "spec:\n  to:  # who receives\n    # the first\n    - name: b  # b\n\n  mode: Sync\n",
                "spec:\n  to:  # who receives\n    # the first\n    - name: b  # b\n    - name: c\n\n  mode: Sync\n",
            ),
            (
                "spec:\n  to:\n  - name: b\n  -   name: d\n  mode: Sync\n",
                "spec:\n  to:\n  - name: b\n  -   name: d\n  - name: c\n  mode: Sync\n",
            ),
            (
                "spec:\n  to:\n  - name: b",
                "spec:\n  to:\n  - name: b\n  - name: c\n",
            ),
            (
                "spec:\r\n  to:\r\n  - name: b\r\n  mode: Sync\r\n",
                "spec:\r\n  to:\r\n  - name: b\r\n  - name: c\r\n  mode: Sync\r\n",
            ),
        ] {
            assert_eq!(with_receiver(before, "c").unwrap(), after);
        }
    }

    #[test]
    fn a_list_that_cant_be_added_to_is_refused() {
        for document in [
            "spec: {to: [{name: b}]}\n",
            "spec:\n  to: []\n",
            "spec:\n  to: *anchor\n",
            "spec:\n  to: [{name: b},\n    {name: d}]\n",
            "spec:\n  to: &all\n  - name: b\n  again: *all\n",
            "to: [{name: b}]\n",
        ] {
            assert!(with_receiver(document, "c").is_err(), "{document}");
        }
    }
}
