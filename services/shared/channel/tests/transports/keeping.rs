//! The receiving service of these tests: it keeps what it applies.

use std::sync::Arc;

use bytes::Bytes;
use duet_channel::receiver::ReceivingService;
use duet_channel::store::StoreError;
use duet_channel::transport::conformance::{DECIDED, FAILS};
use duet_channel::transport::{Batch, Outgoing, Urgency, cloudevents};
use duet_protocol::decision::Decision;
use duet_protocol::event::{self, Event, Key};
use duet_protocol::receive::{Apply, Failure};
use duet_protocol::sequence::{Epoch, Lane, Sequence, StoreId, Version};
use duet_protocol::sweep::{Sweep, Swept};
use duet_protocol::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// Its table.
pub(crate) const KEPT: &str =
    "CREATE TABLE kept (key TEXT PRIMARY KEY, epoch INTEGER, sequence INTEGER, event BLOB) STRICT";

/// What it keeps.
pub(crate) fn kept(connection: &Connection) -> Vec<Event> {
    let mut select = connection.prepare("SELECT event FROM kept").unwrap();
    let rows = select
        .query_map([], |row| row.get::<_, Vec<u8>>(0))
        .unwrap();
    rows.map(|json| cloudevents::batch(&json.unwrap().into()).unwrap().remove(0))
        .collect()
}

/// Keeps each event that it applies, as the JSON batch it would be sent as.
pub(crate) struct Keeping;

pub(crate) struct Rows<'t>(&'t Connection);

impl ReceivingService<Connection> for Keeping {
    type Rows<'t> = Rows<'t>;

    fn rows<'t>(&self, connection: &'t Connection) -> Rows<'t> {
        Rows(connection)
    }

    /// No test resyncs it.
    fn count(&self, _: &Connection, _: Option<Epoch>) -> Result<Vec<(StoreId, u64)>, StoreError> {
        Ok(Vec::new())
    }
}

impl Apply for Rows<'_> {
    type Error = StoreError;

    fn held(&mut self, key: &Key) -> Result<Option<Version>, StoreError> {
        let select = "SELECT epoch, sequence FROM kept WHERE key = ?1";
        let version = |row: &rusqlite::Row<'_>| {
            Ok(Version {
                epoch: Epoch(row.get::<_, i64>(0)?.cast_unsigned()),
                sequence: Sequence(row.get::<_, i64>(1)?.cast_unsigned()),
            })
        };
        Ok(self
            .0
            .query_row(select, [key.as_str()], version)
            .optional()?)
    }

    fn applies_at(&mut self, _: Timestamp) {}

    fn apply(
        &mut self,
        event: &Event,
        data: &event::Data,
    ) -> Result<Result<Option<Decision>, Failure>, StoreError> {
        if &*data.kind == FAILS {
            return Ok(Err(Failure::new("it is made to fail")));
        }
        let insert = "INSERT OR REPLACE INTO kept VALUES (?1, ?2, ?3, ?4)";
        let (epoch, sequence) = (
            event.source.epoch.0.cast_signed(),
            event.sequence.0.cast_signed(),
        );
        self.0.execute(
            insert,
            params![data.key.as_str(), epoch, sequence, &*as_json(event)],
        )?;
        Ok(Ok(Some(DECIDED)))
    }

    fn decided(&mut self, _: &Key) -> Result<Option<Decision>, StoreError> {
        Ok(Some(DECIDED))
    }

    fn tombstones(&mut self, _: Lane, _: Version, _: usize) -> Result<Vec<Key>, StoreError> {
        Ok(Vec::new())
    }

    fn drop_tombstone(&mut self, _: &Key) -> Result<(), StoreError> {
        Ok(())
    }

    fn sweep(&mut self, _: &Sweep, _: Option<&Key>, _: usize) -> Result<Swept, StoreError> {
        unreachable!("nothing here ends a resync")
    }
}

fn as_json(event: &Event) -> Bytes {
    let outgoing = Outgoing {
        event: Arc::new(event.clone()),
        late: false,
    };
    let batch = Batch {
        events: vec![outgoing],
        urgency: Urgency::Background,
    };
    cloudevents::batch_to_json(&batch, |_| cloudevents::Carried::AsCreated(&event.trace))
}
