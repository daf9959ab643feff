//! `/v1/ledger` on the internal port: what the store's tables say, for `duet audit`. A POST asks about places or keys; nothing is changed.

use std::collections::BTreeMap;

use actix_web::web::{self, Data, ServiceConfig};
use duet_channel::store::sqlite::SqliteStore;
use duet_channel::store::sqlite::audit::{
    self, AtReceiver, AuditRows, ReceiverTables, SenderTables, Stands,
};
use duet_channel::store::{Store, StoreError};
use duet_protocol::event::EventId;
use duet_protocol::sequence::{Sequence, Source};
use serde::Deserialize;

use super::receiving::Connection;
use crate::body::{INTAKE_BODY, Json};
use crate::problem::{Kind, Problem};
use crate::routes::at;

/// The most keys of one question, and rows of one page.
const MOST: usize = 1_000;

/// A store, and how its service's rows are read.
#[derive(Clone)]
struct Audited {
    store: SqliteStore,
    rows: &'static dyn AuditRows,
}

/// The resources of a sender.
pub fn sender(
    store: SqliteStore,
    rows: &'static dyn AuditRows,
) -> impl Fn(&mut ServiceConfig) + Clone + Send {
    let audited = Audited { store, rows };
    move |config: &mut ServiceConfig| {
        config
            .app_data(Data::new(audited.clone()))
            .service(at("/v1/ledger").get(sent).post(sent_at))
            .service(at("/v1/ledger/rows").get(page).post(rows_of));
    }
}

/// The resources of a receiver.
pub fn receiver(
    store: SqliteStore,
    rows: &'static dyn AuditRows,
) -> impl Fn(&mut ServiceConfig) + Clone + Send {
    let audited = Audited { store, rows };
    move |config: &mut ServiceConfig| {
        config
            .app_data(Data::new(audited.clone()))
            .service(at("/v1/ledger").get(held))
            .service(at("/v1/ledger/rows").get(page).post(at_receiver));
    }
}

impl Audited {
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &dyn AuditRows) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<web::Json<T>, Problem> {
        let rows = self.rows;
        let read = self.store.read(move |connection| read(connection, rows));
        Ok(web::Json(read.await.map_err(Problem::not_read)?))
    }
}

/// `GET /v1/ledger` of a sender.
async fn sent(audited: Data<Audited>) -> Result<web::Json<SenderTables>, Problem> {
    let read = |connection: &Connection, rows: &dyn AuditRows| {
        audit::sender(connection, rows, &BTreeMap::new())
    };
    audited.read(read).await
}

/// The same, with the hashes up to places: `[["/duet/…", 12], …]`.
async fn sent_at(
    audited: Data<Audited>,
    places: Json<Vec<(String, u64)>, INTAKE_BODY>,
) -> Result<web::Json<SenderTables>, Problem> {
    let mut at = BTreeMap::new();
    for (source, sequence) in places.0 {
        let source: Source = source
            .parse()
            .map_err(|error| Problem::new(Kind::InvalidBody, format!("{source}: {error}.")))?;
        at.insert(source, Sequence(sequence));
    }
    let read =
        move |connection: &Connection, rows: &dyn AuditRows| audit::sender(connection, rows, &at);
    audited.read(read).await
}

/// `GET /v1/ledger` of a receiver.
async fn held(audited: Data<Audited>) -> Result<web::Json<ReceiverTables>, Problem> {
    audited.read(audit::receiver).await
}

/// Where a page of rows begins, and how long it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    after: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/ledger/rows?after=&limit=`.
async fn page(
    audited: Data<Audited>,
    from: web::Query<From>,
) -> Result<web::Json<Vec<Stands>>, Problem> {
    let From { after, limit } = from.into_inner();
    let limit = limit.unwrap_or(MOST).clamp(1, MOST);
    let read = move |connection: &Connection, rows: &dyn AuditRows| {
        rows.page(connection, after.as_deref(), limit)
    };
    audited.read(read).await
}

/// `POST /v1/ledger/rows` of a sender: the rows of keys, `["p1/ana", …]`.
async fn rows_of(
    audited: Data<Audited>,
    keys: Json<Vec<String>, INTAKE_BODY>,
) -> Result<web::Json<Vec<Option<Stands>>>, Problem> {
    let keys = few(keys.0)?;
    let read = move |connection: &Connection, rows: &dyn AuditRows| {
        keys.iter().map(|key| rows.of(connection, key)).collect()
    };
    audited.read(read).await
}

/// `POST /v1/ledger/rows` of a receiver: how keys stand, and whether an event of each was received: `[["p1/ana", "…"], …]`.
async fn at_receiver(
    audited: Data<Audited>,
    keys: Json<Vec<(String, Option<String>)>, INTAKE_BODY>,
) -> Result<web::Json<Vec<AtReceiver>>, Problem> {
    let mut asked: Vec<(String, Option<EventId>)> = Vec::new();
    for (key, event) in few(keys.0)? {
        let event = event.map(|event| event.parse()).transpose();
        let event =
            event.map_err(|error| Problem::new(Kind::InvalidBody, format!("{key}: {error}.")))?;
        asked.push((key, event));
    }
    let read = move |connection: &Connection, rows: &dyn AuditRows| {
        audit::at_receiver(connection, rows, &asked)
    };
    audited.read(read).await
}

fn few<T>(all: Vec<T>) -> Result<Vec<T>, Problem> {
    if all.len() > MOST {
        let detail = format!("At most {MOST} keys can be asked about at once.");
        return Err(Problem::new(Kind::InvalidBody, detail));
    }
    Ok(all)
}
