//! The receiving half.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::AckKind;
use async_nats::{Message, Subject, Subscriber};
use async_trait::async_trait;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::sender::Backlog;
use duet_protocol::sequence::StoreId;
use duet_protocol::settings::JetStreamSettings;
use duet_telemetry::instruments::Destination;
use futures::StreamExt;

use super::api::{self, ApiError};
use super::connection::{Nats, PATIENCE};
use super::position::Place;
use super::pull::{Pull, PullError};
use super::taking::Taking;
use super::watchdog::{Seen, Watchdog};
use super::{SYSTEM, publish, subjects};
use crate::transport::spans::Observer;
use crate::transport::{
    Consume, ConsumeError, Consumed, Features, Feedback, Incoming, Position, Trouble, cloudevents,
};

/// How many messages that were left without an answer are remembered, to be given back when this ends.
const LEFT: usize = 4_096;
/// Takes messages from a durable pull consumer that has the receiver's name, and answers senders over plain NATS.
#[derive(Debug)]
pub struct JetStreamConsume {
    nats: Nats,
    stream: String,
    subject: String,
    receiver: ReceiverName,
    destination: Destination,
    observer: Observer,
    /// When the stream was created, once started.
    created: Option<u64>,
    watchdog: Watchdog,
    pull: Option<Pull>,
    hellos: Option<Subscriber>,
    /// What is being taken: more is waited for.
    taking: Option<Taking>,
    /// Given out and not settled: the delivery, and where to settle it.
    taken: VecDeque<(u64, Subject)>,
    /// Left without an answer; the broker gives it out again by itself. The oldest are forgotten.
    left: VecDeque<Subject>,
}

impl JetStreamConsume {
    /// Takes what `receiver`'s consumer has, and looks so often whether that works.
    pub fn new(
        nats: Nats,
        settings: &JetStreamSettings,
        receiver: ReceiverName,
        observer: Observer,
        watchdog: Duration,
    ) -> Self {
        let subject = settings.stream.subject.clone();
        JetStreamConsume {
            nats,
            stream: settings.stream.name.clone(),
            destination: Destination {
                system: SYSTEM,
                name: subject.as_str().into(),
            },
            subject,
            receiver,
            observer,
            created: None,
            watchdog: Watchdog::new(watchdog, Instant::now()),
            pull: None,
            hellos: None,
            taking: None,
            taken: VecDeque::new(),
            left: VecDeque::new(),
        }
    }

    /// Takes a message and all that is there behind it, within bounds.
    fn take(&mut self, first: Message) -> Result<(), ConsumeError> {
        let mut next = Some(first);
        while let Some(message) = next.take() {
            let taking = self.taking.get_or_insert_with(Taking::begin);
            let delivery = taking.add(&message).map_err(failed)?;
            let is_full = taking.is_full();
            self.taken
                .extend(message.reply.map(|reply| (delivery, reply)));
            if !is_full {
                next = self.pull.as_mut().and_then(Pull::ready);
            }
        }
        if let Some(taking) = &self.taking {
            self.watchdog.came(taking.place());
        }
        Ok(())
    }

    /// What was taken, if nothing more is waited for.
    fn enough(&mut self) -> Option<Consumed> {
        let now = Instant::now();
        let taking = self.taking.take_if(|taking| taking.is_enough(now))?;
        let instruments = &self.observer.instruments;
        instruments.consumed(&self.destination, taking.messages());
        Some(taking.consumed(&self.stream, self.created.unwrap_or(0)))
    }

    /// Where to settle the oldest message that is up to and including a position; none when there is no more.
    fn next_up_to(&mut self, position: &Position) -> Result<Option<Subject>, ConsumeError> {
        let place =
            Place::read(position).ok_or_else(|| failed("a position of another transport"))?;
        if place.stream != self.stream || Some(place.created) != self.created {
            return Err(failed("a position in another stream"));
        }
        let next = self
            .taken
            .pop_front_if(|(delivery, _)| *delivery <= place.delivery);
        Ok(next.map(|(_, reply)| reply))
    }

    /// Whether all is well with the consumer, as the broker sees it.
    async fn look(&mut self) -> Result<(), ConsumeError> {
        let stream = api::stream(&self.nats, &self.stream)
            .await
            .map_err(unanswered)?;
        let consumer = api::consumer(&self.nats, &self.stream, self.receiver.as_str())
            .await
            .map_err(unanswered)?;
        let (Some(stream), Some(consumer)) = (stream, consumer) else {
            return Err(failed("stream or consumer are gone"));
        };
        let out = consumer.num_ack_pending;
        let seen = Seen {
            created: publish::created(&stream),
            last: stream.state.last_sequence,
            ack_floor: consumer.ack_floor.stream_sequence,
            may_be_given: consumer.num_pending > 0
                && (out as i64) < consumer.config.max_ack_pending,
            is_out_elsewhere: out > 0 && self.taken.is_empty() && self.left.is_empty(),
            ack_wait: consumer.config.ack_wait,
        };
        self.watchdog
            .look(seen, Instant::now())
            .map_err(ConsumeError::Trouble)
    }

    async fn answer(&self, to: Subject, kind: AckKind) -> Result<(), ConsumeError> {
        self.nats
            .client()
            .publish(to, kind.into())
            .await
            .map_err(failed)
    }
}

fn failed(error: impl std::fmt::Display) -> ConsumeError {
    ConsumeError::Failed(Arc::from(error.to_string()))
}

fn unanswered(error: ApiError) -> ConsumeError {
    match error {
        ApiError::Denied(denied) => ConsumeError::Denied(Arc::from(denied.to_string())),
        ApiError::Silent(_) | ApiError::Refused(_) => failed(error),
    }
}

