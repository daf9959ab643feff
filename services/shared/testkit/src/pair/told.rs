//! What callers were told, and whether it came true.

use super::{Pair, Reply};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// How a user's reaction to a post stands: its kind, or none.
pub(super) type Standing = Option<&'static str>;

/// Reasons kept for the message of a test that fails.
const REASONS: usize = 10;

/// What callers were told, for each post that was reacted to: how its reaction may stand, after all answers.
///
/// A success leaves one way, that which was asked for. A failure leaves what was possible before. Where no answer came, or one
/// that says the outcome is unknown, both are possible, and Reaction's own row decides.
#[derive(Debug, Clone)]
pub struct Told {
    owner: String,
    user: &'static str,
    possible: BTreeMap<String, BTreeSet<Standing>>,
    /// Answers that said success: 200 or 202.
    pub accepted: usize,
    /// Answers that said failure.
    pub refused: usize,
    /// Requests without an answer, or with one that says that nobody knows.
    pub unknown: usize,
    /// The first reasons for the latter two.
    pub reasons: Vec<String>,
}

/// What one request came to.
#[derive(Debug)]
pub(super) enum Answer {
    Accepted,
    Refused(String),
    Unknown(String),
    /// Nobody listened, so nothing was sent.
    Away(String),
}

impl Answer {
    pub(super) fn of(reply: Result<Reply, reqwest::Error>) -> Self {
        match reply {
            Ok(reply) if reply.status.is_success() => Self::Accepted,
            Ok(reply) if reply.body["type"] == "/problems/outcome-unknown" => {
                Self::Unknown(reply.body.to_string())
            }
            // Any other problem says failure, also where a receiver may have shown the change for a moment.
            Ok(reply) if reply.body["type"].is_string() => Self::Refused(reply.body.to_string()),
            Ok(reply) => Self::Unknown(format!("{reply:?}")),
            Err(error) if error.is_connect() => Self::Away(error.to_string()),
            Err(error) => Self::Unknown(format!("{error:?}")),
        }
    }

    /// Whether the caller knows what came of it.
    pub(super) fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }
}

impl Told {
    pub(super) fn new(owner: &str, user: &'static str) -> Self {
        Self {
            owner: owner.to_owned(),
            user,
            possible: BTreeMap::new(),
            accepted: 0,
            refused: 0,
            unknown: 0,
            reasons: Vec::new(),
        }
    }

    pub(super) fn remember(&mut self, post: &str, wanted: Standing, answer: Answer) {
        let possible = self.possible.entry(post.to_owned());
        let possible = possible.or_insert_with(|| BTreeSet::from([None]));
        let reason = match answer {
            Answer::Accepted => {
                self.accepted += 1;
                *possible = BTreeSet::from([wanted]);
                return;
            }
            Answer::Away(reason) => reason,
            Answer::Refused(reason) => {
                self.refused += 1;
                reason
            }
            Answer::Unknown(reason) => {
                self.unknown += 1;
                possible.insert(wanted);
                reason
            }
        };
        if self.reasons.len() < REASONS {
            self.reasons.push(reason);
        }
    }

    /// How many answers there were of each sort.
    pub fn summary(&self) -> String {
        let Self {
            accepted,
            refused,
            unknown,
            ..
        } = self;
        format!("{accepted} accepted, {refused} refused, {unknown} unknown")
    }

    /// Waits until Reaction has a receipt for everything, then compares the owner's inbox with what callers were told: each
    /// accepted reaction is there once and of the right kind, nothing that was refused or taken back is, and where the answer
    /// was lost the inbox agrees with Reaction.
    ///
    /// # Panics
    /// If that is not so, or not everything was received within a minute.
    pub async fn came_true(&self, pair: &Pair) {
        pair.drained().await;
        let mut inbox: BTreeMap<String, Value> = BTreeMap::new();
        for mut group in pair.inbox(&self.owner).await {
            let Value::String(post) = group["post"].take() else {
                panic!("a group without a post: {group}");
            };
            let listed = inbox.insert(post, group);
            assert!(listed.is_none(), "listed twice: {listed:?}");
        }
        let mut wrong = Vec::new();
        for (post, possible) in &self.possible {
            let found = inbox.remove(post);
            let stands = |standing: &Standing| match (&found, standing) {
                (None, None) => true,
                (Some(group), Some(kind)) => {
                    group["count"] == 1 && group["kinds"] == serde_json::json!({ *kind: 1 })
                }
                _ => false,
            };
            let mut as_told = possible.iter().filter(|it| stands(it));
            match as_told.next() {
                None => wrong.push(format!("{post}: {found:?}, not one of {possible:?}")),
                Some(standing) if possible.len() > 1 => {
                    let row = pair.reaction_of(post, self.user).await;
                    if row.as_deref() != *standing {
                        wrong.push(format!("{post}: {found:?}, but Reaction has {row:?}"));
                    }
                }
                Some(_) => {}
            }
        }
        wrong.extend(
            inbox
                .keys()
                .map(|post| format!("{post}: nobody reacted to it")),
        );
        assert!(
            wrong.is_empty(),
            "of {} posts, {} are not as their callers were told: {:#?}\n{self}",
            self.possible.len(),
            wrong.len(),
            &wrong[..wrong.len().min(REASONS)]
        );
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            accepted,
            refused,
            unknown,
            reasons,
            ..
        } = self;
        write!(
            f,
            "{accepted} accepted, {refused} refused, {unknown} unknown"
        )?;
        for reason in reasons {
            write!(f, "\n  {reason}")?;
        }
        Ok(())
    }
}
