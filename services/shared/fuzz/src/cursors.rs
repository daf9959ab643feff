use duet_protocol::event::EventId;
use duet_web::cursor::{self, Owned, Position};
use duet_web::ids::{PostId, UserId};
use serde::{Deserialize, Serialize};

use crate::split;

/// A position such as lists have: whose it is, and columns of each kind.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Of {
    owner: UserId,
    post: PostId,
    newness: i64,
}

impl Of {
    /// One to begin with.
    pub fn example() -> Self {
        Of {
            owner: "ana".parse().expect("an id"),
            post: "post-1".parse().expect("an id"),
            newness: -42,
        }
    }
}

impl Position for Of {
    const LIST: &'static str = "fuzz";
}

impl Owned for Of {
    fn owner(&self) -> &UserId {
        &self.owner
    }
}

/// A cursor, or an event's name. What is taken is the same once it is given out again.
pub fn cursors(data: &[u8]) {
    let (which, data) = split(data);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match which % 2 {
        0 => {
            if let Ok(position) = cursor::decode::<Of>(text) {
                let given = cursor::encode(&position);
                let again = cursor::decode_of::<Of>(&given, position.owner());
                assert_eq!(again.expect("what was given out"), position);
            }
        }
        _ => {
            if let Ok(id) = text.parse::<EventId>() {
                assert_eq!(id.to_string(), text);
            }
        }
    }
}
