//! Which mode the answers told, and since when.

use jiff::Timestamp;
use serde::Serialize;
use std::{collections::VecDeque, time::Duration};

/// Changes that are kept, the latest.
const KEPT: usize = 1_000;

/// The changes of the mode, as callers saw them.
#[derive(Debug, Default)]
pub(super) struct Modes {
    changes: VecDeque<Since>,
    /// When the latest request was due of which an answer told a mode.
    due: Option<Duration>,
}

/// A mode, and when the first answer told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Since {
    pub(crate) mode: String,
    pub(crate) since: Timestamp,
}

impl Modes {
    /// An answer told this mode. A request that was due before another that is answered already tells what was, not what is.
    pub(super) fn told(&mut self, mode: &str, due: Duration, now: Timestamp) {
        if self.due.is_some_and(|latest| due < latest) {
            return;
        }
        self.due = Some(due);
        if self.changes.back().is_some_and(|it| it.mode == mode) {
            return;
        }
        if self.changes.len() == KEPT {
            self.changes.pop_front();
        }
        self.changes.push_back(Since {
            mode: mode.to_owned(),
            since: now,
        });
    }

    /// The one that is told now.
    pub(super) fn now(&self) -> Option<&str> {
        self.changes.back().map(|it| it.mode.as_str())
    }

    /// All of them, the first one first.
    pub(super) fn into_changes(self) -> Vec<Since> {
        self.changes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_changes_nothing() {
        let mut modes = Modes::default();
        for (mode, due, answered) in [
            ("sync", 1, 1),
            ("sync", 3, 2),
            ("async", 4, 3),
            ("sync", 2, 4),
            ("async", 5, 5),
            ("sync", 6, 6),
        ] {
            let now = Timestamp::from_second(answered).unwrap();
            modes.told(mode, Duration::from_secs(due), now);
        }
        assert_eq!(modes.now(), Some("sync"));
        let told: Vec<_> = modes
            .into_changes()
            .into_iter()
            .map(|it| (it.mode, it.since.as_second()))
            .collect();
        assert_eq!(
            told,
            [
                ("sync".to_owned(), 1),
                ("async".to_owned(), 3),
                ("sync".to_owned(), 6)
            ]
        );
    }
}
