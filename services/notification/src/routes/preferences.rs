use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::web;
use duet_channel::store::sqlite::SqliteStore;
use duet_channel::store::{Store, Transaction};
use duet_web::Problem;
use duet_web::body::Json;
use duet_web::ids::{PostId, UserId};
use duet_web::problem::{AnyProblem, BodyProblem};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::notifications::InPath;
use super::unavailable;
use crate::domain::{Kind, Mute};
use crate::store::{Memory, mutes};

/// What a user wants to be notified of.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Preferences {
    /// What of it not.
    mute: MuteLists,
}

/// What a user doesn't want to be notified of. What is there twice counts once.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MuteLists {
    /// Reactions to these posts.
    #[serde(deserialize_with = "bounded")]
    #[schema(value_type = Vec<PostId>, max_items = 1000)]
    posts: BTreeSet<PostId>,
    /// Reactions of these kinds.
    #[serde(deserialize_with = "bounded")]
    #[schema(value_type = Vec<Kind>, max_items = 1000)]
    kinds: BTreeSet<Kind>,
    /// Reactions of these users.
    #[serde(deserialize_with = "bounded")]
    #[schema(value_type = Vec<UserId>, max_items = 1000)]
    users: BTreeSet<UserId>,
}

/// A list of at most [`Mute::MAX`], as a set.
fn bounded<'de, D, T>(deserializer: D) -> Result<BTreeSet<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Ord,
{
    let list = Vec::<T>::deserialize(deserializer)?;
    if list.len() > Mute::MAX {
        let (given, max) = (list.len(), Mute::MAX);
        return Err(D::Error::custom(format_args!(
            "at most {max} can be muted, these are {given}"
        )));
    }
    Ok(list.into_iter().collect())
}

impl From<Mute> for Preferences {
    fn from(
        Mute {
            posts,
            kinds,
            users,
        }: Mute,
    ) -> Self {
        Preferences {
            mute: MuteLists {
                posts,
                kinds,
                users,
            },
        }
    }
}

impl From<Preferences> for Mute {
    fn from(preferences: Preferences) -> Self {
        let MuteLists {
            posts,
            kinds,
            users,
        } = preferences.mute;
        Mute {
            posts,
            kinds,
            users,
        }
    }
}

/// What a user wants to be notified of
///
/// A user who never said so mutes nothing.
#[utoipa::path(
    get,
    operation_id = "getPreferences",
    path = "/v1/users/{user}/preferences",
    tag = "preferences",
    params(("user" = UserId, Path)),
    responses(
        (status = 200, body = Preferences, description = "As they are"),
        AnyProblem,
    )
)]
pub(super) async fn get(
    store: web::Data<SqliteStore>,
    InPath(user): InPath,
) -> Result<web::Json<Preferences>, Problem> {
    let read = store.read(move |connection| Ok(mutes::get(connection, &user)?));
    let mute = read.await.map_err(unavailable)?;
    Ok(web::Json(mute.into()))
}

/// Say what a user wants to be notified of
///
/// It replaces what was said before, and holds for reactions that come from now on: what was notified stays until it is undone or changes,
/// and what was muted does not come back.
#[utoipa::path(
    put,
    operation_id = "putPreferences",
    path = "/v1/users/{user}/preferences",
    tag = "preferences",
    params(("user" = UserId, Path)),
    request_body = Preferences,
    responses(
        (status = 200, body = Preferences, description = "As they are now"),
        BodyProblem,
        AnyProblem,
    )
)]
pub(super) async fn put(
    store: web::Data<SqliteStore>,
    memory: web::Data<Arc<Memory>>,
    InPath(user): InPath,
    Json(preferences): Json<Preferences>,
) -> Result<web::Json<Preferences>, Problem> {
    let mute = Arc::new(Mute::from(preferences));
    let memory = memory.clone();
    let put = mute.clone();
    let write = store.write(move |tx| {
        memory.mutes_now(user.as_str());
        Ok(mutes::put(tx.connection(), &user, &put)?)
    });
    write.await.map_err(unavailable)?;
    Ok(web::Json(Mute::clone(&mute).into()))
}
