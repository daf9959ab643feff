//! What callers were told, and whether it came true.

use super::{Pair, Reply};
use duet_web::told::{Answer, Possible};
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// How a user's reaction to a post stands: its kind, or none.
pub(super) type Standing = Option<&'static str>;

/// Reasons kept for the message of a test that fails.
const REASONS: usize = 10;

/// What callers were told, for each post that was reacted to: how its reaction may stand, after all answers.
///
/// Where several ways are possible, Reaction's own row decides.
#[derive(Debug, Clone)]
pub struct Told {
    owner: String,
    user: &'static str,
    possible: BTreeMap<String, Possible<Standing>>,
    /// Answers that said success: 200 or 202.
    pub accepted: usize,
    /// Answers that said failure.
    pub refused: usize,
    /// Requests without an answer, or with one that says that nobody knows.
    pub unknown: usize,
    /// The first reasons for the latter two.
    pub reasons: Vec<String>,
}

/// What one request came to, and why if not to success.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) answer: Answer,
    reason: String,
}

impl Heard {
    pub(super) fn of(reply: Result<Reply, reqwest::Error>) -> Self {
        match reply {
            Ok(reply) => Self {
                answer: Answer::of(reply.status.as_u16(), reply.body["type"].as_str()),
                reason: format!("{} {}", reply.status, reply.body),
            },
            Err(error) => Self {
                answer: match error.is_connect() {
                    true => Answer::Away,
                    false => Answer::Unknown,
                },
                reason: format!("{error:?}"),
            },
        }
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

    pub(super) fn remember(&mut self, post: &str, wanted: Standing, heard: Heard) {
        let possible = self.possible.entry(post.to_owned());
        let possible = possible.or_insert_with(|| Possible::only(None));
        possible.told(wanted, heard.answer);
        match heard.answer {
            Answer::Accepted => {
                self.accepted += 1;
                return;
            }
            Answer::Refused => self.refused += 1,
            Answer::Unknown => self.unknown += 1,
            Answer::Away => {}
        }
        if self.reasons.len() < REASONS {
            self.reasons.push(heard.reason);
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
            match possible.ways().find(|it| stands(it)) {
                None => wrong.push(format!("{post}: {found:?}, not one of {possible:?}")),
                Some(standing) if possible.certain().is_none() => {
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
