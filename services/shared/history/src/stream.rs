//! Whether an owner's event stream told every change of its groups, and none twice.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::groups::Group;
use crate::verdict::Violation;

/// One event of an owner's stream, over all its connections, each of which went on after the last event of the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A group came or changed.
    Shown {
        /// The event's id.
        id: String,
        /// The group as it was told.
        group: Group,
    },
    /// A group is there no more.
    Removed {
        /// The event's id.
        id: String,
        /// Its post.
        post: Arc<str>,
    },
    /// What was told before is to be forgotten: all there is follows.
    Reset,
}

/// Compares what a stream told, from its beginning at `start`, with the list of groups in the end.
pub fn stream(told: &[Told], shown: &[Group]) -> Vec<Violation> {
    let mut wrong = Vec::new();
    let mut ids = HashSet::new();
    let mut groups: BTreeMap<&Arc<str>, &Group> = BTreeMap::new();
    for told in told {
        let id = match told {
            Told::Reset => {
                groups.clear();
                ids.clear();
                continue;
            }
            Told::Shown { id, group } => {
                groups.insert(&group.post, group);
                id
            }
            // It may have come and gone between two events.
            Told::Removed { id, post } => {
                groups.remove(post);
                id
            }
        };
        if !ids.insert(id) {
            wrong.push(format!("told twice: {told:?}"));
        }
    }
    for group in shown {
        match groups.remove(&group.post) {
            Some(last) if last == group => {}
            Some(last) => wrong.push(format!("the last that it told is {last:?}, not {group:?}")),
            None => wrong.push(format!("it never told {group:?}")),
        }
    }
    wrong.extend(
        groups
            .values()
            .map(|it| format!("it never told that this went: {it:?}")),
    );
    wrong
        .into_iter()
        .map(|wrong| Violation::Stream { wrong })
        .collect()
}
