//! What is good and what is wrong with a Channel, each as a condition. All pure.
//!
//! What can't be observed is Unknown, and never what it was before. A channel without `async` has no BrokerReady: to Kubernetes,
//! a condition that is absent is one that does not apply.

use duet_channel::transport::ProvisionError;
use duet_crd::Mode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::apply::Outcome;
use crate::broker::Broker;
use crate::observe::Observed;
use crate::participants::Participant;
use crate::precedence::{Over, Rival};
use crate::stored::Subject;

pub(crate) const ACCEPTED: &str = "Accepted";
pub(crate) const READY: &str = "Ready";
pub(crate) const BROKER_READY: &str = "BrokerReady";
pub(crate) const DRAINED: &str = "Drained";
pub(crate) const DEGRADED: &str = "Degraded";

/// BrokerReady's reason while the broker does not answer.
pub(crate) const NO_ANSWER: &str = "NoAnswer";
/// BrokerReady's reason when the stream is another's, or can't become what it should be.
pub(crate) const STREAM_REFUSED: &str = "StreamRefused";

/// How long a broker is silent before it counts as gone.
const SILENCE: SignedDuration = SignedDuration::from_secs(10);
/// The longest message that the API takes is 32,768 bytes; ours are for reading.
const LONGEST: usize = 1_024;
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
    let broker = broker_ready(observed, outcome, find(before, BROKER_READY));
    let verdicts = [
        (ACCEPTED, Some(accepted(observed))),
        (READY, Some(ready(subject, observed, broker.as_ref()))),
        (BROKER_READY, broker),
        (
            DRAINED,
            observed
                .accepted()
                .map(|_| drained(subject, observed.participants.as_deref())),
        ),
        (
            DEGRADED,
            observed
                .accepted()
                .map(|_| degraded(subject, observed.participants.as_deref())),
        ),
    ];
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

