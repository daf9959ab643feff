//! What is in force on a channel: the Channel document in the protocol's own terms, checked and with every default filled in.
//!
//! Plain values, made in one place (the document's conversion) and never changed afterwards: a new document is a new [`Settings`].

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use crate::receipt::ReceiverName;
use crate::time::Timestamp;

/// Everything one generation of a Channel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The Channel's name.
    pub channel: String,
    /// Which version of the document this is; stored with each event that is accepted under it.
    pub generation: Generation,
    /// The service that sends.
    pub from: String,
    /// The services that receive, in the document's order: at least one, each once.
    pub to: Vec<ReceiverName>,
    /// How a new event leaves. What was accepted earlier drains the same way.
    pub mode: Mode,
    /// A share of the pairs that takes another mode.
    pub canary: Option<Canary>,
    /// How [`Mode::Sync`] works; also how background events travel while it is the mode.
    pub sync: SyncSettings,
    /// How [`Mode::Async`] works. Always there when it is the mode; without it the channel has no broker.
    pub r#async: Option<AsyncSettings>,
    /// What becomes of an event that a receiver can't apply.
    pub delivery: DeliverySettings,
    /// How a message's trace relates to the one it was created in.
    pub traces: TracesAsync,
    /// What goes wrong on purpose where events are received.
    pub faults: Option<Faults>,
}

/// Counts the versions of one Channel document. It only grows; the first is 1, and 0 means that none was ever in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// The first document's.
    pub const FIRST: Generation = Generation(1);

    /// The one after this.
    pub const fn next(self) -> Self {
        Generation(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether the caller waits for the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The caller waits for the receiver's answer, within a deadline.
    Sync,
    /// The caller is answered once the event is durable; it is delivered in the background.
    Async,
}

impl Mode {
    /// As the document writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Sync => "Sync",
            Mode::Async => "Async",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A share, in hundredths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u8);

impl Percent {
    /// Nothing.
    pub const NONE: Percent = Percent(0);

    /// 0 to 100; `None` for more.
    pub const fn new(percent: u8) -> Option<Percent> {
        if percent <= 100 {
            Some(Percent(percent))
        } else {
            None
        }
    }

    /// 0 to 100.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether a number that is spread evenly over all there are falls into this share. What falls into a share also falls
    /// into every larger one.
    pub const fn covers(self, evenly: u64) -> bool {
        ((evenly as u128 * 100) >> 64) < self.0 as u128
    }
}

/// A share of the pairs that takes another mode than the channel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Canary {
    /// The mode that it takes.
    pub mode: Mode,
    /// How large it is.
    pub percent: Percent,
}

/// What goes wrong on purpose where a receiver takes events, just before they are applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// How long a batch waits before it is applied.
    pub delay: Duration,
    /// By how much that is longer or shorter, at random.
    pub jitter: Duration,
    /// The share of events that can't be applied.
    pub errors: Percent,
    /// The share of requests and messages that get no answer.
    pub hangs: Percent,
    /// The most events a second that a process takes; others wait their turn.
    pub max_per_second: Option<NonZeroU32>,
    /// At which receiver; none means all.
    pub receiver: Option<ReceiverName>,
    /// No effect from then on.
    pub until: Option<Timestamp>,
}

/// Settings of synchronous calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncSettings {
    /// What carries a call.
    pub transport: SyncTransport,
    /// The whole call as its caller sees it, retries included.
    pub deadline: Duration,
    /// What becomes of a reaction whose call failed.
    pub on_failure: OnFailure,
    /// What shares a request. A call never waits for others to join it: the linger is zero.
    pub batch: BatchSettings,
}

impl Default for SyncSettings {
    /// HTTP, two seconds, `Fail`, up to 256 events a request.
    fn default() -> Self {
        SyncSettings {
            transport: SyncTransport::Http,
            deadline: Duration::from_secs(2),
            on_failure: OnFailure::Fail,
            batch: BatchSettings {
                linger: Duration::ZERO,
                ..BatchSettings::default()
            },
        }
    }
}

/// What carries a synchronous call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncTransport {
    /// HTTP/1.1 with keep-alive.
    Http,
}

/// What becomes of a reaction whose synchronous call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// It is taken back before the caller is told.
    Fail,
}

/// Settings of the background way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsyncSettings {
    /// What carries messages, with its own settings.
    pub transport: TransportSettings,
    /// What shares a message.
    pub batch: BatchSettings,
}

