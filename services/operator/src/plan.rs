//! What is to be done about a Channel: pure.

use duet_channel::transport::ProvisionError;
use duet_channel::transport::jetstream;
use duet_crd::DeletionPolicy;
use k8s_openapi::jiff::SignedDuration;

use crate::broker::{Broker, Wanted};
use crate::observe::{Document, Observed};
use crate::stored::Subject;

/// How long a Channel that is deleted waits for its stream to be removed.
const REMOVAL: SignedDuration = SignedDuration::from_secs(30);

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// Before the broker is asked for anything, so that nothing is left behind that a finalizer should remove.
    pub(crate) finalizer: Option<Finalizer>,
    pub(crate) broker: BrokerPlan,
}

/// What is to be done about the finalizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finalizer {
    Add,
    Remove,
    /// The stream stays although it was to be removed, for this reason.
    GiveUp(String),
}

/// What is to be done at the broker.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum BrokerPlan {
    #[default]
    Nothing,
    /// At least one action.
    Provision(Wanted, jetstream::Plan),
    /// What is there is another's, or can't become what it should be.
    Refuse(ProvisionError),
    Remove(Wanted),
}

/// What is to be done about a Channel that was observed so, and whose deletion, if it is deleted, is known for so long.
pub(crate) fn plan(subject: &Subject, observed: &Observed, deleted_for: SignedDuration) -> Plan {
    match (subject.is_deleted, observed.accepted()) {
        (true, _) => going(subject, observed, deleted_for),
        (false, Some(document)) => in_force(subject, document, &observed.broker),
        // What it made while it was in force is still its own to remove, so a finalizer stays.
        (false, None) => Plan::default(),
    }
}

fn in_force(subject: &Subject, document: &Document, broker: &Broker) -> Plan {
    let wanted = document.wanted.as_ref();
    let wants_finalizer =
        wanted.is_some() && document.spec.deletion_policy == DeletionPolicy::Delete;
    let finalizer = match (wants_finalizer, subject.has_finalizer) {
        (true, false) => Some(Finalizer::Add),
        (false, true) => Some(Finalizer::Remove),
        (true, true) | (false, false) => None,
    };
    let broker = match (wanted, broker) {
        (Some(wanted), Broker::Seen(seen)) => match wanted.plan(seen) {
            Ok(plan) if plan.0.is_empty() => BrokerPlan::Nothing,
            Ok(plan) => BrokerPlan::Provision(wanted.clone(), plan),
            Err(error) => BrokerPlan::Refuse(error),
        },
        _ => BrokerPlan::Nothing,
    };
    Plan { finalizer, broker }
}

/// It is deleted, and waits for its stream to be removed, if it does.
fn going(subject: &Subject, observed: &Observed, deleted_for: SignedDuration) -> Plan {
    if !subject.has_finalizer {
        return Plan::default();
    }
    let remove = |finalizer| Plan {
        finalizer: Some(finalizer),
        ..Plan::default()
    };
    let document = match &observed.document {
        Ok(document) => document,
        Err(problems) => {
            let why = format!("its stream stays: which one it is can't be told: {problems}");
            return remove(Finalizer::GiveUp(why));
        }
    };
    // The last word before it was deleted may have been to keep the stream.
    let deletes = document.spec.deletion_policy == DeletionPolicy::Delete;
    let Some(wanted) = document.wanted.as_ref().filter(|_| deletes) else {
        return remove(Finalizer::Remove);
    };
    let gives_up = |why: &str| {
        remove(Finalizer::GiveUp(format!(
            "stream {} stays: {why}",
            wanted.stream()
        )))
    };
    match &observed.broker {
        Broker::NotNeeded => remove(Finalizer::Remove),
        Broker::NotConfigured => gives_up("this operator knows no broker"),
        Broker::Seen(seen) if !wanted.owns(seen) => remove(Finalizer::Remove),
        Broker::Silent(why) | Broker::Refused(why) | Broker::Denied(why)
            if deleted_for >= REMOVAL =>
        {
            gives_up(why)
        }
        Broker::Seen(_) if deleted_for >= REMOVAL => {
            gives_up("the broker did not remove it in time")
        }
        Broker::Silent(_) | Broker::Refused(_) | Broker::Denied(_) => Plan::default(),
        Broker::Seen(_) => Plan {
            finalizer: None,
            broker: BrokerPlan::Remove(wanted.clone()),
        },
    }
}

#[cfg(test)]
mod tests {
    use duet_crd::Channel;
    use duet_crd::kubernetes::{Over, Rival};

    use super::*;
    use crate::fixtures::{at, observed, provisioned, subject};

    fn text(plan: &Plan) -> String {
        let finalizer = match &plan.finalizer {
            None => String::new(),
            Some(finalizer) => format!("{finalizer:?}; "),
        };
        let broker = match &plan.broker {
            BrokerPlan::Nothing => "nothing".to_owned(),
            BrokerPlan::Provision(_, plan) => {
                let steps: Vec<_> = plan.0.iter().map(ToString::to_string).collect();
                steps.join(", ")
            }
            BrokerPlan::Refuse(error) => format!("refuses: {error}"),
            BrokerPlan::Remove(wanted) => format!("removes {}", wanted.stream()),
        };
        finalizer + &broker
    }

