use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a user reacts to a post.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "each is its own name")]
pub enum Kind {
    Like,
    Love,
    Laugh,
    Wow,
    Sad,
    Angry,
}

impl Kind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Kind; 6] = [
        Kind::Like,
        Kind::Love,
        Kind::Laugh,
        Kind::Wow,
        Kind::Sad,
        Kind::Angry,
    ];

    /// Its name, as JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Like => "like",
            Kind::Love => "love",
            Kind::Laugh => "laugh",
            Kind::Wow => "wow",
            Kind::Sad => "sad",
            Kind::Angry => "angry",
        }
    }

    /// Its number in the store, which never changes: 1 and up.
    pub fn code(self) -> i64 {
        self as i64 + 1
    }

    /// The kind of a number in the store.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// How many reactions of each kind a post has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[allow(missing_docs, reason = "each is its kind's")]
pub struct Counts {
    pub like: u64,
    pub love: u64,
    pub laugh: u64,
    pub wow: u64,
    pub sad: u64,
    pub angry: u64,
}

impl Counts {
    /// Sets one kind's count.
    pub fn set(&mut self, kind: Kind, count: u64) {
        *match kind {
            Kind::Like => &mut self.like,
            Kind::Love => &mut self.love,
            Kind::Laugh => &mut self.laugh,
            Kind::Wow => &mut self.wow,
            Kind::Sad => &mut self.sad,
            Kind::Angry => &mut self.angry,
        } = count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kinds_number_leads_back_to_it() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind.code()), Some(kind));
        }
        assert_eq!(Kind::from_code(0), None);
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert_eq!(Kind::from_code(7), None);
    }
}
