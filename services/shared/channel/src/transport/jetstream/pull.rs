//! Asking a consumer for messages: what is asked for and not there yet is bounded, and asked for anew when a connection is.

use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use serde::Serialize;
use tokio::sync::watch;

use super::connection::{Connections, Nats};

/// The most messages that are asked for ahead.
const MESSAGES: u64 = 256;
/// The most bytes that are asked for ahead; more if one message can be larger than half of it.
const BYTES: u64 = 4 * 1024 * 1024;
/// What a message takes beside what its publisher sent: subjects.
const ENVELOPE: u64 = 4 * 1024;
/// How long one question stands; then the broker says so, and is asked anew. A question can't be taken back, so this is also how long
/// ending may take.
const EXPIRES: Duration = Duration::from_secs(1);
/// How much longer a broker may take to say so.
const LATE: Duration = Duration::from_millis(500);
/// Silence for this long means that the question is lost.
const SILENCE: Duration = Duration::from_secs(10);

/// A standing question for a consumer's messages.
#[derive(Debug)]
pub(super) struct Pull {
    nats: Nats,
    next: String,
    inbox: String,
    subscriber: Subscriber,
    connections: watch::Receiver<Connections>,
    heard: Instant,
    /// Asked for and not come yet.
    messages: u64,
    bytes: u64,
    /// Seen by [`Pull::ready`], said by the next [`Pull::next`].
    failed: Option<PullError>,
}

/// Why no message comes.
#[derive(Debug, thiserror::Error)]
pub(super) enum PullError {
    /// Others' questions have all places at the consumer.
    #[error("others ask the consumer for so much that it takes no more questions")]
    Crowded,
    /// For this reason.
    #[error("{0}")]
    Failed(String),
}

fn failed(why: impl std::fmt::Display) -> PullError {
    PullError::Failed(why.to_string())
}

#[derive(Serialize)]
struct Question {
    batch: u64,
    max_bytes: u64,
    expires: u64,
}

impl Pull {
    pub(super) async fn begin(
        nats: &Nats,
        stream: &str,
        consumer: &str,
    ) -> Result<Self, PullError> {
        let inbox = nats.client().new_inbox();
        let subscriber = nats
            .client()
            .subscribe(inbox.clone())
            .await
            .map_err(failed)?;
        let mut connections = nats.connections();
        connections.mark_unchanged();
        Ok(Pull {
            nats: nats.clone(),
            next: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            inbox,
            subscriber,
            connections,
            heard: Instant::now(),
            messages: 0,
            bytes: 0,
            failed: None,
        })
    }

