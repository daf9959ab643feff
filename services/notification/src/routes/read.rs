use std::sync::Arc;

use actix_web::web;
use duet_channel::store::sqlite::SqliteStore;
use duet_channel::store::{Store, Transaction};
use duet_web::body::Json;
use duet_web::cursor::{self, InvalidCursor};
use duet_web::ids::{PostId, UserId};
use duet_web::problem::{AnyProblem, BodyProblem, FieldError};
use duet_web::{Kind, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::notifications::{InPath, Unread};
use super::unavailable;
use crate::store::inbox::{self, Place};
use crate::store::{Memory, read};
use crate::stream::Streams;

/// What was read, by the one member that the body has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReadBody {
    Post(PostId),
    UpTo(String),
}

/// What was read: one notification, or one and all that are older.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ReadBody)]
#[allow(dead_code, reason = "it is read by the derive alone")]
pub(super) enum Documented {
    /// One.
    One(ReadOne),
    /// All that are not newer.
    UpTo(ReadUpTo),
}

/// One notification was read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "its fields are read by the derive alone")]
pub(super) struct ReadOne {
    /// Of which post.
    post: PostId,
}

/// A notification and all older ones were read. What came since was not.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "its fields are read by the derive alone")]
pub(super) struct ReadUpTo {
    /// A `cursor` of this user's list, or its `next`.
    #[schema(max_length = 1024)]
    up_to: String,
}

/// Mark notifications as read
///
/// One, or all up to one of them. It is safe to repeat: what is read already stays so, and a post without a notification is none.
#[utoipa::path(
    post,
    operation_id = "markRead",
    path = "/v1/users/{user}/notifications/read",
    tag = "notifications",
    params(("user" = UserId, Path)),
    request_body = Documented,
    responses(
        (status = 200, body = Unread, description = "How many are unread now"),
        BodyProblem,
        AnyProblem,
    )
)]
pub(super) async fn mark(
    store: web::Data<SqliteStore>,
    memory: web::Data<Arc<Memory>>,
    streams: web::Data<Streams>,
    InPath(user): InPath,
    Json(body): Json<ReadBody>,
) -> Result<web::Json<Unread>, Problem> {
    let what = match body {
        ReadBody::Post(post) => read::Read::Post(post),
        ReadBody::UpTo(cursor) => {
            let place: Place = cursor::decode_of(&cursor, &user).map_err(|error| {
                let why = match error {
                    InvalidCursor::Garbage => {
                        "it is not a cursor: use a notification's `cursor`, as it is".to_owned()
                    }
                    of_another => of_another.to_string(),
                };
                Problem::new(Kind::InvalidCursor, format!("up_to: {why}."))
                    .with(FieldError::at("/up_to", why))
            })?;
            read::Read::UpTo(place.newness())
        }
    };
    loop {
        let (memory, owner, what) = (memory.clone(), user.clone(), what.clone());
        let write = store.write(move |tx| {
            let connection = tx.connection();
            let more = read::mark(connection, &memory, &owner, &what)?;
            Ok((more, inbox::unread(connection, &owner)?))
        });
        let (more, unread) = write.await.map_err(unavailable)?;
        streams.listeners.wake([user.as_str()]);
        if !more {
            return Ok(web::Json(Unread { unread }));
        }
    }
}
