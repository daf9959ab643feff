//! The last good document, with its generation, kept beside the store: what a process starts from when the source is
//! missing or bad, and what generations go on from.
//!
//! The file holds the document under the store's generation; before it, where it comes from the Kubernetes API, one that says
//! which version of which resource it is.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use duet_crd::Channel;

use super::Resource;
use super::follow::Document;
use super::look::Look;

/// Its name in the data directory.
const FILE: &str = "channel.last.yaml";

const HEADER: &str = "# The last good Channel, kept by Duet to start from when the real one is missing or bad. Not the one to edit.\n";

/// What is between two documents of a file.
const BETWEEN: &str = "\n---\n";

/// The last good document.
pub(super) struct LastDocument {
    path: PathBuf,
    document: Option<Document>,
}

impl LastDocument {
    /// Finds what an earlier process kept. If that can't be read, says why, and it is as if there were none; the next
    /// good document replaces it.
    pub(super) fn open(data_dir: &Path) -> (LastDocument, Option<String>) {
        let path = data_dir.join(FILE);
        let (document, problem) = match Look::at(&path) {
            Look::Missing => (None, None),
            look => match read(&look) {
                Ok(document) => (Some(document), None),
                Err(why) => (None, Some(format!("{} {why}", path.display()))),
            },
        };
        (LastDocument { path, document }, problem)
    }

    /// The document, its generation filled in; none if there never was one.
    pub(super) fn document(&self) -> Option<&Document> {
        self.document.as_ref()
    }

    /// The document with the generation it has after this one.
    pub(super) fn number(&self, mut document: Document) -> Document {
        let last = self.document.as_ref().map(|last| &last.channel);
        let generation = generation(&document.channel, last);
        document.channel.metadata.generation = Some(generation);
        document
    }

    /// Makes a document the last one; [`LastDocument::keep`] writes it.
    pub(super) fn replace(&mut self, document: Document) {
        self.document = Some(document);
    }

    /// Writes the document: afterwards the file holds it whole, or what it held before.
    ///
    /// # Errors
    /// The file system's. It can be tried again.
    pub(super) fn keep(&self) -> io::Result<()> {
        let Some(Document { channel, resource }) = &self.document else {
            return Ok(());
        };
        let channel = channel.to_yaml().map_err(io::Error::other)?;
        let directory = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        let beside = self.path.with_extension("yaml.new");
        let mut file = File::create(&beside)?;
        file.write_all(HEADER.as_bytes())?;
        if let Some(resource) = resource {
            let resource = serde_yaml_ng::to_string(resource).map_err(io::Error::other)?;
            file.write_all(resource.trim_end().as_bytes())?;
            file.write_all(BETWEEN.as_bytes())?;
        }
        file.write_all(channel.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        File::open(directory)?.sync_all()
    }

    /// Where it is kept.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn read(look: &Look) -> Result<Document, String> {
    let text = look.text()?;
    let (resource, channel) = match text.split_once(BETWEEN) {
        None => (None, text),
        Some((resource, channel)) => (Some(resource), channel),
    };
    let resource: Option<Resource> = resource
        .map(serde_yaml_ng::from_str)
        .transpose()
        .map_err(|error| format!("is no good: {error}"))?;
    let channel = Channel::from_yaml(channel).map_err(|why| format!("is no good: {why}"))?;
    Ok(Document { channel, resource })
}

/// What a document's generation is after the last one: its own if that is newer, the last one's if it says the same,
/// else the next. So it never goes back, and never stands for two documents.
fn generation(document: &Channel, last: Option<&Channel>) -> u64 {
    let given = document.metadata.generation;
    let Some(last) = last else {
        return given.unwrap_or(1);
    };
    let before = last.metadata.generation.unwrap_or(1);
    let says_the_same = document.metadata.name == last.metadata.name && document.spec == last.spec;
    match given {
        Some(given) if given > before => given,
        _ if says_the_same => before,
        _ => before.saturating_add(1),
    }
}

#[cfg(test)]
mod tests {
    use duet_crd::{EXAMPLE, Mode};

    use super::*;

    fn document(mode: Mode, generation: Option<u64>) -> Channel {
        let mut channel = Channel::from_yaml(EXAMPLE).unwrap();
        channel.spec.mode = mode;
        channel.metadata.generation = generation;
        channel
    }

    #[test]
    fn generations_grow_with_each_change_and_never_go_back() {
        let last = document(Mode::Sync, Some(5));
        for (mode, given, expected) in [
            (Mode::Sync, None, 5),
            (Mode::Sync, Some(5), 5),
            (Mode::Sync, Some(4), 5),
            (Mode::Sync, Some(9), 9),
            (Mode::Async, None, 6),
            (Mode::Async, Some(9), 9),
            (Mode::Async, Some(5), 6),
            (Mode::Async, Some(1), 6),
        ] {
            assert_eq!(
                generation(&document(mode, given), Some(&last)),
                expected,
                "{mode:?} {given:?}"
            );
        }
        assert_eq!(generation(&document(Mode::Sync, None), None), 1);
        assert_eq!(generation(&document(Mode::Sync, Some(7)), None), 7);
    }

    #[test]
    fn what_is_kept_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("made/when/needed");
        let (mut last, problem) = LastDocument::open(&data_dir);
        assert_eq!((last.document(), problem), (None, None));
        let resource = Resource {
            uid: "8d3c".to_owned(),
            generation: 1,
        };
        for resource in [None, Some(resource)] {
            let channel = document(Mode::Async, Some(3));
            let document = Document { channel, resource };
            last.replace(document.clone());
            last.keep().unwrap();

            let (found, problem) = LastDocument::open(&data_dir);
            assert_eq!((found.document(), problem), (Some(&document), None));
        }
        assert_eq!(
            fs::read_dir(&data_dir).unwrap().count(),
            1,
            "nothing else is left behind"
        );
    }
}
