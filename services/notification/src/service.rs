//! Notification as the channel sees it: its rows, and who waits for them.

use std::sync::Arc;

use duet_channel::life::Applied;
use duet_channel::receiver::ReceivingService;
use duet_channel::store::StoreError;
use duet_protocol::event::{Event, Key};
use duet_protocol::receive::Outcome;
use duet_protocol::sequence::{Epoch, StoreId};
use duet_web::reaction_event;
use opentelemetry::KeyValue;
use rusqlite::Connection;
use serde::Deserialize;

use crate::store::apply::Table;
use crate::store::{self, Memory, pairs};
use crate::stream::Listeners;

/// Notification's part of the receiving transaction, and what follows it.
pub struct Notifications {
    /// What is known of the tables.
    pub memory: Arc<Memory>,
    /// Who waits for changes.
    pub listeners: Arc<Listeners>,
}

impl ReceivingService<Connection> for Notifications {
    type Rows<'t> = Table<'t>;

    fn rows<'t>(&self, connection: &'t Connection) -> Table<'t> {
        Table::new(connection, self.memory.clone())
    }

    fn applied(&self, connection: &Connection, key: &Key) -> Result<Option<Applied>, StoreError> {
        store::applied(connection, key)
    }

    /// While nobody listens, this is one look at a number.
    fn received(&self, events: &[Event], outcomes: &[Outcome]) {
        if self.listeners.open() == 0 {
            return;
        }
        let applied = events.iter().zip(outcomes);
        let applied = applied.filter(|(_, outcome)| matches!(outcome, Outcome::Applied(_)));
        self.listeners
            .wake(applied.filter_map(|(event, _)| owner(event)));
    }

    fn count(
        &self,
        connection: &Connection,
        below: Option<Epoch>,
    ) -> Result<Vec<(StoreId, u64)>, StoreError> {
        pairs::count(connection, below)
    }

    fn describe(&self, event: &Event) -> Vec<KeyValue> {
        reaction_event::describe(event)
    }
}

/// Whose group an event is about. A post that got another owner leaves the first one's, which is noticed at that stream's next look.
fn owner(event: &Event) -> Option<&str> {
    #[derive(Deserialize)]
    struct Owner<'d> {
        owner: &'d str,
    }
    let data = event.data()?;
    let Owner { owner } = serde_json::from_slice(&data.json).ok()?;
    Some(owner)
}
