use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy};
use async_nats::jetstream::stream::{DiscardPolicy, RetentionPolicy, StorageType};
use duet_protocol::settings::{ConsumerSettings, Storage, StreamSettings};

use super::plan::plan;
use super::*;

fn settings() -> JetStreamSettings {
    JetStreamSettings {
        stream: StreamSettings {
            name: "REACTIONS".to_owned(),
            subject: "duet.reactions".to_owned(),
            replicas: NonZeroU32::MIN,
            storage: Storage::File,
            max_bytes: NonZeroU64::new(1 << 30).unwrap(),
            max_age: Duration::from_secs(72 * 3600),
            duplicate_window: Duration::from_secs(120),
        },
        consumer: ConsumerSettings {
            ack_wait: Duration::from_secs(30),
            max_ack_pending: NonZeroU32::new(4096).unwrap(),
        },
    }
}

fn receivers() -> Vec<ReceiverName> {
    ["notification", "trending"]
        .map(|name| ReceiverName::new(name).unwrap())
        .to_vec()
}

fn planned(observed: &Observed) -> Result<Vec<String>, ProvisionError> {
    let plan = plan("reactions", &settings(), &receivers(), observed)?;
    Ok(plan.0.iter().map(Action::to_string).collect())
}

/// What there is after everything that is planned for nothing was done.
fn provisioned() -> Observed {
    let mut observed = Observed::default();
    for action in plan("reactions", &settings(), &receivers(), &observed)
        .unwrap()
        .0
    {
        match action {
            Action::CreateStream(config)
            | Action::UpdateStream { config, .. }
            | Action::TakeSubject(config) => observed.stream = Some(*config),
            Action::PutConsumer { config, .. } => {
                let name = ReceiverName::new(config.durable_name.as_deref().unwrap()).unwrap();
                observed.consumers.insert(name, *config);
            }
            other => unreachable!("{other}"),
        }
    }
    observed
}

#[test]
fn a_stream_takes_its_subject_after_its_consumers_are_there() {
    assert_eq!(
        planned(&Observed::default()).unwrap(),
        [
            "stream REACTIONS: made, without its subject yet",
            "consumer notification: made",
            "consumer trending: made",
            "stream REACTIONS: takes duet.reactions.to.notification, duet.reactions.to.trending",
        ]
    );
}

#[test]
fn a_stream_that_has_another_name_now_goes_before_the_new_one_is_made() {
    let observed = Observed {
        renamed: vec!["OLD".to_owned()],
        ..Observed::default()
    };
    let planned = planned(&observed).unwrap();
    assert_eq!(
        planned[..2],
        [
            "stream OLD: removed, for it has another name now",
            "stream REACTIONS: made, without its subject yet",
        ]
    );
}

#[test]
fn what_is_provisioned_is_as_designed() {
    let Observed {
        stream, consumers, ..
    } = provisioned();
    let stream = stream.unwrap();
    assert_eq!(
        (stream.retention, stream.discard),
        (RetentionPolicy::Interest, DiscardPolicy::New)
    );
    assert_eq!(
        (stream.max_bytes, stream.max_age),
        (1 << 30, Duration::from_secs(72 * 3600))
    );
    assert_eq!(
        stream.subjects,
        [
            "duet.reactions.to.notification",
            "duet.reactions.to.trending"
        ]
    );
    assert_eq!(
        consumers[&receivers()[1]].filter_subject,
        "duet.reactions.to.trending"
    );
    assert_eq!(stream.metadata[OWNER], "reactions");
    for consumer in consumers.values() {
        assert_eq!(
            (consumer.ack_policy, consumer.deliver_policy),
            (AckPolicy::Explicit, DeliverPolicy::All)
        );
        assert_eq!(
            (consumer.ack_wait, consumer.max_ack_pending),
            (Duration::from_secs(30), 4096)
        );
        assert_eq!((consumer.max_deliver, consumer.backoff.len()), (-1, 0));
    }
}

