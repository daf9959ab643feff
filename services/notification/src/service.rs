//! Notification as the channel sees it: its rows.

use duet_channel::clock::Clock;
use duet_channel::receiver::ReceivingService;
use duet_protocol::event::Event;
use duet_telemetry::names::attribute;
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
        let key = event.data().map_or("", |data| data.key.as_str());
        match key.split_once('/') {
            Some((post, user)) => vec![
                KeyValue::new(attribute::POST, post.to_owned()),
                KeyValue::new(attribute::USER, user.to_owned()),
            ],
            None => Vec::new(),
        }
    }
}
