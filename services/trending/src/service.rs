use std::borrow::Cow;
use std::time::Duration;

use duet_channel::clock::Clock;
use duet_channel::store::sqlite::versions::{Changed, Changes};
use duet_channel::store::sqlite::{SqliteStore, audit};
use duet_channel::store::{Store, StoreError, Transaction};
use duet_protocol::event::{Data, Event, Key};
use duet_web::reaction_event::{self, Told};
use opentelemetry::KeyValue;
use rusqlite::Connection;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::tally;

/// How late what is over an hour old may leave.
const EVERY: Duration = Duration::from_secs(1);
/// How many reactions one transaction forgets at most: what comes in waits behind it.
const AT_ONCE: usize = 512;

/// Trending's part of the receiving transaction.
pub(crate) struct Trending {
    /// Says which hour is the last.
    pub(crate) clock: Clock,
}

/// Trending's rows, as an audit reads them: of the last hour's pairs, and of those whose versions are still kept.
pub const AUDIT: audit::Versions = audit::Versions { keeps_all: false };

impl Changes for Trending {
    fn change(&self, connection: &Connection, _: &Event, data: &Data) -> Changed {
        Ok(match Told::read(data) {
            Ok(told) => Ok(tally::put(connection, &told, self.clock.wall())?),
            Err(error) => Err(error.into()),
        })
    }

    fn remove(&self, connection: &Connection, key: &Key) -> Result<(), StoreError> {
        if let Some((post, user)) = key.as_str().split_once('/') {
            tally::remove(connection, post, user)?;
        }
        Ok(())
    }

    fn stands<'d>(&self, data: &'d Data) -> Option<Cow<'d, [u8]>> {
        let kind = Told::read(data).ok()?.kind?;
        Some(Cow::Owned(kind.as_str().as_bytes().to_owned()))
    }

    /// Only the last hour's.
    fn keeps_all(&self) -> bool {
        false
    }

    fn describe(&self, event: &Event) -> Vec<KeyValue> {
        reaction_event::describe(event)
    }
}

/// Lets leave what is over an hour old, until `stop`.
pub(crate) async fn forget(store: SqliteStore, clock: Clock, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let job = move |tx: &mut <SqliteStore as Store>::Tx<'_>| {
            tally::forget(tx.connection(), clock.wall(), AT_ONCE)
        };
        match store.write(job).await {
            Ok(AT_ONCE) => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "what is over an hour old could not leave yet"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(EVERY) => {}
        }
    }
}
