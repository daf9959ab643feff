use duet_channel::transport::Holder;
use duet_crd::Mode;
use duet_crd::kubernetes::Rival;
use duet_protocol::sender::BrokerPlace;

use super::*;
use crate::fixtures::{at, condition, done, follower, observed, provisioned, subject, told};
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
                    let document = o.document.as_mut().unwrap();
                    document.spec.mode = Mode::Sync;
                    document.settings.mode = settings::Mode::Sync;
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
                "a stranger holds messages",
                |o, _| {
                    let mut seen = provisioned("demo/reactions", |_| {});
                    seen.strangers.push(Holder {
                        name: "stranger".to_owned(),
                        ack_floor: BrokerPlace(3),
                        holds: 7,
                    });
                    o.broker = Broker::Seen(seen);
                },
                "True ForeignConsumer: consumers that are not Duet's keep messages of the stream, until it is full: stranger",
            ),
            (
                "silent",
                |o, _| o.broker = Broker::Silent("no answer in 1 s".to_owned()),
                "Unknown NoAnswer: the broker does not answer: no answer in 1 s",
            ),
            (
                "the login is refused",
                |o, _| o.broker = Broker::Refused("the password is wrong".to_owned()),
                "False LoginRefused: the password is wrong",
            ),
            (
                "a right is lacking",
                |o, _| o.broker = Broker::Denied("it denies a.b".to_owned()),
                "False BrokerDenies: it denies a.b",
            ),
            (
                "a right is lacking to change it",
                |_, done| done.broker = Err(ProvisionError::Denied("it denies a.b".into())),
                "False BrokerDenies: it denies a.b",
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
                "a store was restored",
                |o, _| {
                    told(&mut pods(o)[0]).conditions = vec![condition(
                        DEGRADED,
                        "True",
                        "SenderRegressed",
                        "notification holds what this store never sent",
                    )]
                },
                "True SenderRegressed: reaction-0: notification holds what this store never sent",
            ),
            (
                "a resync heals it",
                |o, _| {
                    told(&mut pods(o)[0]).conditions = vec![condition(
                        DEGRADED,
                        "True",
                        "Resyncing",
                        "a resync is under way",
                    )]
                },
                "True Resyncing: reaction-0: a resync is under way",
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

#[test]
fn what_keeps_events_waiting_keeps_a_channel_from_being_ready() {
    let mut observed = observed(at(0));
    let pods = observed.participants.as_mut().unwrap();
    told(&mut pods[0]).conditions = vec![condition(DEGRADED, "True", "NotApplied", "refused")];
    let conditions = conditions(&subject(), &observed, &done(), &[]);
    let ready = find(&conditions, READY).unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "NotApplied")
    );
    assert!(ready.message.contains("refused"), "{}", ready.message);
}

#[test]
fn what_should_be_looked_at_while_events_flow_keeps_no_channel_from_being_ready() {
    let ready = |said: &[&str]| {
        let mut observed = observed(at(0));
        let pods = observed.participants.as_mut().unwrap();
        for (pod, reason) in pods.iter_mut().zip(said) {
            told(pod).conditions = vec![condition(DEGRADED, "True", reason, "why")];
        }
        let conditions = conditions(&subject(), &observed, &done(), &[]);
        let degraded = find(&conditions, DEGRADED).unwrap();
        assert_eq!(degraded.status, "True", "{said:?}");
        let ready = find(&conditions, READY).unwrap();
        (ready.status.clone(), ready.reason.clone())
    };
    let of = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
    for reason in EVENTS_FLOW {
        assert_eq!(ready(&[reason]), of("True", "Following"), "{reason}");
    }
    assert_eq!(
        ready(&["SenderRegressed", "ParkedFull"]),
        of("False", "ParkedFull")
    );
    // One pod's first reason does not hide what keeps events waiting there.
    let mut observed = observed(at(0));
    let sender = told(&mut observed.participants.as_mut().unwrap()[0]);
    sender.conditions = vec![condition(DEGRADED, "True", "SenderRegressed", "why")];
    sender.conditions[0].reasons = ["SenderRegressed", "NoAnswer"].map(str::to_owned).into();
    let conditions = conditions(&subject(), &observed, &done(), &[]);
    let told = |r#type| find(&conditions, r#type).map(|it| (&*it.status, &*it.reason));
    assert_eq!(told(READY), Some(("False", "NoAnswer")));
    assert_eq!(told(DEGRADED), Some(("True", "SenderRegressed")));
}
