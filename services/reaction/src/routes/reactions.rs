use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use duet_channel::sender::{Delivery, Reply, SendError};
use duet_channel::store::Store;
use duet_protocol::event::TraceContext;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::sender::{FailureCause, MayBeApplied, Outcomes};
use duet_protocol::settings::Mode;
use duet_protocol::time::Timestamp;
use duet_telemetry::propagation::{self, Traceparent};
use duet_web::body::Json;
use duet_web::cursor::Position;
use duet_web::ids::{PostId, UserId};
use duet_web::page::{List, Page, PageParams};
use duet_web::position::DUET_POSITION;
use duet_web::prefer::{self, Prefer, PreferParams};
use duet_web::problem::{AnyProblem, Applied, BodyProblem, ProblemDetails};
use duet_web::server::until_draining;
use duet_web::trace::Dispatched;
use duet_web::{Kind as ProblemKind, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::deliveries;
use super::delivery::{DeliveryState, Status, named};
use super::path::InPath;
use super::posts::post_not_found;
use super::{overloaded, unavailable};
use crate::domain::{self, Kind, Pair, Stand};
use crate::service::{NoSuchPost, Sending};
use crate::store::{posts, reactions};

/// A reaction to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReactionBody {
    /// What it is to be; replaces the one that is there.
    kind: Kind,
}

/// One user's reaction to a post.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reaction {
    user: UserId,
    kind: Kind,
    /// Since when.
    #[serde(serialize_with = "duet_web::time::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl From<domain::Reaction> for Reaction {
    fn from(domain::Reaction { user, kind, at }: domain::Reaction) -> Self {
        Self { user, kind, at }
    }
}

/// A reaction that was changed, and how the owner learns of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChangedReaction {
    post: PostId,
    user: UserId,
    /// The reaction; null if there is none now.
    #[schema(required)]
    kind: Option<Kind>,
    delivery: DeliveryState,
}

/// Where a page of a post's reactions ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AfterUser(UserId);

impl Position for AfterUser {
    const LIST: &'static str = "reactions";
}

/// React to a post
///
/// Idempotent: a user has at most one reaction to a post, a new kind replaces it, and the same kind again changes nothing.
#[utoipa::path(
    put,
    operation_id = "putReaction",
    path = "/v1/posts/{post}/reactions/{user}",
    tag = "reactions",
    params(("post" = PostId, Path), ("user" = UserId, Path), PreferParams),
    responses(
        AnyProblem,
        BodyProblem,
        (status = 200, body = ChangedReaction, description = "It stands, and its event is delivered", headers(
            ("Duet-Position" = duet_web::position::Position, description = "The event, for whoever reads at a receiver and wants to see it; none if there never was one"),
            ("Preference-Applied" = String, description = "The wait of `Prefer`, where the answer waited for it"),
        )),
        (status = 202, body = ChangedReaction, description = "It stands, and its event will be delivered", headers(
            ("Duet-Position" = duet_web::position::Position, description = "The event, for whoever reads at a receiver and wants to see it"),
            ("Location" = String, description = "Where to ask how it stands"),
            ("Preference-Applied" = String, description = "The wait of `Prefer`, where the answer waited for it"),
        )),
        (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "There is no such post"),
        (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "It was not delivered: `applied` says whether it stands"),
        (status = 504, body = ProblemDetails, content_type = "application/problem+json", description = "It was not delivered in time: `applied` says whether it stands"),
    )
)]
pub(super) async fn put(
    request: HttpRequest,
    sending: web::Data<Sending>,
    InPath(pair): InPath<Pair>,
    prefer: Prefer,
    Json(ReactionBody { kind }): Json<ReactionBody>,
) -> Result<HttpResponse, Problem> {
    change(&request, &sending, pair, Some(kind), prefer).await
}