/// How often, and how far apart, a receiver tries an event that it can't apply, before it is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverySettings {
    /// So many attempts, the first one included; the last makes it a dead letter.
    pub max_attempts: NonZeroU32,
    /// The longest wait after the first attempt; it doubles with each further one. Each wait is a random share of it.
    pub backoff_initial: Duration,
    /// The longest wait ever.
    pub backoff_max: Duration,
}

impl Default for DeliverySettings {
    /// Eight attempts, from a second to ten minutes apart.
    fn default() -> Self {
        const MAX_ATTEMPTS: NonZeroU32 = NonZeroU32::new(8).unwrap();
        DeliverySettings {
            max_attempts: MAX_ATTEMPTS,
            backoff_initial: Duration::from_secs(1),
            backoff_max: Duration::from_secs(600),
        }
    }
}

/// How many events travel together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSettings {
    /// At most this many in one request or message; 1 turns batches off.
    pub max_events: NonZeroUsize,
    /// How long a batch that isn't full waits for more, counted from its first event.
    pub linger: Duration,
}

impl Default for BatchSettings {
    /// Up to 256 events, five milliseconds.
    fn default() -> Self {
        const MAX_EVENTS: NonZeroUsize = NonZeroUsize::new(256).unwrap();
        BatchSettings {
            max_events: MAX_EVENTS,
            linger: Duration::from_millis(5),
        }
    }
}

/// The one transport that carries messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportSettings {
    /// NATS JetStream.
    NatsJetStream(JetStreamSettings),
}

impl TransportSettings {
    /// Where messages go: a subject.
    pub fn destination(&self) -> &str {
        match self {
            TransportSettings::NatsJetStream(settings) => &settings.stream.subject,
        }
    }

    /// What OpenTelemetry's conventions call the broker (`messaging.system`).
    pub const fn system(&self) -> &'static str {
        match self {
            TransportSettings::NatsJetStream(_) => "nats",
        }
    }

    /// How long a consumer may hold a message before it is given out again.
    pub const fn ack_wait(&self) -> Duration {
        match self {
            TransportSettings::NatsJetStream(settings) => settings.consumer.ack_wait,
        }
    }
}

/// What NATS JetStream is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JetStreamSettings {
    /// The stream that holds messages until the receiver has them.
    pub stream: StreamSettings,
    /// The receiver's durable pull consumer.
    pub consumer: ConsumerSettings,
}

/// A stream. Its retention (Interest) and what happens when it is full (new messages are refused) are not settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// Its name: no whitespace, dots, wildcards or path separators.
    pub name: String,
    /// The subject that messages are published on: no wildcards.
    pub subject: String,
    /// Copies of each message in a cluster of servers.
    pub replicas: NonZeroU32,
    /// Where messages are held.
    pub storage: Storage,
    /// The most that the stream holds, in bytes.
    pub max_bytes: NonZeroU64,
    /// A message older than this is dropped; its sender sends it again.
    pub max_age: Duration,
    /// For how long the server remembers message ids.
    pub duplicate_window: Duration,
}

/// Where a stream's messages are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// In files.
    File,
    /// In memory: gone when the server stops.
    Memory,
}

/// A durable pull consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// A message not settled for this long is delivered again.
    pub ack_wait: Duration,
    /// At most this many messages are out unsettled.
    pub max_ack_pending: NonZeroU32,
}

/// How the trace of a message's processing relates to the trace that created it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TracesAsync {
    /// It continues it: one trace from the caller to the stored notification.
    #[default]
    Continue,
    /// It is a trace of its own that links to it.
    Link,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_settings_is_what_the_document_says() {
        assert_eq!(Generation(12).to_string(), "12");
        let modes = [Mode::Sync, Mode::Async].map(|mode| mode.to_string());
        assert_eq!(modes, ["Sync", "Async"]);
        let transport = TransportSettings::NatsJetStream(JetStreamSettings {
            stream: StreamSettings {
                name: "duet".into(),
                subject: "duet.reactions".into(),
                replicas: NonZeroU32::MIN,
                storage: Storage::File,
                max_bytes: NonZeroU64::MIN,
                max_age: Duration::from_secs(60),
                duplicate_window: Duration::from_secs(2),
            },
            consumer: ConsumerSettings {
                ack_wait: Duration::from_secs(30),
                max_ack_pending: NonZeroU32::MIN,
            },
        });
        assert_eq!(transport.destination(), "duet.reactions");
        assert_eq!(transport.system(), "nats");
        assert_eq!(transport.ack_wait(), Duration::from_secs(30));
    }
}
