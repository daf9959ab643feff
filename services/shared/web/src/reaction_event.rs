//! What an event about a reaction tells, as each of its receivers reads it. Reaction writes it.

use std::fmt;
use std::str::FromStr;

use duet_protocol::event::{Data, Event};
use duet_protocol::receive::Failure;
use duet_protocol::time::Timestamp;
use duet_telemetry::names::attribute;
use opentelemetry::KeyValue;
use serde::{Deserialize, Deserializer};

use crate::ids::{PostId, Title, UserId};

/// The CloudEvents type of a reaction that was made or changed.
pub const SET: &str = "dev.duet.reaction.set";
/// The CloudEvents type of a reaction that was undone.
pub const REMOVED: &str = "dev.duet.reaction.removed";

/// A kind of reaction, by its name. Which ones there are is the sender's business: a new one needs no new
/// receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReactionKind(Box<str>);

impl ReactionKind {
    /// The most bytes a name has.
    const MAX: usize = 32;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no kind's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a kind's name is 1 to {} of a-z 0-9 -", ReactionKind::MAX)]
pub struct NotAKind;

impl FromStr for ReactionKind {
    type Err = NotAKind;

    fn from_str(text: &str) -> Result<Self, NotAKind> {
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(named);
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(NotAKind)
        }
    }
}

impl fmt::Display for ReactionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ReactionKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What an event about a reaction tells: the pair's state after it. A newer sender may tell more; that is passed over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Told {
    /// Which post.
    pub post: PostId,
    /// Whose reaction.
    pub user: UserId,
    /// The post's owner.
    pub owner: UserId,
    /// The post's title, as it was.
    pub title: Title,
    /// The reaction; none if it was undone.
    pub kind: Option<ReactionKind>,
    /// Since when.
    #[serde(deserialize_with = "crate::time::from_rfc3339")]
    pub at: Timestamp,
    /// It takes a failed change back, or tells again what stands: nobody is notified anew.
    #[serde(default)]
    pub restores: bool,
    /// It tells again what stands, after a resync.
    #[serde(default)]
    pub announces: bool,
}

/// Why an event can't be applied. It may be once its receiver is newer.
#[derive(Debug, thiserror::Error)]
pub enum NotUnderstood {
    /// A type that this version doesn't know.
    #[error("events of type {0} are not known here")]
    Type(Box<str>),
    /// Its data is not what its type says.
    #[error("the data can't be read: {0}")]
    Data(#[from] serde_json::Error),
    /// Its data is about another pair than its subject.
    #[error("the data is about another pair than the subject")]
    AnotherPair,
    /// Its data says that a reaction stands, its type that it was undone, or the other way round.
    #[error("type and data contradict each other")]
    Contradiction,
}

impl From<NotUnderstood> for Failure {
    fn from(why: NotUnderstood) -> Self {
        match why {
            NotUnderstood::Type(kind) => Failure::unknown_type(&kind),
            other => Failure::new(other.to_string()),
        }
    }
}

impl Told {
    /// Reads an event's data and holds it against the rest of the event.
    pub fn read(data: &Data) -> Result<Self, NotUnderstood> {
        let stands = match &*data.kind {
            SET => true,
            REMOVED => false,
            other => return Err(NotUnderstood::Type(other.into())),
        };
        let told: Self = serde_json::from_slice(&data.json)?;
        if data.key.as_str().split_once('/') != Some((told.post.as_str(), told.user.as_str())) {
            return Err(NotUnderstood::AnotherPair);
        }
        if told.kind.is_some() != stands {
            return Err(NotUnderstood::Contradiction);
        }
        Ok(told)
    }
}

/// Post and user, as an event's spans tell them.
pub fn describe(event: &Event) -> Vec<KeyValue> {
    let key = event.data().map_or("", |data| data.key.as_str());
    match key.split_once('/') {
        Some((post, user)) => vec![
            KeyValue::new(attribute::POST, post.to_owned()),
            KeyValue::new(attribute::USER, user.to_owned()),
        ],
        None => Vec::new(),
    }
}