/// A change to what is provisioned, and what is planned then.
type Case = (&'static str, fn(&mut Observed), &'static [&'static str]);

#[test]
fn drift_is_corrected_and_what_is_not_ours_to_say_stays() {
    fn stream(observed: &mut Observed) -> &mut stream::Config {
        observed.stream.as_mut().unwrap()
    }
    fn consumer(observed: &mut Observed) -> &mut consumer::Config {
        observed
            .consumers
            .get_mut(&ReceiverName::new("notification").unwrap())
            .unwrap()
    }
    let cases: &[Case] = &[
        ("nothing", |_| {}, &[]),
        (
            "a description",
            |o| stream(o).description = Some("ours".to_owned()),
            &[],
        ),
        (
            "a consumer's description",
            |o| consumer(o).description = Some("ours".to_owned()),
            &[],
        ),
        (
            "a receiver that is none any more",
            |o| o.left_behind.push("nowhere".to_owned()),
            &["consumer nowhere: removed, for it is no receiver any more"],
        ),
        (
            "less room",
            |o| stream(o).max_bytes = 1,
            &["stream REACTIONS: maxBytes 1 → 1073741824"],
        ),
        (
            "discard",
            |o| stream(o).discard = DiscardPolicy::Old,
            &["stream REACTIONS: discard Old → New"],
        ),
        (
            "ages",
            |o| {
                stream(o).max_age = Duration::ZERO;
                stream(o).duplicate_window = Duration::from_secs(1);
            },
            &["stream REACTIONS: maxAge 0ns → 259200s, duplicateWindow 1s → 120s"],
        ),
        (
            "replicas",
            |o| stream(o).num_replicas = 3,
            &["stream REACTIONS: replicas 3 → 1"],
        ),
        (
            "another subject",
            |o| stream(o).subjects = vec!["else".to_owned()],
            &["stream REACTIONS: takes duet.reactions.to.notification, duet.reactions.to.trending"],
        ),
        (
            "another receiver, of whom this process may not know",
            |o| {
                stream(o)
                    .subjects
                    .push("duet.reactions.to.zebra".to_owned())
            },
            &[],
        ),
        (
            "a receiver that left",
            |o| {
                stream(o)
                    .subjects
                    .push("duet.reactions.to.zebra".to_owned());
                o.left_behind = vec!["zebra".to_owned()];
                o.stranded = vec!["duet.reactions.to.zebra".to_owned()];
                o.are_all = true;
            },
            &[
                "stream REACTIONS: takes duet.reactions.to.notification, duet.reactions.to.trending",
                "consumer zebra: removed, for it is no receiver any more",
                "messages on duet.reactions.to.zebra: dropped, for nobody takes them any more",
            ],
        ),
        (
            "a half-made stream",
            |o| {
                stream(o).subjects = vec!["duet.reactions.unused".to_owned()];
                o.consumers.clear();
            },
            &[
                "consumer notification: made",
                "consumer trending: made",
                "stream REACTIONS: takes duet.reactions.to.notification, duet.reactions.to.trending",
            ],
        ),
        (
            "a consumer gone",
            |o| drop(o.consumers.remove(&ReceiverName::new("trending").unwrap())),
            &["consumer trending: made"],
        ),
        (
            "ackWait",
            |o| consumer(o).ack_wait = Duration::from_secs(1),
            &["consumer notification: ackWait 1s → 30s"],
        ),
        (
            "a limit on deliveries",
            |o| {
                consumer(o).max_deliver = 5;
                consumer(o).backoff = vec![Duration::from_secs(1)];
            },
            &["consumer notification: maxDeliver 5 → -1, backoff [1s] → []"],
        ),
        (
            "another retention",
            |o| stream(o).retention = RetentionPolicy::Limits,
            &["stream REACTIONS: retention Limits → Interest"],
        ),
        (
            "few and small messages, and no word of their being stored",
            |o| {
                stream(o).max_messages = 3;
                stream(o).max_messages_per_subject = 2;
                stream(o).max_message_size = 1;
                stream(o).no_ack = true;
            },
            &[
                "stream REACTIONS: maxMsgs 3 → -1, maxMsgsPerSubject 2 → -1, maxMsgSize 1 → -1, noAck true → false",
            ],
        ),
        (
            "other filters, and only headers",
            |o| {
                consumer(o).filter_subjects = vec!["a".to_owned(), "b".to_owned()];
                consumer(o).headers_only = true;
                consumer(o).max_batch = 1;
            },
            &[
                "consumer notification: filterSubjects [\"a\", \"b\"] → [], headersOnly true → false, maxBatch 1 → 0",
            ],
        ),
        (
            "a pause",
            |o| assert!(o.paused.insert(ReceiverName::new("trending").unwrap())),
            &["consumer trending: paused, resumed"],
        ),
        (
            "a consumer that pushes and asks for no answer",
            |o| {
                consumer(o).deliver_subject = Some("x".to_owned());
                consumer(o).ack_policy = AckPolicy::None;
            },
            &[
                "consumer notification: made anew, for deliverSubject Some(\"x\") → None, ackPolicy None → Explicit",
            ],
        ),
        (
            "a consumer of what is new",
            |o| consumer(o).deliver_policy = DeliverPolicy::New,
            &["consumer notification: made anew, for deliverPolicy New → All"],
        ),
    ];
    for (change, apply, expected) in cases {
        let mut observed = provisioned();
        apply(&mut observed);
        assert_eq!(planned(&observed).unwrap(), *expected, "{change}");
    }
}

/// What is said, and the change to what is provisioned that it is said of.
type Conflicting = (&'static str, fn(&mut Observed));

#[test]
fn what_is_anothers_or_cannot_be_changed_is_a_conflict() {
    let cases: &[Conflicting] = &[
        ("belongs to the Channel \"other\"", |o| {
            o.stream
                .as_mut()
                .unwrap()
                .metadata
                .insert(OWNER.to_owned(), "other".to_owned());
        }),
        ("was not made for a Channel", |o| {
            o.stream.as_mut().unwrap().metadata.clear()
        }),
        ("has storage Memory", |o| {
            o.stream.as_mut().unwrap().storage = StorageType::Memory
        }),
        ("has retention WorkQueue", |o| {
            o.stream.as_mut().unwrap().retention = RetentionPolicy::WorkQueue
        }),
        ("is sealed", |o| o.stream.as_mut().unwrap().sealed = true),
    ];
    for (cause, apply) in cases {
        let mut observed = provisioned();
        apply(&mut observed);
        match planned(&observed) {
            Err(ProvisionError::Conflict(said)) => assert!(said.contains(cause), "{said}"),
            other => panic!("{cause}: {other:?}"),
        }
    }
}
