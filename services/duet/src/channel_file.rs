//! The Channel document as a file: read, checked, one value of it edited.

mod edit;

use crate::failure::{Doing, Failure, Kind};
use duet_crd::{CanarySpec, Channel, FaultsSpec, Mode};
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
    channel: Box<Channel>,
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
        let channel = checked(&path, &text)?;
        Ok(Self {
            path,
            text,
            channel,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn mode(&self) -> Mode {
        self.channel.spec.mode
    }

    pub(crate) fn canary(&self) -> Option<&CanarySpec> {
        self.channel.spec.canary.as_ref()
    }

    pub(crate) fn faults(&self) -> Option<&FaultsSpec> {
        self.channel.spec.faults.as_ref()
    }

    /// Writes other faults, as one line of YAML, or none: everything else stays byte for byte.
    pub(crate) fn set_faults(&mut self, faults: Option<&str>) -> Result<(), Failure> {
        let text = edit::with_faults(&self.text, faults).map_err(|why| {
            Failure::new(Kind::Invalid, format!("{}: {why}", self.path.display()))
                .hint("Change `spec.faults` by hand: it is followed within a second.")
        })?;
        self.write(text)
    }

    /// Writes another mode: one line changes, everything else stays byte for byte. The new document is checked, then
    /// renamed into place.
    pub(crate) fn switch(&mut self, mode: Mode) -> Result<(), Failure> {
        let text = edit::with_mode(&self.text, name(mode)).map_err(|why| {
            Failure::new(Kind::Invalid, format!("{}: {why}", self.path.display()))
                .hint("Change it by hand: it is followed within a second.")
        })?;
        self.write(text)
    }

    /// The document, byte for byte.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Writes another document: checked, then renamed into place.
    pub(crate) fn write(&mut self, text: String) -> Result<(), Failure> {
        let channel = checked(&self.path, &text)?;
        replace(&self.path, &text).doing(|| format!("write {}", self.path.display()))?;
        (self.text, self.channel) = (text, channel);
        Ok(())
    }

    /// Whether it is to this receiver.
    pub(crate) fn is_to(&self, receiver: &str) -> bool {
        let mut to = self.channel.spec.to.iter();
        to.any(|to| to.name.as_str() == receiver)
    }

    /// Writes one more receiver at the end of `to`: everything else stays byte for byte.
    pub(crate) fn add_receiver(&mut self, receiver: &str) -> Result<(), Failure> {
        let text = edit::with_receiver(&self.text, receiver).map_err(|why| {
            Failure::new(Kind::Invalid, format!("{}: {why}", self.path.display()))
                .hint(format!("Write `- name: {receiver}` under `to:` by hand."))
        })?;
        self.write(text)
    }
}

/// As the document has it.
pub(crate) fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::Sync => "Sync",
        Mode::Async => "Async",
    }
}

fn checked(path: &Path, text: &str) -> Result<Box<Channel>, Failure> {
    Channel::from_yaml(text).map(Box::new).map_err(|problems| {
        Failure::new(
            Kind::Invalid,
            format!("{} is not a valid Channel:\n{problems}", path.display()),
        )
    })
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
    fn faults_come_and_go_and_leave_the_document_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("channel.yaml");
        std::fs::write(&path, duet_crd::EXAMPLE).unwrap();
        let mut file = ChannelFile::read(&path).unwrap();
        assert_eq!(file.faults(), None);
        file.set_faults(Some("{delay: 200ms}")).unwrap();
        file.set_faults(Some("{errorPercent: 5}")).unwrap();
        let faults = file.faults().unwrap();
        assert_eq!((faults.delay.as_millis(), faults.error_percent), (0, 5));
        let refused = file.set_faults(Some("{errorPercent: 500}")).unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid);
        file.set_faults(None).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), duet_crd::EXAMPLE);
    }

    #[test]
    fn a_receiver_is_added_and_the_document_stays_valid() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("channel.yaml");
        std::fs::write(&path, duet_crd::EXAMPLE).unwrap();
        let mut file = ChannelFile::read(&path).unwrap();
        assert!(file.is_to("notification") && !file.is_to("trending"));
        file.add_receiver("trending").unwrap();
        assert!(file.is_to("notification") && file.is_to("trending"));
        let twice = file.add_receiver("trending").unwrap_err();
        assert_eq!(twice.kind(), Kind::Invalid);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), file.text);
    }

    #[test]
    fn an_invalid_document_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("channel.yaml");
        std::fs::write(&path, "spec:\n  mode: Sometimes\n").unwrap();
        assert_eq!(ChannelFile::read(&path).unwrap_err().kind(), Kind::Invalid);
    }
}
