use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use duet_channel::store::Store;
use duet_channel::store::sqlite::SqliteStore;
use duet_web::Problem;
use duet_web::ids::UserId;
use duet_web::page::{List, Page, PageParams};
use duet_web::position::{AsOf, AsOfParams, AsOfProblem};
use duet_web::problem::AnyProblem;
use duet_web::routes::parameter;
use serde::Serialize;
use utoipa::ToSchema;

use super::notification::Notification;
use super::unavailable;
use crate::store::inbox::{self, Place};

/// The user that a path names.
pub(super) struct InPath(pub(super) UserId);

impl FromRequest for InPath {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parameter(request, "user").map(InPath))
    }
}

/// How much is unread.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Unread {
    /// How many of the user's notifications are unread.
    pub(super) unread: u64,
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
    let Page { after, limit } = page.of(&user)?;
    let owner = user.clone();
    let read = store.read(move |connection| {
        Ok(inbox::page(
            connection,
            &owner,
            after.as_ref(),
            limit.get() + 1,
        )?)
    });
    let groups = read.await.map_err(unavailable)?;
    let place = |group: &_| Place::of(&user, group);
    let List { items, next } = List::from_one_more(groups, limit, place);
    let items = items.into_iter();
    let items = items.map(|group| Notification::of(&user, group)).collect();
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