    /// A change to a Channel that is in force and provisioned, and what is planned then.
    type Case = (&'static str, fn(&mut Subject, &mut Observed), &'static str);

    fn rival() -> Rival {
        Rival {
            name: "older".to_owned(),
            over: Over::From("reaction".to_owned()),
        }
    }

    fn deleted(subject: &mut Subject, observed: &mut Observed) {
        delete_policy(observed);
        (subject.has_finalizer, subject.is_deleted) = (true, true);
    }

    fn delete_policy(observed: &mut Observed) {
        observed.document.as_mut().unwrap().spec.deletion_policy = DeletionPolicy::Delete;
    }

    #[test]
    fn what_is_done_follows_from_what_was_observed() {
        let cases: &[Case] = &[
            ("all is as it should be", |_, _| {}, "nothing"),
            (
                "nothing is there",
                |_, o| o.broker = Broker::Seen(Default::default()),
                "stream REACTIONS: made, without its subject yet, consumer notification: made, stream REACTIONS: takes duet.reactions.to.notification",
            ),
            (
                "it drifted",
                |_, o| {
                    o.broker = Broker::Seen(provisioned("demo/reactions", |s| {
                        s.stream.replicas = 3.try_into().unwrap()
                    }))
                },
                "stream REACTIONS: replicas 3 → 1",
            ),
            (
                "it is another's",
                |_, o| o.broker = Broker::Seen(provisioned("other/reactions", |_| {})),
                "refuses: stream REACTIONS belongs to the Channel \"other/reactions\"",
            ),
            (
                "the broker is silent",
                |_, o| o.broker = Broker::Silent("no".to_owned()),
                "nothing",
            ),
            (
                "another is in force",
                |_, o| {
                    o.rival = Some(rival());
                    o.broker = Broker::Seen(Default::default());
                },
                "nothing",
            ),
            ("Delete", |_, o| delete_policy(o), "Add; nothing"),
            (
                "Delete, and nothing is there",
                |_, o| {
                    delete_policy(o);
                    o.broker = Broker::Silent("no".to_owned());
                },
                "Add; nothing",
            ),
            (
                "Delete, and it is known",
                |s, o| {
                    delete_policy(o);
                    s.has_finalizer = true;
                },
                "nothing",
            ),
            (
                "Retain again",
                |s, _| s.has_finalizer = true,
                "Remove; nothing",
            ),
            (
                "deleted, Retain",
                |s, o| {
                    deleted(s, o);
                    s.has_finalizer = false;
                },
                "nothing",
            ),
            ("deleted", |s, o| deleted(s, o), "removes REACTIONS"),
            (
                "deleted at once after Delete became Retain",
                |s, o| {
                    deleted(s, o);
                    o.document.as_mut().unwrap().spec.deletion_policy = DeletionPolicy::Retain;
                },
                "Remove; nothing",
            ),
            (
                "deleted, and what it says makes no sense",
                |s, o| {
                    deleted(s, o);
                    o.document = Err(Channel::from_yaml("").unwrap_err());
                },
                "GiveUp(\"its stream stays: which one it is can't be told: the document is empty\"); nothing",
            ),
            (
                "deleted, though another is in force",
                |s, o| {
                    deleted(s, o);
                    o.rival = Some(rival());
                },
                "removes REACTIONS",
            ),
            (
                "deleted, and removed",
                |s, o| {
                    deleted(s, o);
                    o.broker = Broker::Seen(Default::default());
                },
                "Remove; nothing",
            ),
            (
                "deleted, and it is another's",
                |s, o| {
                    deleted(s, o);
                    o.broker = Broker::Seen(provisioned("other/reactions", |_| {}));
                },
                "Remove; nothing",
            ),
            (
                "deleted, no broker",
                |s, o| {
                    deleted(s, o);
                    o.broker = Broker::NotConfigured;
                },
                "GiveUp(\"stream REACTIONS stays: this operator knows no broker\"); nothing",
            ),
        ];
        for (case, change, expected) in cases {
            let (mut subject, mut observed) = (subject(), observed(at(1_000)));
            change(&mut subject, &mut observed);
            let plan = plan(&subject, &observed, SignedDuration::ZERO);
            assert_eq!(text(&plan), *expected, "{case}");
        }
    }

    #[test]
    fn a_channel_that_is_deleted_waits_thirty_seconds_for_its_stream_to_go() {
        let silent = || Broker::Silent("no answer".to_owned());
        let ours = || observed(at(0)).broker;
        for (seconds, broker, expected) in [
            (29, silent(), "nothing"),
            (29, ours(), "removes REACTIONS"),
            (
                30,
                silent(),
                "GiveUp(\"stream REACTIONS stays: no answer\"); nothing",
            ),
            (
                30,
                ours(),
                "GiveUp(\"stream REACTIONS stays: the broker did not remove it in time\"); nothing",
            ),
        ] {
            let (mut subject, mut observed) = (subject(), observed(at(0)));
            deleted(&mut subject, &mut observed);
            observed.broker = broker;
            let plan = plan(&subject, &observed, SignedDuration::from_secs(seconds));
            assert_eq!(text(&plan), expected, "{seconds}");
        }
    }
}
