//! The sending half.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::client::RequestErrorKind;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::{Message, Request};
use async_trait::async_trait;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::sender::{Backlog, BrokerPlace, HelloId, MessageId};
use duet_protocol::sequence::StoreId;
use duet_protocol::settings::JetStreamSettings;
use duet_telemetry::instruments::Destination;
use duet_telemetry::names::{attribute, span};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use opentelemetry::KeyValue;
use tokio::sync::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::api::ApiError;
use super::connection::{Nats, PATIENCE};
use super::{SYSTEM, api, message, subjects};
use crate::transport::spans::{Names, Observer, Sending};
use crate::transport::{Batch, Features, Feedback, Limits, Publish, PublishError, cloudevents};

/// Messages under way at once. Each may carry a batch.
const IN_FLIGHT: usize = 128;
/// Of what a server takes in one message, the share for headers: those of one event in binary mode, the longest key twice over.
const HEADERS: usize = 8 * 1024;
/// How long the broker may take to say that a message is stored.
const ACK: Duration = PATIENCE;

/// Publishes for one receiver, and hears what it says.
#[derive(Debug)]
pub struct JetStreamPublish {
    nats: Nats,
    stream: String,
    /// The channel's.
    subject: String,
    /// The receiver's messages go here.
    messages: String,
    receiver: ReceiverName,
    destination: Destination,
    observer: Observer,
    /// How full the stream was found to be, and when.
    full: Mutex<Option<(Instant, Arc<str>)>>,
    end: CancellationToken,
    _end: DropGuard,
}

impl JetStreamPublish {
    /// Publishes for a receiver, which has a consumer of its name.
    pub fn new(
        nats: Nats,
        settings: &JetStreamSettings,
        receiver: ReceiverName,
        observer: Observer,
    ) -> Self {
        let subject = settings.stream.subject.clone();
        let end = CancellationToken::new();
        JetStreamPublish {
            nats,
            stream: settings.stream.name.clone(),
            destination: Destination {
                system: SYSTEM,
                name: subject.as_str().into(),
            },
            messages: subjects::messages(&subject, &receiver),
            subject,
            receiver,
            observer,
            full: Mutex::default(),
            _end: end.clone().drop_guard(),
            end,
        }
    }

    async fn stored(
        &self,
        id: MessageId,
        batch: &Batch,
        sending: &Sending<'_>,
    ) -> Result<BrokerPlace, PublishError> {
        // What is given to a client without a connection waits in its queue, and may be sent long after.
        if !self.nats.is_connected() {
            return Err(PublishError::NotStored("not connected".into()));
        }
        let (headers, payload) = message::encode(id, &self.stream, batch, sending);
        // The client itself refuses what is more than this server takes.
        if batch.events.len() > cloudevents::MAX_EVENTS || payload.len() > cloudevents::MAX_BYTES {
            return Err(PublishError::TooLarge("more than a message carries".into()));
        }
        sending.describe(|_| {
            vec![KeyValue::new(
                attribute::MESSAGING_MESSAGE_BODY_SIZE,
                payload.len() as i64,
            )]
        });
        let began = Instant::now();
        let mut connections = self.nats.connections();
        connections.mark_unchanged();
        let request = Request::new()
            .headers(headers)
            .payload(payload)
            .timeout(Some(ACK));
        // Tokio's budget for a task may not come between the first poll and the client's queue: the order would be lost.
        let asked = tokio::task::unconstrained(
            self.nats
                .client()
                .send_request(self.messages.clone(), request),
        );
        tokio::select! {
            biased;
            answer = tokio::time::timeout(ACK, asked) => match answer {
                Ok(Ok(message)) => match acknowledged(&message) {
                    Err(PublishError::Full(cause)) => Err(PublishError::Full(self.how_full(&cause).await)),
                    stored => stored,
                },
                Ok(Err(error)) => Err(self.if_denied(began, not_acknowledged(&error, &self.receiver))),
                Err(_) => Err(self.if_denied(began, PublishError::Unknown("no answer in time".into()))),
            },
            _ = connections.changed() => Err(PublishError::Unknown("the connection was lost".into())),
        }
    }