/// Undo a reaction
///
/// Idempotent: the answer is the same when there was nothing.
#[utoipa::path(
    delete,
    operation_id = "deleteReaction",
    path = "/v1/posts/{post}/reactions/{user}",
    tag = "reactions",
    params(("post" = PostId, Path), ("user" = UserId, Path), PreferParams),
    responses(
        AnyProblem,
        (status = 200, body = ChangedReaction, description = "There is none, and the event that undid it is delivered", headers(
            ("Duet-Position" = duet_web::position::Position, description = "The event, for whoever reads at a receiver and wants to see it; none if there never was one"),
            ("Preference-Applied" = String, description = "The wait of `Prefer`, where the answer waited for it"),
        )),
        (status = 202, body = ChangedReaction, description = "There is none, and the event that undid it will be delivered", headers(
            ("Duet-Position" = duet_web::position::Position, description = "The event, for whoever reads at a receiver and wants to see it"),
            ("Location" = String, description = "Where to ask how it stands"),
            ("Preference-Applied" = String, description = "The wait of `Prefer`, where the answer waited for it"),
        )),
        (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "There is no such post"),
        (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "It was not delivered: `applied` says whether it is undone"),
        (status = 504, body = ProblemDetails, content_type = "application/problem+json", description = "It was not delivered in time: `applied` says whether it is undone"),
    )
)]
pub(super) async fn delete(
    request: HttpRequest,
    sending: web::Data<Sending>,
    InPath(pair): InPath<Pair>,
    prefer: Prefer,
) -> Result<HttpResponse, Problem> {
    change(&request, &sending, pair, None, prefer).await
}

async fn change(
    request: &HttpRequest,
    sending: &Sending,
    pair: Pair,
    kind: Option<Kind>,
    prefer: Prefer,
) -> Result<HttpResponse, Problem> {
    let key = pair
        .key()
        .ok_or_else(|| Problem::internal("two ids are too long for a key"))?;
    // The row says since when, once it is written.
    let stand = kind.map(|kind| Stand {
        kind,
        since: Timestamp::default(),
    });
    let mut reply = sending.request(key, stand, current_trace()).await;
    let waited = match &mut reply {
        Ok(reply) => wait_as_preferred(request, sending, reply, prefer).await,
        Err(_) => None,
    };
    let (mode, outcome) = match &reply {
        Ok(Reply { mode, delivery, .. }) => match delivery {
            Delivery::Delivered(_) => (Some(*mode), "delivered"),
            Delivery::Accepted => (Some(*mode), "accepted"),
        },
        Err(SendError::Failed { .. }) => (Some(Mode::Sync), "compensated"),
        Err(SendError::Unknown) => (None, "failed"),
        Err(_) => (None, "refused"),
    };
    let mode = mode.map(named);
    request
        .extensions_mut()
        .insert(Dispatched { mode, outcome });
    let reply = reply.map_err(|error| problem(error, &pair.post))?;
    let settings = sending.in_force();
    let first = settings.as_ref().and_then(|settings| settings.to.first());
    let delivery = DeliveryState::new(&reply, first);
    let status = match delivery.status {
        Status::Delivered => StatusCode::OK,
        Status::Accepted => StatusCode::ACCEPTED,
    };
    let mut answer = HttpResponse::build(status);
    if let Some(event) = reply.event {
        answer.insert_header((DUET_POSITION, event.to_string()));
        if delivery.status == Status::Accepted {
            answer.insert_header((LOCATION, deliveries::location(&event)));
        }
    }
    if let Some(wait) = waited {
        answer.insert_header(prefer::waited(wait));
    }
    let Pair { post, user } = pair;
    Ok(answer.json(ChangedReaction {
        post,
        user,
        kind,
        delivery,
    }))
}

/// Where a change is accepted and its caller prefers to wait: waits for all receivers to hold it. How long that could take, if so.
async fn wait_as_preferred(
    request: &HttpRequest,
    sending: &Sending,
    reply: &mut Reply,
    prefer: Prefer,
) -> Option<Duration> {
    let (wait, event) = (prefer.wait?, reply.event?);
    if reply.delivery != Delivery::Accepted {
        return None;
    }
    let began = Instant::now();
    let delivered = sending.delivered(event, wait);
    // It stands whatever comes of waiting.
    if let Some(Ok(true)) = until_draining(request, delivered).await {
        reply.delivery = Delivery::Delivered(Outcomes::default());
        reply.attempts = reply.attempts.max(1);
    }
    reply.took += began.elapsed();
    Some(wait)
}

/// The trace of the request, to be stored with its event.
fn current_trace() -> TraceContext {
    let span = duet_telemetry::current();
    if !span.is_valid() {
        return TraceContext::default();
    }
    TraceContext {
        traceparent: Traceparent::of(&span).as_str().into(),
        tracestate: propagation::tracestate(&span).into(),
    }
}

/// The receivers that failed a call, as the subject of a sentence.
fn who_failed(by: &[ReceiverName]) -> String {
    match by {
        [] => "A receiver".to_owned(),
        [one] => format!("The receiver {one}"),
        many => {
            let names: Vec<_> = many.iter().map(ReceiverName::as_str).collect();
            format!("Each of the receivers {}", names.join(", "))
        }
    }
}

