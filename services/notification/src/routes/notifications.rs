use std::collections::BTreeMap;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use duet_channel::store::Store;
use duet_channel::store::sqlite::SqliteStore;
use duet_protocol::time::Timestamp;
use duet_web::Problem;
use duet_web::ids::{PostId, Title, UserId};
use duet_web::page::{List, Page, PageParams};
use duet_web::position::{AsOf, AsOfParams, AsOfProblem};
use duet_web::problem::AnyProblem;
use duet_web::routes::parameter;
use serde::Serialize;
use utoipa::ToSchema;

use super::unavailable;
use crate::domain::Group;
use crate::store::inbox::{self, Place};

/// The user that a path names.
pub(super) struct InPath(UserId);

impl FromRequest for InPath {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parameter(request, "user").map(InPath))
    }
}

/// The reactions to one post, grouped.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Notification {
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
}

impl From<Group> for Notification {
    fn from(group: Group) -> Self {
        let text = group.text();
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
        }
    }
}

/// How much is unread.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Unread {
    /// How many of the user's notifications are unread.
    unread: u64,
}

/// A user's notifications, the newest first
///
/// One for each post of theirs that others reacted to. A user that nobody reacted to has none.
#[utoipa::path(
    get,
    operation_id = "listNotifications",
    path = "/v1/users/{user}/notifications",
    tag = "notifications",
    params(("user" = UserId, Path), PageParams, AsOfParams),
    responses(
        AsOfProblem,
        (status = 200, body = List<Notification>, description = "A page of them"),
        AnyProblem,
    )
)]
pub(super) async fn list(
    store: web::Data<SqliteStore>,
    InPath(user): InPath,
    page: Page<Place>,
    _: AsOf,
) -> Result<web::Json<List<Notification>>, Problem> {
    let Page { after, limit } = page;
    let read = store.read(move |connection| {
        Ok(inbox::page(
            connection,
            &user,
            after.as_ref(),
            limit.get() + 1,
        )?)
    });
    let groups = read.await.map_err(unavailable)?;
    let List { items, next } = List::from_one_more(groups, limit, |group| Place::from(group));
    let items = items.into_iter().map(Notification::from).collect();
    Ok(web::Json(List { items, next }))
}

/// How many of a user's notifications are unread
#[utoipa::path(
    get,
    operation_id = "countUnread",
    path = "/v1/users/{user}/notifications/unread",
    tag = "notifications",
    params(("user" = UserId, Path), AsOfParams),
    responses(
        AsOfProblem,
        (status = 200, body = Unread, description = "How many"),
        AnyProblem,
    )
)]
pub(super) async fn unread(
    store: web::Data<SqliteStore>,
    InPath(user): InPath,
    _: AsOf,
) -> Result<web::Json<Unread>, Problem> {
    let read = store.read(move |connection| Ok(inbox::unread(connection, &user)?));
    let unread = read.await.map_err(unavailable)?;
    Ok(web::Json(Unread { unread }))
}
