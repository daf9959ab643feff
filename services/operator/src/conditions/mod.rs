//! What is good and what is wrong with a Channel, each as a condition. All pure.
//!
//! What can't be observed is Unknown, and never what it was before. A channel without `async` has no BrokerReady: to Kubernetes,
//! a condition that is absent is one that does not apply.

#[cfg(test)]
mod tests;

use duet_channel::transport::ProvisionError;
use duet_crd::kubernetes::Over;
use duet_protocol::settings;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::apply::Outcome;
use crate::broker::Broker;
use crate::cut::cut;
use crate::observe::Observed;
use crate::participants::{Participant, Role};
use crate::stored::Subject;

pub(crate) const ACCEPTED: &str = "Accepted";
pub(crate) const READY: &str = "Ready";
pub(crate) const BROKER_READY: &str = "BrokerReady";
pub(crate) const DRAINED: &str = "Drained";
pub(crate) const DEGRADED: &str = "Degraded";

/// BrokerReady's reason while the broker does not answer.
pub(crate) const NO_ANSWER: &str = "NoAnswer";
/// BrokerReady's reason while the broker refuses the operator's login.
pub(crate) const LOGIN_REFUSED: &str = "LoginRefused";
/// BrokerReady's reason while the broker denies the operator's user what it needs.
pub(crate) const BROKER_DENIES: &str = "BrokerDenies";
/// BrokerReady's reason when the stream is another's, or can't become what it should be.
pub(crate) const STREAM_REFUSED: &str = "StreamRefused";

/// Degraded's reasons that say that something should be looked at while events flow: they keep no Channel from being ready. Whatever
/// else a pod says keeps events waiting.
const EVENTS_FLOW: [&str; 6] = [
    "DeadLetters",
    "ForeignConsumer",
    "LedgerDiffers",
    "ReceiverRegressed",
    "Resyncing",
    "SenderRegressed",
];

/// How long a broker is silent before it counts as gone.
const SILENCE: SignedDuration = SignedDuration::from_secs(10);
/// Pods that a message names.
const NAMED: usize = 3;

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    True,
    False,
    Unknown,
}

impl Holds {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Holds::True => "True",
            Holds::False => "False",
            Holds::Unknown => "Unknown",
        }
    }
}

/// Whether a condition holds, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) holds: Holds,
    /// In a word.
    pub(crate) reason: String,
    /// In a sentence.
    pub(crate) message: String,
}

fn verdict(holds: Holds, reason: &str, message: impl Into<String>) -> Verdict {
    Verdict {
        holds,
        reason: reason.to_owned(),
        message: message.into(),
    }
}

/// The condition of a type.
pub(crate) fn find<'a>(conditions: &'a [Condition], r#type: &str) -> Option<&'a Condition> {
    conditions
        .iter()
        .find(|condition| condition.type_ == r#type)
}

