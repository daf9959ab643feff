use duet_protocol::sequence::{Epoch, Incarnation};
use duet_web::cursor::{Owned, Position};
use duet_web::ids::UserId;
use serde::{Deserialize, Serialize};

use crate::domain::Newness;

/// Names a change of one user's groups, for `Last-Event-ID`: a cursor as lists have them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventId(UserId, u64, i64);

impl EventId {
    /// The id of the change at `newness`, told by a store that is `incarnation`.
    pub fn new(owner: &UserId, incarnation: Incarnation, newness: Newness) -> Self {
        Self(owner.clone(), incarnation.0, newness.0)
    }

    /// What the store was when it told the change.
    pub fn incarnation(&self) -> Incarnation {
        Epoch(self.1)
    }

    /// Where the change stands among all.
    pub fn newness(&self) -> Newness {
        Newness(self.2)
    }
}

impl Position for EventId {
    const LIST: &'static str = "stream";
}

impl Owned for EventId {
    fn owner(&self) -> &UserId {
        &self.0
    }
}
