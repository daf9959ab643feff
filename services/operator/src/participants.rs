//! The pods behind the Services that a Channel names: what each told, and whether it follows.

use duet_crd::Mode;
use duet_crd::kubernetes::{Diverging, Participants};
use duet_protocol::receipt::ReceiverName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::cut::cut;
use crate::stored::Subject;

/// The most diverging pods that status lists; the counts are of all.
const LISTED: usize = 50;

/// A pod, and what came of asking it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Participant {
    pub(crate) pod: String,
    pub(crate) role: Role,
    pub(crate) answer: Answer,
}

/// Which side of the channel a pod is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Sender,
    /// Of the Service of this name.
    Receiver(ReceiverName),
}

/// What came of asking a pod.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Told(Box<Told>),
    /// It did not answer, for this reason.
    Silent(String),
    /// It answered something else.
    Unintelligible(String),
}

/// What a pod tells at `GET /v1/channel`. What it does not know is not there.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Told {
    pub(crate) channel: Option<Which>,
    pub(crate) mode: Option<Mode>,
    pub(crate) observed_generation: Option<i64>,
    pub(crate) in_force_since: Option<Time>,
    pub(crate) drained: Option<bool>,
    pub(crate) unacknowledged: Option<u64>,
    pub(crate) oldest_age: Option<SignedDuration>,
    pub(crate) retransmissions: Option<u64>,
    pub(crate) slowest_caller: Option<SignedDuration>,
    pub(crate) canary: Option<ToldCanary>,
    pub(crate) repaired: Option<ToldRepaired>,
    pub(crate) conditions: Vec<PodCondition>,
}

/// What a sender's pod tells of the share that takes another mode.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ToldCanary {
    /// In hundredths of the requests; none while there was none.
    pub(crate) achieved_percent: Option<f64>,
    pub(crate) requests: u64,
}

/// What a sender's pod tells of loss that was repaired, since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct ToldRepaired {
    pub(crate) events: u64,
    /// By what the last of them had been taken for lost.
    pub(crate) why: String,
}

/// Which Channel a pod follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Which {
    pub(crate) name: String,
    /// Not there if it does not come from the API server.
    #[serde(default)]
    pub(crate) uid: Option<String>,
}

/// A condition as a pod tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct PodCondition {
    pub(crate) r#type: String,
    pub(crate) status: String,
    pub(crate) reason: String,
    /// All reasons, where there are several.
    pub(crate) reasons: Vec<String>,
    pub(crate) message: String,
}

impl PodCondition {
    /// Each reason, the one first that is told first.
    pub(crate) fn all_reasons(&self) -> &[String] {
        match self.reasons.as_slice() {
            [] => std::slice::from_ref(&self.reason),
            all => all,
        }
    }
}

impl Told {
    /// The condition of this type, if it has this status.
    pub(crate) fn condition(&self, r#type: &str, status: &str) -> Option<&PodCondition> {
        let of_type = |condition: &&PodCondition| condition.r#type == r#type;
        self.conditions
            .iter()
            .find(of_type)
            .filter(|found| found.status == status)
    }
}

impl Participant {
    /// What it tells of this Channel; nothing if it follows another.
    pub(crate) fn told(&self, subject: &Subject) -> Option<&Told> {
        let Answer::Told(told) = &self.answer else {
            return None;
        };
        let of = told.channel.as_ref()?;
        (of.name == subject.name).then_some(told)
    }

    pub(crate) fn is_sender(&self) -> bool {
        self.role == Role::Sender
    }

    /// Why the pod does not do what the Channel says, in a word and in a sentence; none if it does.
    pub(crate) fn divergence(
        &self,
        subject: &Subject,
        mode: Mode,
    ) -> Option<(&'static str, String)> {
        let told = match &self.answer {
            Answer::Silent(why) => return Some(("Unreachable", why.clone())),
            Answer::Unintelligible(why) => return Some(("Unintelligible", why.clone())),
            Answer::Told(told) => told,
        };
        let Some(channel) = &told.channel else {
            return Some(("NoChannel", "it has seen no Channel yet".to_owned()));
        };
        if channel.name != subject.name {
            return Some((
                "OtherChannel",
                format!("it follows the Channel {}", channel.name),
            ));
        }
        if channel.uid.as_ref().is_some_and(|uid| *uid != subject.uid) {
            let message = format!("it follows an earlier Channel of the name {}", channel.name);
            return Some(("OtherChannel", message));
        }
        let generation = told.observed_generation.unwrap_or_default();
        if generation < subject.generation {
            if let Some(refused) = told.condition("Accepted", "False") {
                return Some(("Refused", refused.message.clone()));
            }
            let message = format!(
                "generation {generation} is in force there, not {} yet",
                subject.generation
            );
            return Some(("NotFollowing", message));
        }
        match told.mode {
            Some(does) if does == mode => None,
            Some(does) => Some(("NotFollowing", format!("its mode is {does:?}"))),
            None => Some(("NotFollowing", "its mode is not known".to_owned())),
        }
    }
}

