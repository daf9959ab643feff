//! Why a pair stands as it does: what every store tells of it, and the same in sentences.

mod ask; // each service, or its file where it does not run
mod channel; // a Channel's settings, as sentences name them
mod earlier; // an event that is asked about by name
mod receiver; // a receiver's part of the life
mod resync; // a resync's part in it
mod sender; // the sender's part of the life
mod sentence; // what sentences are made of
#[cfg(test)]
mod stories; // each story as a table

/// Gathers the facts.
pub(crate) use ask::ask;
/// A sentence.
pub(crate) use sentence::Sentence;

use duet_channel::life::{Arrival, Name, Received, Sent};
use serde::{Serialize, Serializer};

/// What is known of a pair.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) post: String,
    pub(crate) user: String,
    /// What Reaction tells, or why it tells nothing.
    #[serde(serialize_with = "told")]
    pub(crate) sender: Result<Sent, String>,
    /// What each receiver tells.
    pub(crate) receivers: Vec<AtReceiver>,
    /// An event of the pair that is asked about by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<Name>,
    /// The address of the trace of the event that wrote Reaction's row, where it was sampled and Jaeger is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<String>,
}

/// What one receiver tells, or why it tells nothing.
#[derive(Debug, Serialize)]
pub(crate) struct AtReceiver {
    /// The service; in a cluster the pod.
    pub(crate) name: String,
    #[serde(flatten, serialize_with = "told")]
    pub(crate) told: Result<Received, String>,
    /// How the event that is asked about by name stands in its inbox.
    #[serde(rename = "asked", skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<Arrival>,
}

/// As it was told, or `{"error": …}`.
fn told<T: Serialize, S: Serializer>(told: &Result<T, String>, to: S) -> Result<S::Ok, S::Error> {
    match told {
        Ok(told) => told.serialize(to),
        Err(error) => serde_json::json!({ "error": error }).serialize(to),
    }
}

impl Facts {
    /// The event that wrote Reaction's row.
    fn event(&self) -> Option<Name> {
        Some(self.sender.as_ref().ok()?.row.as_ref()?.event)
    }

    /// Who told nothing.
    pub(crate) fn silent(&self) -> Vec<&str> {
        let sender = self.sender.is_err().then_some("reaction");
        let receivers = self.receivers.iter().filter(|it| it.told.is_err());
        let receivers = receivers.map(|it| it.name.as_str());
        sender.into_iter().chain(receivers).collect()
    }

    /// Whether nobody knows the pair, as far as all could be asked.
    pub(crate) fn is_unknown(&self) -> bool {
        let nothing_sent = |sent: &Sent| sent.row.is_none() && sent.waiting.is_empty();
        let nothing_received = |told: &Received| told.row.is_none() && told.kept.is_empty();
        self.sender.as_ref().is_ok_and(nothing_sent)
            && self
                .receivers
                .iter()
                .all(|it| it.told.as_ref().is_ok_and(nothing_received))
    }
}

/// The life of the pair's latest event, from its acceptance on, after what is known of the one that is asked about by name: pure.
pub(crate) fn sentences(facts: &Facts) -> Vec<Sentence> {
    if facts.is_unknown() {
        let Facts { post, user, .. } = facts;
        let what = format!(
            "Nothing is known of a reaction of {user} to {post}: there never was one, or it was undone, every receiver holds that, and what was kept of it has gone"
        );
        return vec![Sentence::about("pair", what)];
    }
    let mut told = earlier::sentences(facts);
    told.extend(sender::sentences(facts));
    for receiver in &facts.receivers {
        told.extend(receiver::sentences(facts, receiver));
    }
    let rest = "Not kept: earlier events of the pair that a newer one replaced and that every receiver holds; what callers were answered; why a call failed";
    told.push(Sentence::about("pair", rest));
    told
}
