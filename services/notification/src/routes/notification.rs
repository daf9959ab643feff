use std::collections::BTreeMap;

use duet_protocol::time::Timestamp;
use duet_web::cursor;
use duet_web::ids::{PostId, Title, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Group;
use crate::store::inbox::Place;

/// The reactions to one post, grouped.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notification {
    post: PostId,
    /// The post's title, as the newest reaction knew it.
    title: Title,
    /// The group in a sentence.
    #[schema(example = "ana and 3 others reacted to First light")]
    text: String,
    /// How many reactions stand.
    #[schema(minimum = 1)]
    count: u64,
    /// How many of each kind.
    #[schema(example = json!({"like": 3, "love": 1}))]
    kinds: BTreeMap<String, u64>,
    /// The latest who reacted, the newest first.
    #[schema(max_items = 3)]
    actors: Vec<UserId>,
    /// Whether something in it was not read yet.
    unread: bool,
    /// When the newest reaction was made.
    #[serde(serialize_with = "duet_web::time::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Its place in the list: to begin a page after it, or to mark it and all older ones as read.
    #[schema(max_length = 1024)]
    cursor: String,
}

impl Notification {
    /// One of an owner's groups, as the owner is told.
    pub(crate) fn of(owner: &UserId, group: Group) -> Self {
        let (text, cursor) = (group.text(), cursor::encode(&Place::of(owner, &group)));
        let kinds = group.kinds.into_iter();
        Self {
            post: group.post,
            title: group.title,
            text,
            count: group.count,
            kinds: kinds
                .map(|(kind, count)| (kind.to_string(), count))
                .collect(),
            actors: group.actors,
            unread: group.unread,
            at: group.at,
            cursor,
        }
    }
}

/// A notification that is there no more.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Removed {
    /// Of which post.
    pub(crate) post: PostId,
}