/// The participants as status has them. A pod that diverged before for the same reason keeps the time at which that was observed.
pub(crate) fn participants(
    subject: &Subject,
    mode: Mode,
    seen: &[Participant],
    before: Option<&Participants>,
    now: Timestamp,
) -> Participants {
    let mut diverging: Vec<Diverging> = seen
        .iter()
        .filter_map(|participant| {
            let (reason, message) = participant.divergence(subject, mode)?;
            let known = before.and_then(|before| {
                let same =
                    |known: &&Diverging| known.pod == participant.pod && known.reason == reason;
                before.diverging.iter().find(same)
            });
            Some(Diverging {
                pod: participant.pod.clone(),
                reason: reason.to_owned(),
                message: cut(message),
                observed_at: known.map_or(Time(now), |known| known.observed_at.clone()),
            })
        })
        .collect();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let ready = count(seen.len() - diverging.len());
    diverging.sort_by(|a, b| a.pod.cmp(&b.pod));
    diverging.truncate(LISTED);
    Participants {
        ready,
        total: count(seen.len()),
        diverging,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{condition, follower, subject, told};

    #[test]
    fn an_answer_is_read_as_the_pods_write_it() {
        let told: Told = serde_json::from_str(
            r#"{"channel":{"name":"reactions","uid":"u"},"mode":"Sync","observedGeneration":3,"inForceSince":"2026-11-24T12:00:00.123456Z",
                "drained":true,"unacknowledged":7,"oldestAge":"100000s","parked":0,"retransmissions":2,"slowestCaller":"12ms","later":1,
                "canary":{"mode":"Async","percent":20,"achievedPercent":19.5,"requests":200},
                "conditions":[{"type":"Accepted","status":"True","reason":"Valid","message":""}]}"#,
        )
        .unwrap();
        assert_eq!(told.oldest_age, Some(SignedDuration::from_secs(100_000)));
        assert_eq!(told.slowest_caller, Some(SignedDuration::from_millis(12)));
        let canary = told.canary.clone().unwrap();
        assert_eq!(
            (canary.achieved_percent, canary.requests),
            (Some(19.5), 200)
        );
        assert!(told.condition("Accepted", "True").is_some());
        assert_eq!(serde_json::from_str::<Told>("{}").unwrap(), Told::default());
    }

    #[test]
    fn a_pod_that_does_something_else_is_diverging_and_it_is_said_why() {
        type Case = (&'static str, &'static str, fn(&mut Participant));
        let cases: &[Case] = &[
            ("", "", |_| {}),
            ("", "", |p| told(p).observed_generation = Some(4)),
            ("", "", |p| told(p).channel.as_mut().unwrap().uid = None),
            ("Unreachable", "no answer in 1s", |p| {
                p.answer = Answer::Silent("no answer in 1s".to_owned())
            }),
            ("Unintelligible", "404", |p| {
                p.answer = Answer::Unintelligible("404".to_owned())
            }),
            ("NoChannel", "no Channel", |p| told(p).channel = None),
            ("OtherChannel", "others", |p| {
                told(p).channel.as_mut().unwrap().name = "others".to_owned()
            }),
            ("OtherChannel", "earlier", |p| {
                told(p).channel.as_mut().unwrap().uid = Some("uid-0".to_owned())
            }),
            ("NotFollowing", "generation 2", |p| {
                told(p).observed_generation = Some(2)
            }),
            ("NotFollowing", "Sync", |p| told(p).mode = Some(Mode::Sync)),
            ("NotFollowing", "not known", |p| told(p).mode = None),
            ("Refused", "spec.mode is wrong", |p| {
                told(p).observed_generation = Some(2);
                told(p).conditions = vec![condition(
                    "Accepted",
                    "False",
                    "Invalid",
                    "spec.mode is wrong",
                )];
            }),
        ];
        for (reason, message, change) in cases {
            let mut pod = follower("reaction-0", Role::Sender);
            change(&mut pod);
            let (found, said) = pod.divergence(&subject(), Mode::Async).unwrap_or_default();
            assert_eq!(found, *reason, "{said}");
            assert!(said.contains(message), "{said}");
        }
    }

    #[test]
    fn a_divergence_keeps_its_time_while_it_lasts_for_the_same_reason() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut pods = [follower("a", Role::Sender), follower("b", Role::Sender)];
        told(&mut pods[1]).observed_generation = Some(2);
        let first = participants(&subject(), Mode::Async, &pods, None, at(10));
        assert_eq!((first.ready, first.total), (1, 2));
        assert_eq!(first.diverging[0].pod, "b");
        let second = participants(&subject(), Mode::Async, &pods, Some(&first), at(20));
        assert_eq!(second, first);
        pods[1].answer = Answer::Silent("gone".to_owned());
        let third = participants(&subject(), Mode::Async, &pods, Some(&second), at(30));
        assert_eq!(third.diverging[0].observed_at, Time(at(30)));
    }

    /// The API server takes an object of one and a half megabytes at most: a status that it refuses would stay as it was.
    #[test]
    fn however_much_pods_say_status_stays_small() {
        let wordy = |number| {
            let mut pod = follower(&format!("reaction-{number}"), Role::Sender);
            told(&mut pod).observed_generation = Some(2);
            told(&mut pod).conditions = vec![condition(
                "Accepted",
                "False",
                "Invalid",
                &"no ".repeat(20_000),
            )];
            pod
        };
        let pods: Vec<_> = (0..1_000).map(wordy).collect();
        let status = participants(&subject(), Mode::Async, &pods, None, Timestamp::UNIX_EPOCH);
        assert_eq!((status.ready, status.total), (0, 1_000));
        assert!(serde_json::to_vec(&status).unwrap().len() < 100_000);
    }
}
