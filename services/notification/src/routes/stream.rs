use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use actix_web::web::Query;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use duet_channel::store::Store;
use duet_channel::store::sqlite::SqliteStore;
use duet_web::cursor;
use duet_web::ids::UserId;
use duet_web::position::{AsOf, AsOfParams, AsOfProblem};
use duet_web::problem::{AnyProblem, FieldError};
use duet_web::{Kind, Problem};
use utoipa::IntoParams;

use super::notifications::InPath;
use super::unavailable;
use crate::store::changes;
use crate::stream::{Begin, EventId, Streams, TooMany, follow};

/// The header by which a client goes on where it was.
const LAST_EVENT_ID: &str = "Last-Event-ID";
/// How long a client should wait when there are too many.
const RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// Where a stream begins, for OpenAPI.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "its fields are read by the derive alone")]
pub(super) struct StreamParams {
    /// Where to begin without Last-Event-ID: `now`, or `start`, which tells the whole list first, the oldest first
    #[param(inline, default = "now", nullable = false)]
    from: Option<From>,
}

/// How a stream goes on, for OpenAPI.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "its fields are read by the derive alone")]
pub(super) struct Resumed {
    /// The id of the last event that was got
    #[param(rename = "Last-Event-ID", max_length = 1024, nullable = false)]
    last_event_id: Option<String>,
}

/// Where a stream begins.
#[derive(Clone, Copy, Debug, Default, utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
enum From {
    #[default]
    Now,
    Start,
}

impl From {
    fn parse(query: &str) -> Result<Self, Problem> {
        let refused = |name: &str, what: &str| {
            let error = FieldError::of(name.to_owned(), what);
            Problem::new(Kind::InvalidParameter, format!("{name}: {what}.")).with(error)
        };
        let parameters = Query::<Vec<(String, String)>>::from_query(query);
        let parameters = parameters.map_err(|error| {
            let detail = format!("The query can't be read: {error}.");
            Problem::new(Kind::InvalidParameter, detail)
        })?;
        let mut from = None;
        for (name, value) in parameters.into_inner() {
            let begins = match (name.as_str(), value.as_str()) {
                ("from", "now") => From::Now,
                ("from", "start") => From::Start,
                ("from", _) => return Err(refused("from", "it is now or start")),
                (name, _) => return Err(refused(name, "there is no such parameter")),
            };
            if from.replace(begins).is_some() {
                return Err(refused("from", "it is given twice"));
            }
        }
        Ok(from.unwrap_or_default())
    }
}

/// A user's notifications as they change
///
/// Server-sent events: `notification`, a notification that came, changed or was read, as the list has it; `removed`, `{"post"}`, one
/// that is there no more. What changes several times before it is sent is sent once, as it then is. Each event's id goes on after it,
/// by Last-Event-ID, also when the service was started anew. Where that can't be, because the service's store was replaced or too much
/// has changed since, the first event is `reset`: forget what was told before; all there is follows. A comment every 15 s shows that
/// the stream lives. To miss nothing between a list and a stream, begin the stream first, or at `start`.
#[utoipa::path(
    get,
    operation_id = "streamNotifications",
    path = "/v1/users/{user}/notifications/stream",
    tag = "notifications",
    params(
        ("user" = UserId, Path),
        Resumed,
        StreamParams,
        AsOfParams,
    ),
    responses(
        AsOfProblem,
        (status = 200, content_type = "text/event-stream", body = String, description = "The events, until the service stops or the client goes"),
        AnyProblem,
    )
)]
pub(super) async fn stream(
    request: HttpRequest,
    store: web::Data<SqliteStore>,
    streams: web::Data<Streams>,
    InPath(user): InPath,
    _: AsOf,
) -> Result<HttpResponse, Problem> {
    let from = From::parse(request.query_string())?;
    let last = last_event_id(&request, &user)?;
    let mut response = HttpResponse::Ok();
    response
        .content_type(russe::MEDIA_TYPE_STR)
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        // A proxy that collects an answer before it passes it on would never pass this one.
        .insert_header(("X-Accel-Buffering", "no"))
        .force_close();
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    // First: what is committed after it was read where to begin wakes.
    let listening = match streams.listeners.listen(user.clone()) {
        Ok(listening) => listening,
        Err(TooMany(max)) => return Ok(too_many(max)),
    };
    let store = SqliteStore::clone(&store);
    let begin = store.read(move |connection| {
        Ok(match (last, from) {
            (Some(id), _) => {
                let (incarnation, newness) = (id.incarnation(), id.newness());
                match changes::are_known_after(connection, incarnation, newness)? {
                    true => Begin::After(newness),
                    false => Begin::Anew,
                }
            }
            (None, From::Now) => Begin::After(changes::last(connection, &user)?),
            (None, From::Start) => Begin::Start,
        })
    });
    let begin = begin.await.map_err(unavailable)?;
    let streams = Streams::clone(&streams);
    Ok(response.streaming(follow(store, streams, listening, begin)))
}

/// What the client was told last, if it says so.
fn last_event_id(request: &HttpRequest, user: &UserId) -> Result<Option<EventId>, Problem> {
    let Some(header) = request.headers().get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    if header.is_empty() {
        return Ok(None);
    }
    let id = cursor::decode_of::<EventId>(header.to_str().unwrap_or_default(), user);
    id.map(Some).map_err(|error| {
        let what = match error {
            cursor::InvalidCursor::AnotherUser => "it is an id of another user's stream",
            _ => "it is not an id of this stream's: send the last event's as it is, or none",
        };
        Problem::new(Kind::InvalidHeader, format!("{LAST_EVENT_ID}: {what}."))
            .with(FieldError::in_header(LAST_EVENT_ID, what))
    })
}

/// The connection goes too: those who can't be served must not hold it.
fn too_many(max: usize) -> HttpResponse {
    let detail = format!("There are {max} event streams already: connect again in a moment.");
    let problem = Problem::new(Kind::Overloaded, detail).retry_after(RETRY);
    let mut response = problem.error_response();
    response
        .head_mut()
        .set_connection_type(ConnectionType::Close);
    response
}