#[async_trait]
impl Consume for JetStreamConsume {
    fn features(&self) -> Features {
        super::FEATURES
    }

    fn path(&self) -> String {
        format!("jetstream/{}", self.stream)
    }

    /// The broker's consumer knows what is settled. What was committed and is not settled comes again, and changes nothing.
    async fn start(&mut self, position: Option<Position>) -> Result<Option<Trouble>, ConsumeError> {
        self.pull = None;
        self.taking = None;
        self.taken.clear();
        self.left.clear();
        let stream = api::stream(&self.nats, &self.stream)
            .await
            .map_err(unanswered)?
            .ok_or_else(|| failed(format!("there is no stream {}", self.stream)))?;
        let created = publish::created(&stream);
        let before = position.as_ref().and_then(Place::read);
        let is_other = before.is_some_and(|before| {
            before.created != created || stream.state.last_sequence < before.sequence
        });
        let consumer = api::consumer(&self.nats, &self.stream, self.receiver.as_str())
            .await
            .map_err(unanswered)?;
        consumer.ok_or_else(|| {
            failed(format!(
                "there is no consumer {} of {}",
                self.receiver, self.stream
            ))
        })?;
        if self.hellos.is_none() {
            let hellos = self.nats.client().queue_subscribe(
                subjects::hellos(&self.subject, &self.receiver),
                self.receiver.to_string(),
            );
            self.hellos = Some(hellos.await.map_err(failed)?);
        }
        self.pull = Some(
            Pull::begin(&self.nats, &self.stream, self.receiver.as_str())
                .await
                .map_err(failed)?,
        );
        self.created = Some(created);
        self.watchdog.restart(Instant::now());
        Ok(is_other.then_some(Trouble::Stream))
    }

    async fn next(&mut self) -> Result<Incoming, ConsumeError> {
        if self.created.is_none() {
            return Err(failed("not started"));
        }
        if self.pull.is_none() {
            self.pull = Some(
                Pull::begin(&self.nats, &self.stream, self.receiver.as_str())
                    .await
                    .map_err(failed)?,
            );
        }
        loop {
            // What was taken is kept here while more is waited for: this may be dropped at any time, and asked again.
            if let Some(consumed) = self.enough() {
                return Ok(Incoming::Messages(consumed));
            }
            let until = match &self.taking {
                Some(taking) => taking.until(),
                None => self.watchdog.due(),
            };
            let (Some(pull), Some(hellos)) = (self.pull.as_mut(), self.hellos.as_mut()) else {
                return Err(failed("not started"));
            };
            tokio::select! {
                message = pull.next() => {
                    let message = message.map_err(|error| match error {
                        PullError::Crowded => ConsumeError::Trouble(Trouble::Deaf),
                        PullError::Failed(_) => failed(error),
                    })?;
                    self.take(message)?;
                }
                hello = hellos.next() => {
                    let hello = hello.ok_or_else(|| failed("the connection is closed"))?;
                    if let Some((id, store)) = subjects::who_says_hello(&hello.subject) {
                        return Ok(Incoming::Hello(id, store));
                    }
                }
                () = tokio::time::sleep_until(until.into()) => if self.taking.is_none() {
                    self.look().await?;
                },
            }
        }
    }

    /// An answer that is lost has the message delivered again, which changes nothing.
    async fn settle(&mut self, position: &Position) -> Result<(), ConsumeError> {
        while let Some(reply) = self.next_up_to(position)? {
            self.answer(reply, AckKind::Ack).await?;
        }
        Ok(())
    }

    async fn leave(&mut self, position: &Position) -> Result<bool, ConsumeError> {
        while let Some(reply) = self.next_up_to(position)? {
            if self.left.len() == LEFT {
                self.left.pop_front();
            }
            self.left.push_back(reply);
        }
        Ok(true)
    }

    async fn release(&mut self) {
        self.taking = None;
        let taken = self.taken.drain(..).map(|(_, reply)| reply);
        let mut back: Vec<Subject> = self.left.drain(..).chain(taken).collect();
        if let Some(pull) = self.pull.take() {
            pull.end(|message| back.extend(message.reply)).await;
        }
        if back.is_empty() || !self.nats.is_connected() {
            return;
        }
        let given_back = async {
            for reply in back {
                self.answer(reply, AckKind::Nak(None)).await?;
            }
            self.nats.client().flush().await.map_err(failed)
        };
        /// What can't be given back in this time comes again after the consumer's AckWait.
        const AT_MOST: Duration = Duration::from_secs(1);
        match tokio::time::timeout(AT_MOST, given_back).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "messages could not be given back"),
            Err(_) => tracing::debug!("messages could not be given back in time"),
        }
    }

    async fn backlog(&self) -> Backlog {
        publish::backlog(&self.nats, &self.stream, &self.receiver).await
    }

    async fn tell(&self, store: StoreId, feedback: &Feedback) -> Result<(), ConsumeError> {
        let (subject, payload) = match feedback {
            Feedback::Receipts(receipts) => (
                subjects::receipts(&self.subject, &self.receiver, store),
                cloudevents::receipts_to_json(receipts),
            ),
            Feedback::Hello(id, answer) => (
                subjects::hello_answer(&self.subject, &self.receiver, store, *id),
                cloudevents::hello_to_json(answer),
            ),
            Feedback::Connected => return Ok(()),
        };
        let told = self.nats.client().publish(subject, payload.into());
        tokio::time::timeout(PATIENCE, told)
            .await
            .map_err(failed)?
            .map_err(failed)
    }
}
