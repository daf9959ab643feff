//! The Channel document as a file: read, checked, one line of it edited.

use crate::failure::{Doing, Failure, Kind};
use duet_crd::{Channel, Mode};
use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

/// A document that was read and found valid.
#[derive(Debug)]
pub(crate) struct ChannelFile {
    /// With symbolic links followed: the link itself stays.
    path: PathBuf,
    text: String,
    mode: Mode,
}

impl ChannelFile {
    /// Reads and checks it.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let read = || {
            let path = path.canonicalize()?;
            let mut text = String::new();
            // One byte more than may be there, so that what is longer is seen to be.
            let limit = duet_crd::MAX_BYTES as u64 + 1;
            File::open(&path)?.take(limit).read_to_string(&mut text)?;
            Ok::<_, std::io::Error>((path, text))
        };
        let (path, text) = read().doing(|| format!("read the Channel {}", path.display()))?;
        let mode = checked(&path, &text)?;
        Ok(Self { path, text, mode })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Writes another mode: one line changes, everything else stays byte for byte. The new document is checked, then
    /// renamed into place.
    pub(crate) fn switch(&mut self, mode: Mode) -> Result<(), Failure> {
        let text = with_mode(&self.text, name(mode)).map_err(|why| {
            Failure::new(Kind::Invalid, format!("{}: {why}", self.path.display()))
                .hint("Change it by hand: it is followed within a second.")
        })?;
        checked(&self.path, &text)?;
        replace(&self.path, &text).doing(|| format!("write {}", self.path.display()))?;
        (self.text, self.mode) = (text, mode);
        Ok(())
    }
}

/// As the document has it.
pub(crate) fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::Sync => "Sync",
        Mode::Async => "Async",
    }
}

fn checked(path: &Path, text: &str) -> Result<Mode, Failure> {
    let channel = Channel::from_yaml(text).map_err(|problems| {
        Failure::new(
            Kind::Invalid,
            format!("{} is not a valid Channel:\n{problems}", path.display()),
        )
    })?;
    Ok(channel.spec.mode)
}

/// The document with `spec.mode` set to `mode`, or why that can't be done by changing one value.
fn with_mode(text: &str, mode: &str) -> Result<String, String> {
    let place = mode_value(text).ok_or("there is no line `mode: …` right under `spec:`")?;
    let edited = format!("{}{mode}{}", &text[..place.start], &text[place.end..]);

    // A scanner of lines can be misled (by a block of text that looks like YAML); a parser can't.
    let parse = |text: &str| serde_yaml_ng::from_str::<serde_yaml_ng::Value>(text);
    let mut expected = parse(text).map_err(|error| error.to_string())?;
    let field = expected
        .get_mut("spec")
        .and_then(|spec| spec.get_mut("mode"));
    *field.ok_or("there is no `spec.mode`")? = mode.into();
    match parse(&edited) {
        Ok(found) if found == expected => Ok(edited),
        _ => Err("the mode can't be changed without changing something else".to_owned()),
    }
}

/// Where the value of `spec.mode` stands, quotes included, if it has a line of its own.
fn mode_value(text: &str) -> Option<std::ops::Range<usize>> {
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
            if let Some(rest) = content.strip_prefix("mode:").filter(|_| depth == fields) {
                let value = rest.trim_start_matches([' ', '\t']);
                let from = start + line.len() - value.len();
                let length = value.find(" #").unwrap_or(value.len());
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

/// Written beside with the same permissions, flushed and renamed: a reader sees the old document or the new one.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut beside = tempfile::Builder::new()
        .prefix(".channel-")
        .tempfile_in(dir)?;
    beside.write_all(text.as_bytes())?;
    beside
        .as_file()
        .set_permissions(path.metadata()?.permissions())?;
    beside.as_file().sync_all()?;
    beside.persist(path)?;
    Ok(())
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
    fn the_example_is_edited_in_one_line_and_stays_valid() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("channel.yaml");
        std::fs::write(&path, duet_crd::EXAMPLE).unwrap();
        let mut file = ChannelFile::read(&path).unwrap();
        assert_eq!(file.mode(), Mode::Sync);
        file.switch(Mode::Async).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        let changed: Vec<_> = duet_crd::EXAMPLE
            .lines()
            .zip(written.lines())
            .filter(|(a, b)| a != b)
            .collect();
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert_eq!(ChannelFile::read(&path).unwrap().mode(), Mode::Async);
        let beside = dir.path().read_dir().unwrap().count();
        assert_eq!(beside, 1, "nothing is left beside the document");
    }

    #[test]
    fn an_invalid_document_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("channel.yaml");
        std::fs::write(&path, "spec:\n  mode: Sometimes\n").unwrap();
        assert_eq!(ChannelFile::read(&path).unwrap_err().kind(), Kind::Invalid);
    }
}
