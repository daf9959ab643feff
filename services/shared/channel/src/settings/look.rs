//! One look at a file that anybody may be writing: whatever is there, it ends in a value.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use duet_crd::MAX_BYTES;

/// What was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// No such file.
    Missing,
    /// Something that can't be read, and why.
    Unreadable(String),
    /// The file's content, or as much of it as tells that it is too long.
    Content(Vec<u8>),
}

impl Look {
    pub(super) fn at(path: &Path) -> Look {
        match content(path) {
            Ok(content) => Look::Content(content),
            Err(error) if error.kind() == ErrorKind::NotFound => Look::Missing,
            Err(error) => Look::Unreadable(error.to_string()),
        }
    }

    /// The text that was there, or why there was none, as the end of a sentence that begins with the file.
    pub(super) fn text(&self) -> Result<&str, String> {
        match self {
            Look::Missing => Err("does not exist".to_owned()),
            Look::Unreadable(why) => Err(format!("can't be read: {why}")),
            Look::Content(content) => {
                std::str::from_utf8(content).map_err(|_| "is not UTF-8 text".to_owned())
            }
        }
    }
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut content = Vec::new();
    // One byte more than is allowed shows that there is more.
    let bound = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
    File::open(path)?.take(bound).read_to_end(&mut content)?;
    Ok(content)
}
