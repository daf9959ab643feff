use bytes::Bytes;
use duet_protocol::delivery::{Fingerprint, State};
use duet_protocol::event::{Body, Data, Event, EventId, Key, TraceContext};
use duet_protocol::receive::Outcome;
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;

/// An event in the parked table: one that waits for its next attempt, or a dead letter. All times but `accepted` are by the receiver's
/// wall clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The event's name.
    pub id: EventId,
    /// What it is about.
    pub key: Key,
    /// Its CloudEvents `type`.
    pub kind: Box<str>,
    /// Whether it is tried again, and when.
    pub state: State,
    /// Whether it is a job.
    pub is_job: bool,
    /// Why its latest attempt failed, in a sentence, of which 1,024 bytes are kept. A job that never failed says that it waits.
    pub cause: Box<str>,
    /// Names the cause.
    pub fingerprint: Fingerprint,
    /// How often it was tried since it was parked or last redriven.
    pub attempts: u32,
    /// How often it was redriven.
    pub redrives: u32,
    /// When it failed for the first time; a job, when it was received.
    pub first_failure: Timestamp,
    /// When it failed last; a job that never failed, when it was received.
    pub last_failure: Timestamp,
    /// When it was accepted, by the sender's wall clock.
    pub accepted: Timestamp,
    /// The Channel's generation that it was accepted under.
    pub generation: Generation,
    /// The trace that it was created in.
    pub trace: TraceContext,
    /// Its data: JSON.
    pub data: Bytes,
}

impl Letter {
    /// The event.
    pub fn event(&self) -> Event {
        Event {
            source: self.id.source,
            sequence: self.id.sequence,
            time: self.accepted,
            body: Body::Data(Data {
                kind: self.kind.clone(),
                key: self.key.clone(),
                json: self.data.clone(),
            }),
            trace: self.trace.clone(),
            generation: self.generation,
        }
    }
}

/// A place in the parked table's order, which is that of parking. It stays good when what it came from has gone.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Cursor(pub u64);

/// Some letters, in the order in which they were parked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// At most as many as were asked for.
    pub letters: Vec<Letter>,
    /// Where the next page begins; none if there is none.
    pub next: Option<Cursor>,
}

/// Letters of one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Names it.
    pub fingerprint: Fingerprint,
    /// In a sentence: that of one of them.
    pub cause: Box<str>,
    /// How many wait for their next attempt.
    pub parked: u64,
    /// How many are dead letters.
    pub dead: u64,
    /// When the first of them failed first.
    pub first_failure: Timestamp,
    /// When the last of them failed last.
    pub last_failure: Timestamp,
}

/// What a redrive would do with one letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Would {
    /// Be applied.
    Apply,
    /// Something newer of its key is stored: it would go, and change nothing.
    Supersede,
    /// Still fail, with this cause.
    Fail {
        /// In a sentence.
        cause: Box<str>,
        /// Names it.
        fingerprint: Fingerprint,
    },
    /// It is a job: it would be run in its turn.
    Run,
    /// It died of the same cause time after time: it would be passed over, unless it is named.
    BePassedOver,
}

/// What a redrive would do now. Nothing of it was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// Each letter that was tried, in the order of the redrive.
    pub letters: Vec<(EventId, Would)>,
    /// How many match in all: more than were tried where the preview was bounded.
    pub matching: u64,
}

impl Would {
    pub(crate) fn after(outcome: Result<Outcome, duet_protocol::receive::Failure>) -> Self {
        match outcome {
            Ok(Outcome::Superseded) => Would::Supersede,
            Ok(_) => Would::Apply,
            Err(failure) => Would::Fail {
                fingerprint: failure.fingerprint(),
                cause: failure.cause,
            },
        }
    }
}