fn problem(error: SendError<NoSuchPost>, post: &PostId) -> Problem {
    const SECOND: Duration = Duration::from_secs(1);

    match error {
        SendError::Refused(NoSuchPost) => post_not_found(post),
        SendError::NoSettings => {
            let detail = "No Channel has been seen yet, so there is no mode to deliver by. Nothing was written: ask again later.";
            Problem::new(ProblemKind::NotReady, detail)
                .applied(Applied::No)
                .retry_after(SECOND)
        }
        SendError::Failed { cause, applied, by } => {
            let (kind, what) = match cause {
                FailureCause::Deadline => (
                    ProblemKind::DeadlinePassed,
                    "did not answer within the deadline",
                ),
                FailureCause::Refused => (
                    ProblemKind::NotDelivered,
                    "could not be reached, or turned it away",
                ),
                FailureCause::Failed => (ProblemKind::NotDelivered, "could not apply it"),
                FailureCause::Parked => (
                    ProblemKind::NotDelivered,
                    "holds it without having applied it",
                ),
            };
            let (applied, then) = match applied {
                MayBeApplied::No => (Applied::No, "The change was taken back"),
                MayBeApplied::Unknown => (
                    Applied::Unknown,
                    "The change was taken back; a receiver may have shown it for a moment",
                ),
            };
            let who = who_failed(&by);
            let detail = format!("{who} {what}. {then}: ask again, which is safe.");
            Problem::new(kind, detail)
                .applied(applied)
                .retry_after(SECOND)
        }
        SendError::NotAccepted { overloaded: true } => overloaded().applied(Applied::No),
        SendError::NotAccepted { overloaded: false } => {
            let detail =
                "The store did not take the change. Nothing was written: ask again in a moment.";
            Problem::new(ProblemKind::StoreUnavailable, detail)
                .applied(Applied::No)
                .retry_after(SECOND)
        }
        SendError::Unknown => {
            let detail =
                "Whether the change stands is not known: read it, or ask again, which is safe.";
            Problem::new(ProblemKind::OutcomeUnknown, detail)
                .applied(Applied::Unknown)
                .retry_after(SECOND)
        }
    }
}

/// One user's reaction to a post
#[utoipa::path(
    get,
    operation_id = "getReaction",
    path = "/v1/posts/{post}/reactions/{user}",
    tag = "reactions",
    params(("post" = PostId, Path), ("user" = UserId, Path)),
    responses(
        (status = 200, body = Reaction, description = "The reaction"),
        (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "There is no such reaction, or no such post"),
        AnyProblem,
    )
)]
pub(super) async fn get(
    sending: web::Data<Sending>,
    InPath(pair): InPath<Pair>,
) -> Result<web::Json<Reaction>, Problem> {
    let wanted = pair.clone();
    let read = sending.store().read(move |connection| {
        let reaction = reactions::get(connection, &wanted)?;
        Ok((reaction, posts::exists(connection, wanted.post.as_str())?))
    });
    match read.await.map_err(unavailable)? {
        (Some(reaction), _) => Ok(web::Json(reaction.into())),
        (None, false) => Err(post_not_found(&pair.post)),
        (None, true) => {
            let detail = format!("{} has no reaction to {}.", pair.user, pair.post);
            Err(Problem::new(ProblemKind::ReactionNotFound, detail))
        }
    }
}

/// A post's reactions, in the order of their users
#[utoipa::path(
    get,
    operation_id = "listReactions",
    path = "/v1/posts/{post}/reactions",
    tag = "reactions",
    params(("post" = PostId, Path), PageParams),
    responses(
        (status = 200, body = List<Reaction>, description = "A page of them"),
        (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "There is no such post"),
        AnyProblem,
    )
)]
pub(super) async fn list(
    sending: web::Data<Sending>,
    InPath(post): InPath<PostId>,
    page: Page<AfterUser>,
) -> Result<web::Json<List<Reaction>>, Problem> {
    let wanted = post.clone();
    let Page { after, limit } = page;
    let read = sending.store().read(move |connection| {
        if !posts::exists(connection, wanted.as_str())? {
            return Ok(None);
        }
        let after = after.as_ref().map(|AfterUser(user)| user);
        Ok(Some(reactions::page(
            connection,
            &wanted,
            after,
            limit.get() + 1,
        )?))
    });
    let found = read
        .await
        .map_err(unavailable)?
        .ok_or_else(|| post_not_found(&post))?;
    let items = found.into_iter().map(Reaction::from).collect();
    Ok(web::Json(List::from_one_more(items, limit, |item| {
        AfterUser(item.user.clone())
    })))
}