/// All conditions of a Channel that had those `before`, in their order.
pub(crate) fn conditions(
    subject: &Subject,
    observed: &Observed,
    outcome: &Outcome,
    before: &[Condition],
) -> Vec<Condition> {
    let accepted = Some(accepted(observed));
    let verdicts = if subject.is_deleted {
        vec![(ACCEPTED, accepted), (READY, Some(deleted()))]
    } else {
        let broker = broker_ready(observed, outcome, find(before, BROKER_READY));
        let pods = observed.participants.as_deref();
        let in_force = observed.accepted();
        vec![
            (ACCEPTED, accepted),
            (READY, Some(ready(subject, observed, broker.as_ref()))),
            (BROKER_READY, broker),
            (DRAINED, in_force.map(|_| drained(subject, pods))),
            (DEGRADED, in_force.map(|_| degraded(subject, pods))),
        ]
    };
    let told = verdicts
        .into_iter()
        .filter_map(|(r#type, verdict)| Some((r#type, verdict?)));
    told.map(|(r#type, verdict)| stamp(r#type, verdict, subject.generation, before, observed.at))
        .collect()
}

/// The condition, whose transition time moves only when its status does.
fn stamp(
    r#type: &str,
    verdict: Verdict,
    generation: i64,
    before: &[Condition],
    now: Timestamp,
) -> Condition {
    let status = verdict.holds.as_str();
    let same = find(before, r#type).filter(|before| before.status == status);
    Condition {
        type_: r#type.to_owned(),
        status: status.to_owned(),
        reason: verdict.reason,
        message: cut(verdict.message),
        observed_generation: Some(generation),
        last_transition_time: same.map_or(Time(now), |same| same.last_transition_time.clone()),
    }
}

/// Whether this Channel is the one in force.
fn accepted(observed: &Observed) -> Verdict {
    match (&observed.document, &observed.rival) {
        (Err(problems), _) => verdict(Holds::False, "Invalid", problems.to_string()),
        (Ok(_), Some(rival)) => {
            let reason = match rival.over {
                Over::From(_) => "FromTaken",
                Over::Stream(_) => "StreamTaken",
            };
            verdict(Holds::False, reason, rival.to_string())
        }
        (Ok(document), None) if document.unknown.is_empty() => verdict(Holds::True, "Valid", ""),
        (Ok(document), None) => {
            let unknown: Vec<_> = document.unknown.iter().map(ToString::to_string).collect();
            let message = format!("this version does not obey: {}", unknown.join("; "));
            verdict(Holds::True, "PartlyUnknown", message)
        }
    }
}

/// Whether stream and consumers are as asked for; none where no broker is asked for.
fn broker_ready(
    observed: &Observed,
    outcome: &Outcome,
    before: Option<&Condition>,
) -> Option<Verdict> {
    observed.accepted()?;
    Some(match (&observed.broker, &outcome.broker) {
        (Broker::NotNeeded, _) => return None,
        (Broker::NotConfigured, _) => verdict(
            Holds::False,
            "NotConfigured",
            "the operator knows no NATS server; start it with --nats",
        ),
        (Broker::Silent(why), _) => silent(why, before, observed.at),
        (Broker::Refused(why), _) => verdict(Holds::False, LOGIN_REFUSED, why.clone()),
        (Broker::Denied(why), _) => verdict(Holds::False, BROKER_DENIES, why.clone()),
        (Broker::Seen(_), Err(ProvisionError::Unreachable(why))) => {
            silent(why, before, observed.at)
        }
        (Broker::Seen(_), Err(error @ ProvisionError::Conflict(_))) => {
            verdict(Holds::False, STREAM_REFUSED, error.to_string())
        }
        (Broker::Seen(_), Err(error @ ProvisionError::Refused(_))) => {
            verdict(Holds::False, "ChangeRefused", error.to_string())
        }
        (Broker::Seen(_), Err(ProvisionError::Denied(why))) => {
            verdict(Holds::False, BROKER_DENIES, why.to_string())
        }
        (Broker::Seen(seen), Ok(_)) => match seen.strangers.as_slice() {
            [] => verdict(Holds::True, "Provisioned", ""),
            held => {
                let each = held.iter().map(|it| it.name.clone());
                let message = format!(
                    "consumers that are not Duet's keep messages of the stream, until it is full: {}",
                    listed(each)
                );
                verdict(Holds::True, "ForeignConsumer", message)
            }
        },
    })
}

/// Unknown at once, False when it lasts.
fn silent(why: &str, before: Option<&Condition>, now: Timestamp) -> Verdict {
    let message = format!("the broker does not answer: {why}");
    let since = before.filter(|before| before.reason == NO_ANSWER);
    let gone = since.is_some_and(|since| match since.status.as_str() {
        "False" => true,
        _ => now.duration_since(since.last_transition_time.0) >= SILENCE,
    });
    verdict(
        if gone { Holds::False } else { Holds::Unknown },
        NO_ANSWER,
        message,
    )
}

/// It is still there for a finalizer's sake, and neither pods nor stream are looked after.
fn deleted() -> Verdict {
    verdict(
        Holds::False,
        "Deleted",
        "it is deleted, and there until its last finalizer is gone",
    )
}

/// Whether every pod follows the spec, and events flow.
fn ready(subject: &Subject, observed: &Observed, broker: Option<&Verdict>) -> Verdict {
    let Some(document) = observed.accepted() else {
        return verdict(Holds::False, "NotAccepted", "see the condition Accepted");
    };
    let Some(pods) = &observed.participants else {
        return verdict(
            Holds::Unknown,
            "EndpointsUnknown",
            "the pods behind the Services are not known",
        );
    };
    let mode = document.spec.mode;
    let sides = std::iter::once((document.settings.from.as_str(), Role::Sender))
        .chain((document.settings.to.iter()).map(|to| (to.as_str(), Role::Receiver(to.clone()))));
    for (service, role) in sides {
        if !pods.iter().any(|pod| pod.role == role) {
            let message =
                format!("there is no pod behind the Service {service} with a port named internal");
            return verdict(Holds::False, "NoPods", message);
        }
    }
    let diverging: Vec<_> = pods
        .iter()
        .filter_map(|pod| pod.divergence(subject, mode).map(|why| (pod, why)))
        .collect();
    if let Some((_, (reason, _))) = diverging.first() {
        let said = diverging
            .iter()
            .map(|(pod, (_, why))| format!("{}: {why}", pod.pod));
        let alike = diverging.iter().all(|(_, (other, _))| other == reason);
        let reason = if alike { reason } else { "PodsDiverge" };
        return verdict(Holds::False, reason, listed(said));
    }
    // A canary's share may need it too.
    let needs_broker = document.settings.route().uses(settings::Mode::Async);
    match broker {
        Some(broker) if needs_broker && broker.holds != Holds::True => {
            return verdict(broker.holds, "BrokerNotReady", broker.message.clone());
        }
        _ => {}
    }
    // Pods that follow may still not reach each other: a Service's way comes a moment after its pods.
    let waiting = pods_say(subject, pods, |reason| !EVENTS_FLOW.contains(&reason));
    if let Some((reason, message)) = waiting {
        return verdict(Holds::False, &reason, message);
    }
    verdict(Holds::True, "Following", "")
}

/// Whether no unreceived event was accepted under an older generation.
fn drained(subject: &Subject, pods: Option<&[Participant]>) -> Verdict {
    let senders: Vec<_> = pods
        .unwrap_or_default()
        .iter()
        .filter(|pod| pod.is_sender())
        .collect();
    let draining =
        |pod: &&&Participant| pod.told(subject).and_then(|told| told.drained) == Some(false);
    let silent = |pod: &&&Participant| pod.told(subject).and_then(|told| told.drained).is_none();
    let named = |which: &dyn Fn(&&&Participant) -> bool| {
        listed(
            senders
                .iter()
                .filter(|pod| which(pod))
                .map(|pod| pod.pod.clone()),
        )
    };
    if senders.iter().any(|pod| draining(&pod)) {
        let message = format!("events of an older generation wait at {}", named(&draining));
        verdict(Holds::False, "Draining", message)
    } else if senders.is_empty() {
        verdict(Holds::Unknown, "NoSenders", "there is no sender to ask")
    } else if senders.iter().any(|pod| silent(&pod)) {
        verdict(
            Holds::Unknown,
            "NotTold",
            format!("not told by {}", named(&silent)),
        )
    } else {
        verdict(Holds::True, "Drained", "")
    }
}

/// Whether something keeps events waiting, or should be looked at, as a pod says.
fn degraded(subject: &Subject, pods: Option<&[Participant]>) -> Verdict {
    let pods = pods.unwrap_or_default();
    if let Some((reason, message)) = pods_say(subject, pods, |_| true) {
        return verdict(Holds::True, &reason, message);
    }
    let silent: Vec<_> = pods
        .iter()
        .filter(|pod| pod.told(subject).is_none())
        .collect();
    if pods.is_empty() {
        verdict(Holds::Unknown, "NoPods", "there is no pod to ask")
    } else if silent.is_empty() {
        verdict(Holds::False, "Sound", "")
    } else {
        let named = listed(silent.iter().map(|pod| pod.pod.clone()));
        verdict(Holds::Unknown, "NotTold", format!("not told by {named}"))
    }
}

/// What pods say is wrong, of the reasons that are asked for: the first such reason, and what each says that has one.
fn pods_say(
    subject: &Subject,
    pods: &[Participant],
    asked: impl Fn(&str) -> bool,
) -> Option<(String, String)> {
    let said: Vec<_> = pods
        .iter()
        .filter_map(|pod| Some((pod, pod.told(subject)?.condition(DEGRADED, "True")?)))
        .filter_map(|(pod, condition)| {
            let mut reasons = condition.all_reasons().iter();
            Some((pod, condition, reasons.find(|reason| asked(reason))?))
        })
        .collect();
    let (_, _, first) = said.first()?;
    let each = said
        .iter()
        .map(|(pod, condition, _)| format!("{}: {}", pod.pod, condition.message));
    Some((reason(first).to_owned(), listed(each)))
}

/// A reason that the API takes: a pod may be of another version.
fn reason(told: &str) -> &str {
    let is_word = told.chars().all(|c| c.is_ascii_alphanumeric())
        && told.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_word && told.len() <= 64 {
        told
    } else {
        "PodSaysSo"
    }
}

fn listed(said: impl Iterator<Item = String>) -> String {
    let all: Vec<_> = said.collect();
    let first = all
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    match all.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first}; and {more} more"),
    }
}
