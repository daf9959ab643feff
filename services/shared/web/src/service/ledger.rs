//! `/v1/ledger` on the internal port: what the store's tables say, for `duet audit`. A POST asks about places or keys; nothing is changed.

use std::collections::BTreeMap;

use actix_web::web::{self, Data, ServiceConfig};
use duet_channel::store::sqlite::SqliteStore;
use duet_channel::store::sqlite::audit::{
    self, AtReceiver, AuditRows, ReceiverTables, SenderTables, Stands,
};
use duet_channel::store::{Store, StoreError};
use duet_protocol::event::EventId;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::sequence::{Sequence, Source};
use serde::Deserialize;

use super::receiving::Connection;
use crate::body::{INTAKE_BODY, Json};
use crate::problem::{Kind, Problem};
use crate::routes::at;

/// The most keys of one question, and rows of one page.
const MOST: usize = 1_000;

/// How long an answer's rows may be, in characters of their keys and values: half of what `duet` reads at most.
const LONG: usize = 512 << 10;

/// A store, and how its service's rows are read.
#[derive(Clone)]
struct Audited {
    store: SqliteStore,
    rows: &'static dyn AuditRows,
    /// What the Channel calls a receiver.
    name: Option<ReceiverName>,
}

/// The resources of a sender.
pub fn sender(
    store: SqliteStore,
    rows: &'static dyn AuditRows,
) -> impl Fn(&mut ServiceConfig) + Clone + Send {
    let name = None;
    let audited = Audited { store, rows, name };
    move |config: &mut ServiceConfig| {
        config
            .app_data(Data::new(audited.clone()))
            .service(at("/v1/ledger").get(sent).post(sent_at))
            .service(at("/v1/ledger/rows").get(page).post(rows_of));
    }
}

/// The resources of a receiver of this name.
pub fn receiver(
    name: ReceiverName,
    store: SqliteStore,
    rows: &'static dyn AuditRows,
) -> impl Fn(&mut ServiceConfig) + Clone + Send {
    let name = Some(name);
    let audited = Audited { store, rows, name };
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

/// Up to where hashes are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Places {
    places: Vec<(String, u64)>,
}

/// Of which rows is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys<K> {
    keys: Vec<K>,
}

/// The same, with the hashes up to places: `{"places": [["/duet/…", 12], …]}`.
async fn sent_at(
    audited: Data<Audited>,
    places: Json<Places, INTAKE_BODY>,
) -> Result<web::Json<SenderTables>, Problem> {
    let mut at = BTreeMap::new();
    for (source, sequence) in places.0.places {
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
    let name = audited.name.as_ref().map(ToString::to_string);
    let read = move |connection: &Connection, rows: &dyn AuditRows| {
        let tables = audit::receiver(connection, rows)?;
        Ok(ReceiverTables { name, ..tables })
    };
    audited.read(read).await
}

/// Where a page of rows begins, and how long it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    after: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/ledger/rows?after=&limit=`: a page is as long as fits; an empty one is the last.
async fn page(
    audited: Data<Audited>,
    from: web::Query<From>,
) -> Result<web::Json<Vec<Stands>>, Problem> {
    let From { after, limit } = from.into_inner();
    let limit = limit.unwrap_or(MOST).clamp(1, MOST);
    let read = move |connection: &Connection, rows: &dyn AuditRows| {
        let mut page = rows.page(connection, after.as_deref(), limit)?;
        page.truncate(fit(page.iter().map(Some)));
        Ok(page)
    };
    audited.read(read).await
}

/// `POST /v1/ledger/rows` of a sender: the rows of keys, `{"keys": ["p1/ana", …]}`; of as many of them, from the first on, as fit.
async fn rows_of(
    audited: Data<Audited>,
    keys: Json<Keys<String>, INTAKE_BODY>,
) -> Result<web::Json<Vec<Option<Stands>>>, Problem> {
    let keys = few(keys.0.keys)?;
    let read = move |connection: &Connection, rows: &dyn AuditRows| {
        let all = keys.iter().map(|key| rows.of(connection, key));
        let mut all: Vec<_> = all.collect::<Result<_, _>>()?;
        all.truncate(fit(all.iter().map(Option::as_ref)));
        Ok(all)
    };
    audited.read(read).await
}

/// `POST /v1/ledger/rows` of a receiver: how keys stand, and whether an event of each was received: `{"keys": [["p1/ana", "…"], …]}`; as
/// many of them as fit.
async fn at_receiver(
    audited: Data<Audited>,
    keys: Json<Keys<(String, Option<String>)>, INTAKE_BODY>,
) -> Result<web::Json<Vec<AtReceiver>>, Problem> {
    let mut asked: Vec<(String, Option<EventId>)> = Vec::new();
    for (key, event) in few(keys.0.keys)? {
        let event = event.map(|event| event.parse()).transpose();
        let event =
            event.map_err(|error| Problem::new(Kind::InvalidBody, format!("{key}: {error}.")))?;
        asked.push((key, event));
    }
    let read = move |connection: &Connection, rows: &dyn AuditRows| {
        let mut all = audit::at_receiver(connection, rows, &asked)?;
        all.truncate(fit(all.iter().map(|it| it.row.as_ref())));
        Ok(all)
    };
    audited.read(read).await
}

/// How many of these rows, from the first on, are not too long for an answer: at least one.
fn fit<'a>(rows: impl Iterator<Item = Option<&'a Stands>>) -> usize {
    // What else a row is told with is numbers.
    const NUMBERS: usize = 256;
    let length = |row: Option<&Stands>| {
        let texts = row.map_or(0, |row| {
            row.key.len() + row.value.as_ref().map_or(0, String::len)
        });
        NUMBERS + texts
    };
    let ends = rows.scan(0, |sum, row| {
        *sum += length(row);
        Some(*sum)
    });
    ends.take_while(|end| *end <= LONG).count().max(1)
}

fn few<T>(all: Vec<T>) -> Result<Vec<T>, Problem> {
    if all.len() > MOST {
        let detail = format!("At most {MOST} keys can be asked about at once.");
        return Err(Problem::new(Kind::InvalidBody, detail));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_as_many_rows_as_fit_and_at_least_one() {
        let row = |length: usize| Stands {
            value: Some("x".repeat(length)),
            ..Stands::with_value("p/ana".to_owned(), None, None, (1, 1))
        };
        let (short, long) = (row(1), row(LONG / 3));
        let fits = |rows: &[&Stands]| fit(rows.iter().map(|it| Some(*it)));
        assert_eq!(fits(&[&short, &long, &short]), 3);
        assert_eq!(fits(&[&long, &long, &long, &short]), 2);
        assert_eq!(fits(&[&row(2 * LONG), &short]), 1);
        assert_eq!(fit(std::iter::repeat_n(None, 1_000)), 1_000);
    }
}
