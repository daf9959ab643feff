//! `/v1/dead-letters…` on the internal port: what could not be applied is listed, shown, tried again and given up.

/// The core's types as they are told, and what is asked as the core takes it.
mod convert;

use actix_web::web::{Data, Json, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use duet_channel::dead_letters::{self as core, Cursor, RedriveError};
use duet_channel::receiver::ReceivingService;
use duet_channel::store::StoreError;
use duet_channel::store::sqlite::SqliteStore;
use duet_protocol::event::EventId;
use serde::{Deserialize, Serialize};

use super::Connection;
use crate::cursor::{self, Position};
use crate::dead_letters::{
    CAUSES, Cause, DISCARD, Discard, Discarded, Filter, LETTER, LETTERS, Letter, Progress, REDRIVE,
    Redrive,
};
use crate::page::{List, Page, invalid};
use crate::problem::{Applied, FieldError};
use crate::routes::{at, parameter};
use crate::{Kind, Problem, body};

/// The letters that a preview tries at most: nothing else is written meanwhile.
const PREVIEWED: usize = 1_000;

type Letters<A> = Data<core::DeadLetters<SqliteStore, A>>;

/// Registers the resources. The app's data has the receiver's letters.
pub(super) fn configure<A: ReceivingService<Connection>>(config: &mut ServiceConfig) {
    let redrives = at(REDRIVE)
        .get(progress::<A>)
        .post(redrive::<A>)
        .delete(cancel::<A>);
    config
        .service(at(LETTERS).get(list::<A>))
        .service(at(CAUSES).get(causes::<A>))
        .service(redrives)
        .service(at(DISCARD).post(discard::<A>))
        .service(at(LETTER).get(show::<A>));
}

/// Letters are listed in the order in which they were parked.
#[derive(Debug, Serialize, Deserialize)]
struct After(Cursor);

impl Position for After {
    const LIST: &'static str = "dead-letters";
}

async fn list<A: ReceivingService<Connection>>(
    request: HttpRequest,
    letters: Letters<A>,
) -> Result<Json<List<Letter>>, Problem> {
    let (page, others) = Page::<After>::with_others(request.query_string())?;
    let filter = Filter::from_parameters(others)?.into();
    let after = page.after.map(|After(place)| place);
    let found = letters.list(&filter, after, page.limit.get()).await;
    let found = found.map_err(Problem::not_read)?;
    let without_data = |letter| Letter {
        data: None,
        ..Letter::from(letter)
    };
    Ok(Json(List {
        items: found.letters.into_iter().map(without_data).collect(),
        next: found.next.map(|place| cursor::encode(&After(place))),
    }))
}

/// At most 100, those of most letters first: one page.
async fn causes<A: ReceivingService<Connection>>(
    request: HttpRequest,
    letters: Letters<A>,
) -> Result<Json<List<Cause>>, Problem> {
    let (page, others) = Page::<After>::with_others(request.query_string())?;
    if page.after.is_some() {
        let error = FieldError::of("cursor", "all causes are one page");
        return Err(invalid(error));
    }
    let filter: core::Filter = Filter::from_parameters(others)?.into();
    let found = letters.causes(&filter).await.map_err(Problem::not_read)?;
    let mut items = Vec::with_capacity(found.len());
    for cause in found {
        let of_it = core::Filter {
            cause: Some(cause.fingerprint),
            ..filter.clone()
        };
        let example = letters.list(&of_it, None, 1).await;
        let example = example.map_err(Problem::not_read)?.letters.pop();
        items.push(Cause::of(cause, example.map(|letter| letter.id)));
    }
    Ok(Json(List { items, next: None }))
}

async fn show<A: ReceivingService<Connection>>(
    request: HttpRequest,
    letters: Letters<A>,
) -> Result<Json<Letter>, Problem> {
    let id: EventId = parameter(&request, "id")?;
    let found = letters.show(id).await.map_err(Problem::not_read)?;
    let letter = found.ok_or_else(|| {
        let detail = "No event of this id is parked or dead here: it was applied, superseded or discarded, or it never failed.";
        Problem::new(Kind::DeadLetterNotFound, detail)
    })?;
    Ok(Json(letter.into()))
}

async fn progress<A: ReceivingService<Connection>>(
    letters: Letters<A>,
) -> Result<Json<Progress>, Problem> {
    let progress = letters.progress().await.map_err(Problem::not_read)?;
    Ok(Json(progress.map(Progress::from).unwrap_or_default()))
}

/// 202: it goes on by itself. A dry run is answered with what it would come to.
async fn redrive<A: ReceivingService<Connection>>(
    letters: Letters<A>,
    body: body::Json<Redrive>,
) -> Result<HttpResponse, Problem> {
    let Redrive {
        filter,
        rate,
        dry_run,
    } = body.0;
    let filter = filter.into();
    if dry_run {
        let preview = letters.preview(&filter, PREVIEWED).await;
        let preview = preview.map_err(Problem::not_read)?;
        return Ok(HttpResponse::Ok().json(crate::dead_letters::Preview::from(preview)));
    }
    match letters.redrive(filter, rate).await {
        Ok(()) => {
            let Json(progress) = self::progress(letters).await?;
            Ok(HttpResponse::Accepted().json(progress))
        }
        Err(RedriveError::UnderWay) => {
            let detail = format!(
                "One at a time: GET {REDRIVE} tells how far it has come, DELETE {REDRIVE} cancels it."
            );
            Err(Problem::new(Kind::RedriveUnderWay, detail))
        }
        Err(RedriveError::Store(error)) => Err(not_written(error)),
    }
}

/// What it has not come to stays as it was. Where none is under way, nothing changes.
async fn cancel<A: ReceivingService<Connection>>(
    letters: Letters<A>,
) -> Result<Json<Progress>, Problem> {
    letters.cancel().await.map_err(not_written)?;
    progress(letters).await
}

async fn discard<A: ReceivingService<Connection>>(
    letters: Letters<A>,
    body: body::Json<Discard>,
) -> Result<Json<Discarded>, Problem> {
    let filter = body.0.filter.into();
    let discarded = letters.discard(&filter).await;
    // Page by page: some of them may be gone.
    let discarded =
        discarded.map_err(|error| Problem::not_read(error).applied(Applied::Unknown))?;
    Ok(Json(Discarded { discarded }))
}

/// The store did not take it, or can't tell.
fn not_written(error: StoreError) -> Problem {
    let applied = match error {
        StoreError::Unknown(_) => Applied::Unknown,
        _ => Applied::No,
    };
    Problem::not_read(error).applied(applied)
}