    /// What the stream holds, and who has not settled how much of it: in a sentence, asked of the broker now and then.
    async fn how_full(&self, cause: &str) -> Arc<str> {
        /// Between two questions.
        const EVERY: Duration = Duration::from_secs(10);
        let mut told = self.full.lock().await;
        if let Some((at, before)) = &*told
            && at.elapsed() < EVERY
        {
            return before.clone();
        }
        let (stream, receiver) = (&self.stream, &self.receiver);
        let seen = api::stream(&self.nats, stream).await.ok().flatten();
        let consumer = api::consumer(&self.nats, stream, receiver.as_str()).await;
        let mut says = format!("stream {stream} takes no more ({cause})");
        if let Some(seen) = seen {
            let (state, config) = (&seen.state, &seen.config);
            let most = config.max_bytes;
            let (messages, bytes) = (state.messages, state.bytes);
            // Writing to a String can't fail.
            let _ = write!(says, ": {bytes} of {most} bytes in {messages} messages");
        }
        if let Ok(Some(consumer)) = consumer {
            let unsettled = consumer.num_pending + consumer.num_ack_pending as u64;
            let _ = write!(says, ", of which {receiver} has not settled {unsettled}");
        }
        says.push_str(
            ". What does not fit is kept here and sent when there is room: let receivers catch up, remove other consumers of the stream \
             that hold messages, or raise spec.async.natsJetStream.stream.maxBytes",
        );
        let says = Arc::<str>::from(says);
        *told = Some((Instant::now(), says.clone()));
        says
    }

    /// What goes without an answer may have been denied.
    fn if_denied(&self, since: Instant, error: PublishError) -> PublishError {
        match self.nats.denials().since(&self.messages, since) {
            Some(denied) => PublishError::Denied(denied.to_string().into()),
            None => error,
        }
    }

    async fn say(&self, subject: String) -> Result<(), PublishError> {
        if !self.nats.is_connected() {
            return Err(PublishError::NotStored("not connected".into()));
        }
        let said = self.nats.client().publish(subject, bytes::Bytes::new());
        match tokio::time::timeout(PATIENCE, said).await {
            Ok(said) => said.map_err(|error| PublishError::NotStored(error.to_string().into())),
            Err(_) => Err(PublishError::Unknown("no answer in time".into())),
        }
    }
}

/// The stream first: what was its end then is done with if nothing is outstanding now.
pub(super) async fn backlog(nats: &Nats, stream: &str, receiver: &ReceiverName) -> Backlog {
    let asked = async {
        let seen = api::stream(nats, stream).await?;
        let consumer = api::consumer(nats, stream, receiver.as_str()).await?;
        Ok(seen.zip(consumer))
    };
    match asked.await {
        Ok(Some((seen, consumer))) => Backlog::Known {
            // A consumer that was made anew holds nothing of what was stored before.
            created: created(&seen).max(nanos(consumer.created.unix_timestamp_nanos())),
            last: BrokerPlace(seen.state.last_sequence),
            ack_floor: BrokerPlace(consumer.ack_floor.stream_sequence),
            outstanding: consumer.num_pending + consumer.num_ack_pending as u64,
        },
        Ok(None) => Backlog::Unknown,
        Err(error) => {
            tracing::debug!(%error, "the broker does not say what is outstanding");
            match error {
                ApiError::Silent(_) => Backlog::Away,
                ApiError::Refused(_) | ApiError::Denied(_) => Backlog::Unknown,
            }
        }
    }
}

/// When a stream was created, in nanoseconds since 1970.
pub(super) fn created(stream: &async_nats::jetstream::stream::Info) -> u64 {
    nanos(stream.created.unix_timestamp_nanos())
}

fn nanos(since_1970: i128) -> u64 {
    u64::try_from(since_1970).unwrap_or(0)
}

fn acknowledged(message: &Message) -> Result<BrokerPlace, PublishError> {
    match serde_json::from_slice(&message.payload) {
        Ok(Response::Ok(PublishAck { sequence, .. })) => Ok(BrokerPlace(sequence)),
        Ok(Response::Err { error }) => {
            let cause = error.to_string().into();
            Err(match error.error_code() {
                // discard New, or a store that can't write.
                ErrorCode::STREAM_STORE_FAILED => PublishError::Full(cause),
                code if is_broker_full(code) => PublishError::BrokerFull(cause),
                _ => PublishError::NotStored(cause),
            })
        }
        Err(error) => Err(PublishError::Unknown(
            format!("the answer makes no sense: {error}").into(),
        )),
    }
}

/// The limits of an account, or of the server.
fn is_broker_full(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::INSUFFICIENT_RESOURCES
            | ErrorCode::STORAGE_RESOURCES_EXCEEDED
            | ErrorCode::MEMORY_RESOURCES_EXCEEDED
            | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
    )
}