    /// The next message. Cancelling it loses nothing.
    pub(super) async fn next(&mut self) -> Result<Message, PullError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        loop {
            self.ask().await?;
            if let Some(message) = self.heard().await? {
                return Ok(message);
            }
        }
    }

    /// What comes next: a message, or how much is asked for has changed.
    async fn heard(&mut self) -> Result<Option<Message>, PullError> {
        let silence = tokio::time::sleep_until((self.heard + SILENCE).into());
        let lost = tokio::select! {
            biased;
            message = self.subscriber.next() => match message {
                Some(message) => return self.take(message),
                None => "the connection is closed",
            },
            changed = self.connections.changed() => match changed {
                Ok(()) => {
                    // A server forgets the questions of a connection that ends.
                    (self.messages, self.bytes) = (0, 0);
                    return Ok(None);
                }
                Err(_) => "the connection is closed",
            },
            () = silence => "the consumer is silent",
        };
        (self.messages, self.bytes) = (0, 0);
        let denied = self.nats.denials().since(&self.next, self.heard);
        Err(denied.map_or_else(|| failed(lost), failed))
    }

    /// A message that is already there.
    pub(super) fn ready(&mut self) -> Option<Message> {
        while self.failed.is_none()
            && let Some(Some(message)) = self.subscriber.next().now_or_never()
        {
            match self.take(message) {
                Ok(Some(message)) => return Some(message),
                Ok(None) => {}
                Err(error) => self.failed = Some(error),
            }
        }
        None
    }

    /// Waits until nothing is asked for any more, and ends; what came in the meantime is given to `each`.
    ///
    /// The client drops what comes once it has unsubscribed, and the broker can't know: it would give such a message to nobody else
    /// before AckWait is over. So at that moment nothing may be on its way.
    pub(super) async fn end(mut self, mut each: impl FnMut(Message)) {
        let ending = async {
            while self.messages > 0 && self.failed.is_none() && self.nats.is_connected() {
                match self.heard().await {
                    Ok(Some(message)) => each(message),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::debug!(%error, "a question did not end by itself");
                        break;
                    }
                }
            }
        };
        if tokio::time::timeout(EXPIRES + LATE, ending).await.is_err() {
            tracing::debug!("the broker doesn't say that a question has ended");
        }
        if let Err(error) = self.subscriber.unsubscribe().await {
            tracing::debug!(%error, "a subscription could not be ended");
        }
        while let Some(Some(message)) = self.subscriber.next().now_or_never() {
            if is_message(&message) {
                each(message);
            }
        }
    }

    /// Asks for more once half of what was asked for has come, by messages or by bytes.
    async fn ask(&mut self) -> Result<(), PullError> {
        let largest = self.nats.client().max_payload() as u64 + ENVELOPE;
        let most = BYTES.max(2 * largest);
        let enough = self.messages > MESSAGES / 2 && self.bytes > most / 2;
        if enough || !self.nats.is_connected() {
            return Ok(());
        }
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let question = Question {
            batch: MESSAGES.saturating_sub(self.messages).max(1),
            // A message that is larger than this would never come.
            max_bytes: most.saturating_sub(self.bytes).max(largest),
            expires: nanos(EXPIRES),
        };
        let payload = Bytes::from(serde_json::to_vec(&question).map_err(failed)?);
        let asked =
            self.nats
                .client()
                .publish_with_reply(self.next.clone(), self.inbox.clone(), payload);
        asked.await.map_err(failed)?;
        if self.messages == 0 {
            self.heard = Instant::now();
        }
        self.messages += question.batch;
        self.bytes += question.max_bytes;
        Ok(())
    }

    /// A message, or what the broker says of the question.
    fn take(&mut self, message: Message) -> Result<Option<Message>, PullError> {
        self.heard = Instant::now();
        if is_message(&message) {
            self.messages = self.messages.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(message.length as u64);
            return Ok(Some(message));
        }
        let pending = message.headers.as_ref().and_then(unanswered);
        let said = message.description.as_deref();
        match (message.status, pending) {
            (Some(StatusCode::NO_RESPONDERS), _) => Err(failed("there is no such consumer")),
            (_, _) if said == Some("Consumer Deleted") => Err(failed("the consumer was deleted")),
            (_, _) if said == Some("Exceeded MaxWaiting") => Err(PullError::Crowded),
            // A question that ended: all its messages came, or its time is over, or the next message did not fit into what was left of
            // its bytes.
            (_, Some((messages, bytes))) => {
                self.messages = self.messages.saturating_sub(messages);
                self.bytes = self.bytes.saturating_sub(bytes);
                Ok(None)
            }
            (status, None) => {
                let status = status.map(|status| status.to_string()).unwrap_or_default();
                let said = said.unwrap_or_default();
                Err(failed(format!("the consumer says {status} {said}")))
            }
        }
    }
}

fn is_message(message: &Message) -> bool {
    message.status.is_none_or(|status| status == StatusCode::OK)
}

/// What was left of a question that ended.
fn unanswered(headers: &HeaderMap) -> Option<(u64, u64)> {
    let number = |name| headers.get(name)?.as_str().parse().ok();
    number("Nats-Pending-Messages").zip(number("Nats-Pending-Bytes"))
}
