//! How a change reaches the owner, as the answers tell it.

use duet_channel::sender::{Delivery, Reply};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::receive::Outcome;
use duet_protocol::sender::Outcomes;
use duet_protocol::settings::Mode;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// How an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// Every receiver holds it.
    Delivered,
    /// It is durable, and will be delivered.
    Accepted,
}

/// How a change reaches the owner.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryState {
    /// The channel's mode for this change: `sync` or `async`.
    #[schema(value_type = ModeName)]
    mode: &'static str,
    pub(super) status: Status,
    /// What the channel's first receiver made of it; null where this answer does not know, as in an asynchronous one.
    #[schema(value_type = Option<Word>, required)]
    outcome: Option<Made>,
    /// What each receiver made of it, by its name; null where this answer does not know.
    #[schema(value_type = Option<BTreeMap<String, Word>>, required)]
    outcomes: Option<EachMade>,
    /// How often its event was sent before this answer; 0 if nothing had to be.
    attempts: u32,
    /// Milliseconds from the request to this answer.
    #[schema(minimum = 0)]
    took_ms: f64,
}

/// `sync` if the caller waits for the receivers, `async` if not.
#[derive(ToSchema)]
#[schema(as = Mode, rename_all = "lowercase")]
#[expect(dead_code, reason = "describes what is written")]
enum ModeName {
    Sync,
    Async,
}

/// A receiver's word: `superseded` if it holds something newer; else what it decided, as Notification's `notified`, `own` and
/// `withdrawn`; `applied` if it did not say.
#[derive(ToSchema)]
#[schema(as = Outcome, value_type = String, pattern = "^[a-z-]{1,32}$", examples("notified"))]
#[expect(dead_code, reason = "describes what is written")]
struct Word(String);

/// Written as a [`Word`].
#[derive(Debug)]
struct Made(Outcome);

/// Written as an object of [`Word`]s.
#[derive(Debug)]
struct EachMade(Outcomes);

fn word(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Applied(Some(decision)) => decision.as_str(),
        Outcome::Superseded => "superseded",
        _ => "applied",
    }
}

impl Serialize for Made {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(word(&self.0))
    }
}

impl Serialize for EachMade {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let words = self.0.iter();
        serializer.collect_map(words.map(|(name, outcome)| (name.as_str(), word(outcome))))
    }
}

impl DeliveryState {
    /// As a reply says; `first` is the channel's first receiver.
    pub(super) fn new(reply: &Reply, first: Option<&ReceiverName>) -> Self {
        let (status, outcomes) = match &reply.delivery {
            Delivery::Accepted => (Status::Accepted, None),
            Delivery::Delivered(outcomes) => (Status::Delivered, Some(outcomes)),
        };
        let outcomes = outcomes.filter(|outcomes| !outcomes.is_empty());
        let is_first = |(name, _): &&(ReceiverName, Outcome)| Some(name) == first;
        let outcome = outcomes.and_then(|outcomes| outcomes.iter().find(is_first));
        Self {
            mode: named(reply.mode),
            status,
            outcome: outcome.map(|(_, outcome)| Made(outcome.clone())),
            outcomes: outcomes.map(|outcomes| EachMade(outcomes.clone())),
            attempts: reply.attempts,
            took_ms: (reply.took.as_secs_f64() * 1e6).round() / 1e3,
        }
    }
}

pub(super) fn named(mode: Mode) -> &'static str {
    match mode {
        Mode::Sync => "sync",
        Mode::Async => "async",
    }
}