fn not_acknowledged(
    error: &async_nats::client::RequestError,
    receiver: &ReceiverName,
) -> PublishError {
    let cause = || error.to_string().into();
    match error.kind() {
        RequestErrorKind::NoResponders => {
            let missing = format!(
                "the broker has no stream for what {receiver} receives: its process or the operator makes it; is {receiver} a receiver that runs?"
            );
            PublishError::NotStored(missing.into())
        }
        RequestErrorKind::InvalidSubject => PublishError::NotStored(cause()),
        RequestErrorKind::MaxPayloadExceeded => PublishError::TooLarge(
            format!("{error}: raise max_payload in the server's configuration").into(),
        ),
        RequestErrorKind::TimedOut | RequestErrorKind::Other => PublishError::Unknown(cause()),
    }
}

/// The conventions' `error.type`.
fn error_type(error: &PublishError) -> &'static str {
    match error {
        PublishError::Full(_) => "full",
        PublishError::BrokerFull(_) => "broker_full",
        PublishError::NotStored(_) => "not_stored",
        PublishError::TooLarge(_) => "too_large",
        PublishError::Denied(_) => "denied",
        PublishError::Unknown(_) => "no_answer",
    }
}

#[async_trait]
impl Publish for JetStreamPublish {
    fn limits(&self) -> Limits {
        let message = self.nats.client().max_payload().saturating_sub(HEADERS);
        Limits {
            events: cloudevents::MAX_EVENTS,
            bytes: message.min(cloudevents::MAX_BYTES),
            header_bytes: HEADERS,
            in_flight: IN_FLIGHT,
        }
    }

    fn features(&self) -> Features {
        super::FEATURES
    }

    async fn publish(
        &self,
        id: MessageId,
        batch: &Batch,
    ) -> Result<Option<BrokerPlace>, PublishError> {
        let names = Names {
            one: span::send(&self.subject),
            part: span::create(&self.subject),
            whole: span::send_batch(&self.subject),
        };
        let sending = Sending::begin(&self.observer.tracer, names, batch);
        let began = Instant::now();
        let stored = self.stored(id, batch, &sending).await;
        let result = stored.as_ref().map(drop).map_err(error_type);
        self.observer
            .instruments
            .sent(&self.destination, result, began.elapsed());
        sending.describe(|event| {
            let is_part = event.is_some() && batch.events.len() > 1;
            let operation = if is_part { "create" } else { "send" };
            vec![
                KeyValue::new(attribute::MESSAGING_SYSTEM, SYSTEM),
                KeyValue::new(attribute::MESSAGING_DESTINATION_NAME, self.subject.clone()),
                KeyValue::new(attribute::MESSAGING_OPERATION_NAME, operation),
                KeyValue::new(attribute::MESSAGING_OPERATION_TYPE, operation),
                KeyValue::new(attribute::MESSAGING_MESSAGE_ID, id.to_string()),
            ]
        });
        if let Err(error) = &stored {
            sending.fail(error_type(error), &error.to_string());
        }
        stored.map(Some)
    }

    async fn hello(&self, id: HelloId, store: StoreId) -> Result<(), PublishError> {
        let subject = subjects::hello(&self.subject, &self.receiver, store, id);
        self.say(subject).await
    }

    async fn feedback(&self, store: StoreId) -> BoxStream<'static, Feedback> {
        let mut connections = self.nats.connections();
        connections.mark_unchanged();
        let connected = stream::unfold((connections, 0), |(mut connections, made)| async move {
            let now = connections.wait_for(|now| now.made > made).await.ok()?.made;
            Some((Feedback::Connected, (connections, now)))
        });
        let told = match self
            .nats
            .client()
            .subscribe(subjects::told(&self.subject, &self.receiver, store))
            .await
        {
            Ok(told) => told
                .filter_map(|message| async move { read(&message) })
                .boxed(),
            Err(error) => {
                tracing::error!(%error, "receipts can't be heard");
                stream::pending().boxed()
            }
        };
        let end = self.end.clone();
        stream::select(told, connected)
            .take_until(async move { end.cancelled().await }.boxed())
            .boxed()
    }

    async fn backlog(&self) -> Backlog {
        backlog(&self.nats, &self.stream, &self.receiver).await
    }
}

fn read(message: &Message) -> Option<Feedback> {
    let read = match subjects::what_is_told(&message.subject)? {
        Some(id) => {
            cloudevents::hello_from_json(&message.payload).map(|answer| Feedback::Hello(id, answer))
        }
        None => cloudevents::receipts_from_json(&message.payload).map(Feedback::Receipts),
    };
    read.inspect_err(
        |error| tracing::warn!(%error, subject = %message.subject, "a receiver was not understood"),
    )
    .ok()
}