fn cut(message: String) -> String {
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

/// Whether this Channel is the one in force.
fn accepted(observed: &Observed) -> Verdict {
    match (&observed.document, &observed.rival) {
        (Err(problems), _) => verdict(Holds::False, "Invalid", problems.to_string()),
        (Ok(_), Some(Rival { name, over })) => {
            let (reason, what) = match over {
                Over::From(service) => ("FromTaken", format!("from {service}")),
                Over::Stream(stream) => ("StreamTaken", format!("the stream {stream}")),
            };
            let message =
                format!("the Channel {name}, which is older, has {what}; delete one of the two");
            verdict(Holds::False, reason, message)
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
        (Broker::Seen(_), Err(ProvisionError::Unreachable(why))) => {
            silent(why, before, observed.at)
        }
        (Broker::Seen(_), Err(error @ ProvisionError::Conflict(_))) => {
            verdict(Holds::False, STREAM_REFUSED, error.to_string())
        }
        (Broker::Seen(_), Err(error @ ProvisionError::Refused(_))) => {
            verdict(Holds::False, "ChangeRefused", error.to_string())
        }
        (Broker::Seen(_), Ok(_)) => verdict(Holds::True, "Provisioned", ""),
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
    for (service, is_there) in [
        (
            &document.settings.from,
            pods.iter().any(Participant::is_sender),
        ),
        (
            &document.settings.to,
            pods.iter().any(|pod| !pod.is_sender()),
        ),
    ] {
        if !is_there {
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
    match (mode, broker) {
        (Mode::Async, Some(broker)) if broker.holds != Holds::True => {
            verdict(broker.holds, "BrokerNotReady", broker.message.clone())
        }
        _ => verdict(Holds::True, "Following", ""),
    }
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
    let degraded: Vec<_> = pods
        .iter()
        .filter_map(|pod| Some((pod, pod.told(subject)?.condition(DEGRADED, "True")?)))
        .collect();
    if let Some((_, first)) = degraded.first() {
        let said = degraded
            .iter()
            .map(|(pod, condition)| format!("{}: {}", pod.pod, condition.message));
        return verdict(Holds::True, reason(&first.reason), listed(said));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{at, condition, done, follower, observed, subject, told};
    use crate::participants::{Answer, Role};

    /// What is changed of a Channel that is well, and `status reason: message` of the condition then.
    type Case = (&'static str, fn(&mut Observed, &mut Outcome), &'static str);

    fn check(r#type: &str, cases: &[Case]) {
        for (case, change, expected) in cases {
            let (mut observed, mut outcome) = (observed(at(1_000)), done());
            change(&mut observed, &mut outcome);
            let all = conditions(&subject(), &observed, &outcome, &[]);
            let shown = match find(&all, r#type) {
                Some(found) => format!("{} {}: {}", found.status, found.reason, found.message),
                None => "absent".to_owned(),
            };
            assert_eq!(shown, *expected, "{case}");
        }
    }

    fn pods(observed: &mut Observed) -> &mut Vec<Participant> {
        observed.participants.as_mut().unwrap()
    }

    fn rival(observed: &mut Observed, over: Over) {
        observed.rival = Some(Rival {
            name: "older".to_owned(),
            over,
        });
    }

    #[test]
    fn accepted() {
        check(
            ACCEPTED,
            &[
                ("well", |_, _| {}, "True Valid: "),
                (
                    "the same from",
                    |o, _| rival(o, Over::From("reaction".to_owned())),
                    "False FromTaken: the Channel older, which is older, has from reaction; delete one of the two",
                ),
                (
                    "the same stream",
                    |o, _| rival(o, Over::Stream("S".to_owned())),
                    "False StreamTaken: the Channel older, which is older, has the stream S; delete one of the two",
                ),
                (
                    "no good",
                    |o, _| o.document = Err(duet_crd::Channel::from_yaml("").unwrap_err()),
                    "False Invalid: the document is empty",
                ),
            ],
        );
    }

    #[test]
    fn ready() {
        check(
            READY,
            &[
                ("well", |_, _| {}, "True Following: "),
                (
                    "not in force",
                    |o, _| rival(o, Over::From("reaction".to_owned())),
                    "False NotAccepted: see the condition Accepted",
                ),
                (
                    "endpoints unknown",
                    |o, _| o.participants = None,
                    "Unknown EndpointsUnknown: the pods behind the Services are not known",
                ),
                (
                    "no sender",
                    |o, _| drop(pods(o).remove(0)),
                    "False NoPods: there is no pod behind the Service reaction with a port named internal",
                ),
                (
                    "no receiver",
                    |o, _| drop(pods(o).remove(1)),
                    "False NoPods: there is no pod behind the Service notification with a port named internal",
                ),
                (
                    "a pod is silent",
                    |o, _| pods(o)[1].answer = Answer::Silent("no answer in 1 s".to_owned()),
                    "False Unreachable: notification-0: no answer in 1 s",
                ),
                (
                    "several reasons",
                    |o, _| {
                        pods(o)[1].answer = Answer::Silent("no answer in 1 s".to_owned());
                        told(&mut pods(o)[0]).observed_generation = Some(2);
                    },
                    "False PodsDiverge: reaction-0: generation 2 is in force there, not 3 yet; notification-0: no answer in 1 s",
                ),
                (
                    "more than are named",
                    |o, _| {
                        for n in 1..9 {
                            let mut pod = follower(&format!("reaction-{n}"), Role::Sender);
                            pod.answer = Answer::Silent("no".to_owned());
                            pods(o).push(pod);
                        }
                    },
                    "False Unreachable: reaction-1: no; reaction-2: no; reaction-3: no; and 5 more",
                ),
                (
                    "Async without its broker",
                    |o, _| o.broker = Broker::Silent("no".to_owned()),
                    "Unknown BrokerNotReady: the broker does not answer: no",
                ),
                (
                    "Sync without the broker",
                    |o, _| {
                        o.broker = Broker::Silent("no".to_owned());
                        o.document.as_mut().unwrap().spec.mode = Mode::Sync;
                        for pod in pods(o) {
                            told(pod).mode = Some(Mode::Sync);
                        }
                    },
                    "True Following: ",
                ),
            ],
        );
    }

    #[test]
    fn broker_ready() {
        check(
            BROKER_READY,
            &[
                ("well", |_, _| {}, "True Provisioned: "),
                (
                    "no broker is asked for",
                    |o, _| o.broker = Broker::NotNeeded,
                    "absent",
                ),
                (
                    "not in force",
                    |o, _| rival(o, Over::From("reaction".to_owned())),
                    "absent",
                ),
                (
                    "none is known",
                    |o, _| o.broker = Broker::NotConfigured,
                    "False NotConfigured: the operator knows no NATS server; start it with --nats",
                ),
                (
                    "silent",
                    |o, _| o.broker = Broker::Silent("no answer in 1 s".to_owned()),
                    "Unknown NoAnswer: the broker does not answer: no answer in 1 s",
                ),
                (
                    "silent while it was provisioned",
                    |_, done| done.broker = Err(ProvisionError::Unreachable("lost".into())),
                    "Unknown NoAnswer: the broker does not answer: lost",
                ),
                (
                    "another's",
                    |_, done| done.broker = Err(ProvisionError::Conflict("it is another's".into())),
                    "False StreamRefused: it is another's",
                ),
                (
                    "refused",
                    |_, done| done.broker = Err(ProvisionError::Refused("no room".into())),
                    "False ChangeRefused: the broker refused: no room",
                ),
            ],
        );
    }

    #[test]
    fn drained() {
        check(
            DRAINED,
            &[
                ("well", |_, _| {}, "True Drained: "),
                (
                    "not in force",
                    |o, _| rival(o, Over::From("reaction".to_owned())),
                    "absent",
                ),
                (
                    "draining",
                    |o, _| told(&mut pods(o)[0]).drained = Some(false),
                    "False Draining: events of an older generation wait at reaction-0",
                ),
                (
                    "not told",
                    |o, _| told(&mut pods(o)[0]).drained = None,
                    "Unknown NotTold: not told by reaction-0",
                ),
                (
                    "silent",
                    |o, _| pods(o)[0].answer = Answer::Silent(String::new()),
                    "Unknown NotTold: not told by reaction-0",
                ),
                (
                    "nobody is there",
                    |o, _| pods(o).clear(),
                    "Unknown NoSenders: there is no sender to ask",
                ),
            ],
        );
    }

    #[test]
    fn degraded() {
        check(
            DEGRADED,
            &[
                ("well", |_, _| {}, "False Sound: "),
                (
                    "a pod says so",
                    |o, _| {
                        told(&mut pods(o)[0]).conditions =
                            vec![condition(DEGRADED, "True", "BrokerFull", "it is full")]
                    },
                    "True BrokerFull: reaction-0: it is full",
                ),
                (
                    "in words that are none",
                    |o, _| {
                        told(&mut pods(o)[0]).conditions =
                            vec![condition(DEGRADED, "True", "not a word", "x")]
                    },
                    "True PodSaysSo: reaction-0: x",
                ),
                (
                    "silent",
                    |o, _| pods(o)[1].answer = Answer::Silent(String::new()),
                    "Unknown NotTold: not told by notification-0",
                ),
                (
                    "nobody is there",
                    |o, _| pods(o).clear(),
                    "Unknown NoPods: there is no pod to ask",
                ),
            ],
        );
    }

    #[test]
    fn a_silent_broker_is_unknown_at_once_and_gone_after_ten_seconds() {
        let mut observed = observed(at(0));
        let mut all = conditions(&subject(), &observed, &done(), &[]);
        let mut seen = Vec::new();
        for (second, silent) in [
            (1, false),
            (2, true),
            (11, true),
            (12, true),
            (13, true),
            (60, false),
            (61, true),
        ] {
            let well = crate::fixtures::observed(at(second));
            observed = Observed {
                broker: if silent {
                    Broker::Silent("no".to_owned())
                } else {
                    well.broker.clone()
                },
                ..well
            };
            all = conditions(&subject(), &observed, &done(), &all);
            let found = find(&all, BROKER_READY).unwrap();
            seen.push((
                second,
                found.status.clone(),
                found.last_transition_time.0.as_second(),
            ));
        }
        let expected = [
            (1, "True", 0),
            (2, "Unknown", 2),
            (11, "Unknown", 2),
            (12, "False", 12),
            (13, "False", 12),
            (60, "True", 60),
            (61, "Unknown", 61),
        ];
        assert_eq!(
            seen,
            expected.map(|(second, status, since)| (second, status.to_owned(), since))
        );
    }

    #[test]
    fn a_refused_stream_says_nothing_of_a_silent_broker() {
        let refused = Outcome {
            broker: Err(ProvisionError::Conflict("x".into())),
            ..done()
        };
        let before = conditions(&subject(), &observed(at(0)), &refused, &[]);
        let silent = Observed {
            broker: Broker::Silent("no".to_owned()),
            ..observed(at(60))
        };
        let after = conditions(&subject(), &silent, &done(), &before);
        assert_eq!(find(&after, BROKER_READY).unwrap().status, "Unknown");
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let before = conditions(&subject(), &observed(at(10)), &done(), &[]);
        let mut later = observed(at(20));
        told(&mut pods(&mut later)[0]).drained = Some(false);
        let subject = Subject {
            generation: 4,
            ..subject()
        };
        for pod in pods(&mut later) {
            told(pod).observed_generation = Some(4);
        }
        let after = conditions(&subject, &later, &done(), &before);
        let times: Vec<_> = after
            .iter()
            .map(|c| (c.type_.as_str(), c.last_transition_time.0.as_second()))
            .collect();
        assert_eq!(
            times,
            [
                ("Accepted", 10),
                ("Ready", 10),
                ("BrokerReady", 10),
                ("Drained", 20),
                ("Degraded", 10)
            ]
        );
        assert!(
            after
                .iter()
                .all(|condition| condition.observed_generation == Some(4))
        );
    }
}
