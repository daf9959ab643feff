//! Notification as the channel sees it: its rows.

use duet_channel::clock::Clock;
use duet_channel::receiver::ReceivingService;
use duet_protocol::event::Event;
use duet_web::reaction_event;
use opentelemetry::KeyValue;
use rusqlite::Connection;

use crate::store::apply::Table;

/// Notification's part of the receiving transaction.
#[derive(Clone, Copy, Debug)]
pub struct Notifications {
    /// Orders what an owner gets.
    pub clock: Clock,
}

impl ReceivingService<Connection> for Notifications {
    type Rows<'t> = Table<'t>;

    fn rows<'t>(&self, connection: &'t Connection) -> Table<'t> {
        Table::new(connection, self.clock.wall())
    }

    fn describe(&self, event: &Event) -> Vec<KeyValue> {
        reaction_event::describe(event)
    }
}
