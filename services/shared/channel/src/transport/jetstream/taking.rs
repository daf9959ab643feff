//! Messages that are received together: in one transaction, which costs about the same for many events as for few.

use std::time::{Duration, Instant};

use async_nats::Message;
use bytes::Bytes;
use duet_protocol::event::Event;
use duet_protocol::sender::BrokerPlace;

use super::message;
use super::position::Place;
use crate::transport::{Consumed, Undecodable, cloudevents};

/// Once this many events are taken, no further message is; the last may have [`cloudevents::MAX_EVENTS`].
const EVENTS: usize = 4 * cloudevents::MAX_EVENTS;
/// Once this many bytes are taken, no further message is.
const BYTES: usize = 2 * 1024 * 1024;
/// A message of so many events is followed by others, which are waited for.
const CROWD: usize = 64;
/// How long they are waited for: nobody waits for an event that comes over the broker, and with four times as many a commit takes half
/// as long for each.
const LINGER: Duration = Duration::from_millis(40);
/// The most bytes that are kept of a message that can't be decoded.
const KEPT: usize = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Taking {
    until: Instant,
    is_crowd: bool,
    /// The highest place in the stream, and the last among the deliveries.
    sequence: u64,
    delivery: u64,
    messages: u64,
    bytes: usize,
    events: Vec<Event>,
    undecodable: Vec<Undecodable>,
}

/// A message that doesn't say where it stands among the consumer's.
#[derive(Debug, thiserror::Error)]
#[error("a message with an unknown place: {0}")]
pub(super) struct Misplaced(Box<str>);

impl Taking {
    /// Nothing yet.
    pub(super) fn begin() -> Self {
        Taking {
            until: Instant::now() + LINGER,
            is_crowd: false,
            sequence: 0,
            delivery: 0,
            messages: 0,
            bytes: 0,
            events: Vec::new(),
            undecodable: Vec::new(),
        }
    }

    /// One more message; its place among the deliveries.
    pub(super) fn add(&mut self, message: &Message) -> Result<u64, Misplaced> {
        let (sequence, delivery) = numbers(message)?;
        self.messages += 1;
        self.bytes += message.length;
        // Redelivered messages come out of the stream's order.
        self.sequence = self.sequence.max(sequence);
        self.delivery = delivery;
        match message::decode(message.headers.as_ref(), &message.payload) {
            Ok(events) => {
                self.is_crowd |= events.len() >= CROWD;
                self.events.extend(events);
            }
            Err(error) => self.undecodable.push(Undecodable {
                place: BrokerPlace(sequence),
                payload: kept(&message.payload),
                cause: error.to_string(),
            }),
        }
        Ok(delivery)
    }

    /// The last place in the stream.
    pub(super) fn place(&self) -> u64 {
        self.sequence
    }

    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= EVENTS || self.bytes >= BYTES || self.undecodable.len() >= EVENTS
    }

    /// How long more is waited for, if it is.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Whether nothing more is waited for.
    pub(super) fn is_enough(&self, now: Instant) -> bool {
        self.is_full() || !self.is_crowd || now >= self.until
    }

    /// What was taken, of a stream of this name that was created then.
    pub(super) fn consumed(self, stream: &str, created: u64) -> Consumed {
        let place = Place {
            stream: stream.to_owned(),
            created,
            sequence: self.sequence,
            delivery: self.delivery,
        };
        Consumed {
            events: self.events,
            position: place.position(),
            undecodable: self.undecodable,
        }
    }
}

/// A copy, so that the message's own memory is not held for it.
fn kept(payload: &Bytes) -> Bytes {
    Bytes::copy_from_slice(&payload[..payload.len().min(KEPT)])
}

/// A message's place in the stream, and among the consumer's deliveries.
fn numbers(message: &Message) -> Result<(u64, u64), Misplaced> {
    let reply = message
        .reply
        .as_ref()
        .ok_or_else(|| Misplaced("none".into()))?;
    // `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<delivery>.<time>.<pending>`, or after ADR-15 with domain and account
    // before the stream and perhaps more at the end.
    let tokens: Vec<&str> = reply.split('.').collect();
    let from = if tokens.len() == 9 { 5 } else { 7 };
    let number = |at: usize| tokens.get(at).and_then(|token| token.parse().ok());
    match (number(from), number(from + 1)) {
        (Some(sequence), Some(delivery)) if reply.starts_with("$JS.ACK.") => {
            Ok((sequence, delivery))
        }
        _ => Err(Misplaced(reply.as_str().into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::conformance::Events;
    use crate::transport::{Batch, Outgoing, Urgency};

    /// A message with so many events, the `n`th that is delivered.
    fn message(n: u64, events: usize) -> Message {
        let mut of = Events::of(1);
        let outgoing = |_| Outgoing {
            event: of.one().into(),
            late: false,
        };
        let batch = Batch {
            events: (0..events).map(outgoing).collect(),
            urgency: Urgency::Background,
        };
        let payload = cloudevents::batch_to_json(&batch, |index| {
            cloudevents::Carried::AsCreated(&batch.events[index].event.trace)
        });
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("content-type", cloudevents::BATCH);
        Message {
            subject: "events".into(),
            reply: Some(format!("$JS.ACK.S.C.1.{}.{n}.0.0", 100 - n).into()),
            length: payload.len(),
            payload,
            headers: Some(headers),
            status: None,
            description: None,
        }
    }

    #[test]
    fn after_a_few_events_nothing_is_waited_for_and_after_a_crowd_there_is() {
        let mut taking = Taking::begin();
        taking.add(&message(1, 3)).unwrap();
        assert!(taking.is_enough(Instant::now()));
        taking.add(&message(2, CROWD)).unwrap();
        assert!(!taking.is_enough(taking.until() - LINGER));
        assert!(taking.is_enough(taking.until()));
        assert!(!taking.is_full());
    }

    #[test]
    fn what_is_full_is_enough_and_tells_the_last_delivery_and_the_highest_place() {
        let mut taking = Taking::begin();
        let mut delivered = 0;
        while !taking.is_full() {
            delivered += 1;
            assert_eq!(taking.add(&message(delivered, 512)).unwrap(), delivered);
        }
        assert!(taking.is_enough(Instant::now()));
        let consumed = taking.consumed("S", 7);
        let place = Place::read(&consumed.position).unwrap();
        assert_eq!((place.sequence, place.delivery), (99, delivered));
        assert!(consumed.events.len() < EVENTS + 512);
    }
}
