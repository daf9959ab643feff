use duet_protocol::event::Key;
use duet_protocol::time::Timestamp;
use duet_web::ids::{MAX_ID, PostId, UserId};

use super::Kind;

/// A post and a user: at most one reaction, and the key of every event about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// Which post.
    pub post: PostId,
    /// Whose reaction.
    pub user: UserId,
}

// A key never fails to be one: two ids and the slash between them fit.
const _: () = assert!(2 * MAX_ID < Key::MAX);

impl Pair {
    /// The key of the pair's events: `POST/USER`. Ids have no slash, so it can be taken apart again.
    pub fn key(&self) -> Option<Key> {
        Key::new(format!("{}/{}", self.post, self.user))
    }

    /// Post and user of a key that [`Pair::key`] made.
    pub fn split(key: &Key) -> Option<(&str, &str)> {
        key.as_str().split_once('/')
    }
}

/// A pair's reaction as it stands. Two that stand are equal if their kinds are: asking for the same kind changes nothing.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Stand {
    /// Its kind.
    pub kind: Kind,
    /// Since when.
    pub since: Timestamp,
}

impl PartialEq for Stand {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// One user's reaction to a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// Whose.
    pub user: UserId,
    /// Its kind.
    pub kind: Kind,
    /// Since when.
    pub at: Timestamp,
}
