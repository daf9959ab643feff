//! Events to send.

use std::sync::Arc;

use bytes::Bytes;
use duet_protocol::decision::Decision;
use duet_protocol::event::{Body, Data, Event, Key, TraceContext};
use duet_protocol::sender::{MessageId, TransmissionId};
use duet_protocol::sequence::{Epoch, Lane, Partition, Sequence, Source, StoreId};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;

use crate::transport::{Batch, Outgoing, Urgency};

/// A source of events, numbered as a sender's are: the first opens its epoch.
#[derive(Debug)]
pub struct Events {
    source: Source,
    last: u64,
    transmissions: u64,
}

/// The type of the events that a receiver under test can't apply.
pub const FAILS: &str = "dev.duet.test.fails";
/// What a receiver under test decides about each event that it keeps.
pub const DECIDED: Decision = Decision::named("kept");
/// The type of the others.
pub(super) const SET: &str = "dev.duet.test.set";

impl Events {
    /// A source of the store `store`.
    pub fn of(store: u64) -> Self {
        let lane = Lane {
            store: StoreId(store),
            partitions: 1,
            partition: Partition(0),
        };
        Events {
            source: lane.source(Epoch(0x0190_0000_0000_0001)),
            last: 0,
            transmissions: 0,
        }
    }

    /// Whose events they are.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The store they are of.
    pub fn store(&self) -> StoreId {
        self.source.lane.store
    }

    fn event(&mut self, body: Body) -> Event {
        self.last += 1;
        Event {
            source: self.source,
            sequence: Sequence(self.last),
            time: Timestamp::from_micros(1_764_000_000_000_000 + self.last.cast_signed()),
            body,
            trace: TraceContext {
                traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00".into(),
                tracestate: "vendor=1".into(),
            },
            generation: Generation(3),
        }
    }

    /// The first event of an epoch.
    pub fn opened(&mut self) -> Event {
        self.event(Body::Opened {
            previous: None,
            joined: Vec::new(),
        })
    }

    /// The next event: about its own key.
    pub fn one(&mut self) -> Event {
        self.sized(16)
    }

    /// The next event, with data of so many bytes.
    pub fn sized(&mut self, bytes: usize) -> Event {
        let quotes = 2;
        self.of_kind(
            SET,
            format!("\"{}\"", "ü".repeat(bytes.saturating_sub(quotes) / 2)),
        )
    }

    /// The next event, which can't be applied.
    pub fn failing(&mut self) -> Event {
        self.of_kind(FAILS, "null".to_owned())
    }

    fn of_kind(&mut self, kind: &str, json: String) -> Event {
        let key = Key::new(format!("post \"1\"/{}", self.last + 1)).unwrap();
        self.event(Body::Data(Data {
            kind: kind.into(),
            key,
            json: Bytes::from(json),
        }))
    }

    /// The next `count` events.
    pub fn several(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.one()).collect()
    }

    /// A name for a message with these events that no other message has.
    pub fn message(&mut self, events: &[Event]) -> MessageId {
        self.transmissions += 1;
        MessageId {
            source: self.source,
            first: events.first().unwrap().sequence.0,
            last: events.last().unwrap().sequence.0,
            transmission: TransmissionId(self.transmissions),
            process: self.source.epoch,
        }
    }
}

/// Events that travel together.
pub(super) fn batch(events: &[Event], urgency: Urgency) -> Batch {
    let outgoing = |event: &Event| Outgoing {
        event: Arc::new(event.clone()),
        late: false,
    };
    Batch {
        events: events.iter().map(outgoing).collect(),
        urgency,
    }
}
