//! Whether what owners are shown is the sum of the reactions that stand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::history::{Kind, Rows};
use crate::verdict::Violation;

/// What an owner is shown of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Whose list it is in.
    pub owner: Arc<str>,
    /// The post.
    pub post: Arc<str>,
    /// How many reactions it says there are.
    pub count: u64,
    /// How many of each kind.
    pub kinds: BTreeMap<Kind, u64>,
    /// The latest who reacted; the list names no more than a few.
    pub actors: Vec<Arc<str>>,
}

/// Compares groups with the reactions that stand, where no owner has muted anything: one group for each post that has reactions of others
/// than its owner, with the right sums, and each actor once. `owners` are the posts' owners.
pub fn groups(
    rows: &Rows,
    owners: &BTreeMap<Arc<str>, Arc<str>>,
    shown: &[Group],
) -> Vec<Violation> {
    let mut due: BTreeMap<&Arc<str>, BTreeMap<&Arc<str>, &Kind>> = BTreeMap::new();
    for (pair, kind) in rows {
        if owners.get(&pair.post) != Some(&pair.user) {
            let reactions = due.entry(&pair.post).or_default();
            reactions.insert(&pair.user, kind);
        }
    }
    let mut violations = Vec::new();
    for group in shown {
        let wrong = match due.remove(&group.post) {
            _ if owners.get(&group.post) != Some(&group.owner) => {
                Some("the post is another owner's".to_owned())
            }
            None => Some("nobody reacts to the post, or it is shown twice".to_owned()),
            Some(reactions) => is_wrong(group, &reactions),
        };
        violations.extend(wrong.map(|wrong| Violation::Group {
            owner: group.owner.clone(),
            post: group.post.clone(),
            wrong,
        }));
    }
    let missing = due.into_iter().map(|(post, reactions)| Violation::Group {
        owner: owners.get(post).cloned().unwrap_or_else(|| "?".into()),
        post: post.clone(),
        wrong: format!("it is not there, and {} react", reactions.len()),
    });
    violations.extend(missing);
    violations
}

fn is_wrong(group: &Group, reactions: &BTreeMap<&Arc<str>, &Kind>) -> Option<String> {
    let mut kinds: BTreeMap<Kind, u64> = BTreeMap::new();
    for kind in reactions.values() {
        *kinds.entry((*kind).clone()).or_default() += 1;
    }
    if group.count != reactions.len() as u64 || group.kinds != kinds {
        let Group {
            count, kinds: of, ..
        } = group;
        let stand = reactions.len();
        return Some(format!(
            "it counts {count}, {of:?}, and {stand} stand, {kinds:?}"
        ));
    }
    let actors: BTreeSet<_> = group.actors.iter().collect();
    if actors.len() != group.actors.len() {
        return Some(format!("it names somebody twice: {:?}", group.actors));
    }
    if actors.is_empty() || !actors.iter().all(|it| reactions.contains_key(*it)) {
        return Some(format!(
            "it names {:?}, and {:?} react",
            group.actors,
            reactions.keys()
        ));
    }
    None
}
