//! What was put right by itself, told for as long as the process runs.

use std::sync::Arc;

use duet_protocol::time::Timestamp;

/// Something that was put right, how often or for how many, and the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// How often, or how many events, since the process began.
    pub count: u64,
    /// When it was last.
    pub last: Timestamp,
    /// What it was then, in a sentence.
    pub why: Arc<str>,
}

impl Mended {
    /// The same, and this once more.
    pub(crate) fn more(
        before: Option<&Mended>,
        count: u64,
        last: Timestamp,
        why: impl Into<Arc<str>>,
    ) -> Mended {
        Mended {
            count: before.map_or(0, |before| before.count) + count,
            last,
            why: why.into(),
        }
    }
}
