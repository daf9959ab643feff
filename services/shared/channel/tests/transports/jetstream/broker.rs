//! What only JetStream promises.

use std::num::NonZeroU64;
use std::time::Duration;

use async_nats::HeaderMap;
use duet_channel::transport::conformance::Events;
use duet_channel::transport::jetstream::{
    JetStreamConsume, JetStreamProvision, JetStreamPublish, Nats, ensure,
};
use duet_channel::transport::{
    Batch, Consume, Consumed, Incoming, Outgoing, Provision, ProvisionError, Publish, PublishError,
    Urgency,
};
use duet_protocol::event::Event;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::sender::{Backlog, BrokerPlace};
use duet_protocol::settings::{JetStreamSettings, Storage};
use duet_testkit::{NatsServer, NatsStorage, until};
use futures::StreamExt;

use super::conformance::{WATCHDOG, receivers, settings};
use crate::observer;

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Broker {
    server: NatsServer,
    nats: Nats,
    settings: JetStreamSettings,
}

impl Broker {
    pub(super) async fn start(settings: JetStreamSettings) -> Self {
        Broker::on(NatsServer::start().await, settings).await
    }

    pub(super) async fn on(server: NatsServer, settings: JetStreamSettings) -> Self {
        let nats = Nats::connect(&server.url(), "test", None).await.unwrap();
        let broker = Broker {
            server,
            nats,
            settings,
        };
        until(PATIENCE, || async {
            ensure(&broker.provision("reactions")).await
        })
        .await;
        broker
    }

    /// A client of the test's own.
    pub(super) async fn client(&self) -> async_nats::Client {
        self.server.client().await
    }

    /// Its storage as it is now. It is restarted for that.
    pub(super) async fn stopped_storage(&mut self) -> NatsStorage {
        self.server.kill();
        let storage = self.server.storage();
        self.server.restart().await;
        assert!(self.nats.connected_within(PATIENCE).await);
        storage
    }

    pub(super) async fn put_back(&mut self, storage: &NatsStorage) {
        self.server.kill();
        self.server.put_back(storage);
        self.server.restart().await;
    }

    pub(super) fn provision(&self, channel: &str) -> JetStreamProvision {
        JetStreamProvision::new(
            self.nats.clone(),
            channel,
            self.settings.clone(),
            receivers(),
        )
    }

    pub(super) fn publish(&self) -> JetStreamPublish {
        JetStreamPublish::new(
            self.nats.clone(),
            &self.settings,
            receivers().remove(0),
            observer(),
        )
    }

    pub(super) async fn consume(&self) -> JetStreamConsume {
        self.consume_watched(WATCHDOG).await
    }

    pub(super) async fn consume_watched(&self, every: Duration) -> JetStreamConsume {
        let mut consume = JetStreamConsume::new(
            self.nats.clone(),
            &self.settings,
            receivers().remove(0),
            observer(),
            every,
        );
        consume.start(None).await.unwrap();
        consume
    }
}

pub(super) fn batch(event: &Event) -> Batch {
    Batch {
        events: vec![Outgoing {
            event: event.clone().into(),
            late: false,
        }],
        urgency: Urgency::Background,
    }
}

pub(super) async fn consumed(consume: &mut JetStreamConsume) -> Consumed {
    match tokio::time::timeout(PATIENCE, consume.next())
        .await
        .expect("something comes")
        .unwrap()
    {
        Incoming::Messages(consumed) => consumed,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_publish_that_is_repeated_under_its_name_is_stored_once_and_a_retransmission_again() {
    let broker = Broker::start(settings()).await;
    let publish = broker.publish();
    let mut events = Events::of(1);
    let event = events.one();
    let id = events.message(std::slice::from_ref(&event));
    let first = publish.publish(id, &batch(&event)).await.unwrap();
    assert_eq!(publish.publish(id, &batch(&event)).await.unwrap(), first);
    let retransmission = events.message(std::slice::from_ref(&event));
    assert!(
        publish
            .publish(retransmission, &batch(&event))
            .await
            .unwrap()
            > first
    );
    assert_eq!(
        consumed(&mut broker.consume().await).await.events,
        [event.clone(), event]
    );
}

#[tokio::test]
async fn a_full_stream_pushes_back_until_there_is_room_again() {
    let mut small = settings();
    small.stream.max_bytes = NonZeroU64::new(1 << 20).unwrap();
    let broker = Broker::start(small).await;
    let publish = broker.publish();
    let mut events = Events::of(1);
    let mut refused = None;
    for _ in 0..20 {
        let event = events.sized(100 * 1024);
        let id = events.message(std::slice::from_ref(&event));
        if let Err(error) = publish.publish(id, &batch(&event)).await {
            refused = Some((id, event, error));
            break;
        }
    }
    let (id, event, error) = refused.expect("20 times 100 KiB don't fit");
    assert!(matches!(error, PublishError::Full(_)), "{error:?}");
    let mut consume = broker.consume().await;
    let position = consumed(&mut consume).await.position;
    consume.settle(&position).await.unwrap();
    let batch = batch(&event);
    until(PATIENCE, || publish.publish(id, &batch)).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_told_with_its_place_and_holds_nothing_up() {
    let broker = Broker::start(settings()).await;
    let client = async_nats::jetstream::new(broker.server.client().await);
    let publish = broker.publish();
    let mut events = Events::of(1);
    let mut foreign = HeaderMap::new();
    foreign.insert("ce-specversion", "1.0");
    let nonsense = [
        (HeaderMap::new(), b"hello".to_vec()),
        (foreign, b"{}".to_vec()),
        (HeaderMap::new(), vec![b'x'; 100 * 1024]),
    ];
    for (headers, payload) in nonsense {
        let stored =
            client.publish_with_headers("duet.reactions.to.notification", headers, payload.into());
        stored.await.unwrap().await.unwrap();
    }
    let event = events.one();
    publish
        .publish(events.message(std::slice::from_ref(&event)), &batch(&event))
        .await
        .unwrap();

    let mut consume = broker.consume().await;
    let (mut undecodable, mut arrived) = (Vec::new(), Vec::new());
    while arrived.is_empty() {
        let consumed = consumed(&mut consume).await;
        undecodable.extend(consumed.undecodable);
        arrived.extend(consumed.events);
        consume.settle(&consumed.position).await.unwrap();
    }
    assert_eq!(arrived, [event]);
    let places: Vec<BrokerPlace> = undecodable.iter().map(|bad| bad.place).collect();
    assert_eq!(places, [1, 2, 3].map(BrokerPlace));
    assert_eq!(
        (&undecodable[0].payload[..], undecodable[2].payload.len()),
        (&b"hello"[..], 64 * 1024)
    );
    assert!(
        undecodable[1].cause.contains("source"),
        "{}",
        undecodable[1].cause
    );
}

#[tokio::test]
async fn one_event_travels_in_binary_mode_for_anyone_to_read() {
    let broker = Broker::start(settings()).await;
    let client = broker.server.client().await;
    let mut heard = client
        .subscribe("duet.reactions.to.notification")
        .await
        .unwrap();
    // An answer of the server's means that it has the subscription.
    async_nats::jetstream::new(client)
        .query_account()
        .await
        .unwrap();
    let mut events = Events::of(0xfeed);
    let event = events.one();
    let id = events.message(std::slice::from_ref(&event));
    broker.publish().publish(id, &batch(&event)).await.unwrap();

    let message = heard.next().await.unwrap();
    let headers = message.headers.unwrap();
    let header = |name: &str| headers.get(name).unwrap().as_str().to_owned();
    assert_eq!(header("ce-specversion"), "1.0");
    assert_eq!(header("ce-source"), event.source.to_string());
    assert_eq!(header("ce-subject"), "post%20%221%22/1");
    assert_eq!(header("ce-traceparent"), *event.trace.traceparent);
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("Nats-Msg-Id"), id.to_string());
    assert_eq!(message.payload, event.data().unwrap().json);
}

#[tokio::test]
async fn a_broker_that_hangs_leaves_the_outcome_unknown_and_says_nothing_of_its_backlog() {
    let broker = Broker::start(settings()).await;
    let publish = broker.publish();
    let mut events = Events::of(1);
    let event = events.one();
    let (batch, id) = (batch(&event), events.message(std::slice::from_ref(&event)));
    broker.server.pause();
    // The signal takes a moment; until then the broker answers.
    until(PATIENCE, || async {
        let (published, backlog) = tokio::join!(publish.publish(id, &batch), publish.backlog());
        match (&published, backlog) {
            (Err(PublishError::Unknown(_)), Backlog::Away) => Ok(()),
            _ => Err(format!("{published:?}, {backlog:?}")),
        }
    })
    .await;
    broker.server.resume();
    until(PATIENCE, || publish.publish(id, &batch)).await;
    assert_eq!(consumed(&mut broker.consume().await).await.events, [event]);
}

#[tokio::test]
async fn a_consumer_or_stream_that_is_deleted_ends_consuming_with_an_error() {
    let broker = Broker::start(settings()).await;
    let jetstream = async_nats::jetstream::new(broker.server.client().await);
    for is_stream in [false, true] {
        let mut consume = broker.consume().await;
        let deleting = async {
            // The question for messages has to stand before.
            until(PATIENCE, || async {
                let info = jetstream
                    .get_stream("REACTIONS")
                    .await
                    .unwrap()
                    .consumer_info("notification")
                    .await
                    .unwrap();
                (info.num_waiting > 0).then_some(()).ok_or("nobody waits")
            })
            .await;
            if is_stream {
                jetstream.delete_stream("REACTIONS").await.unwrap();
            } else {
                jetstream
                    .get_stream("REACTIONS")
                    .await
                    .unwrap()
                    .delete_consumer("notification")
                    .await
                    .unwrap();
            }
        };
        let (next, ()) = tokio::join!(tokio::time::timeout(PATIENCE, consume.next()), deleting);
        let error = next.expect("it is noticed").unwrap_err();
        assert!(
            error.to_string().contains("deleted") || error.to_string().contains("no such"),
            "{error}"
        );
        ensure(&broker.provision("reactions")).await.unwrap();
        consume.start(None).await.unwrap();
    }
}

#[tokio::test]
async fn another_channels_stream_is_left_alone() {
    let broker = Broker::start(settings()).await;
    let error = ensure(&broker.provision("others")).await.unwrap_err();
    assert!(
        matches!(&error, ProvisionError::Conflict(cause) if cause.contains("reactions")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_stream_is_removed_by_its_own_channel_and_once() {
    let broker = Broker::start(settings()).await;
    let error = broker.provision("others").remove().await.unwrap_err();
    assert!(matches!(error, ProvisionError::Conflict(_)), "{error:?}");
    let ours = broker.provision("reactions");
    assert_eq!(
        ours.remove().await.unwrap().0,
        ["stream REACTIONS: removed"]
    );
    assert_eq!(ours.observe().await.unwrap().stream, None);
    assert!(ours.remove().await.unwrap().0.is_empty());
}

#[tokio::test]
async fn the_consumer_of_a_receiver_that_left_is_removed_and_a_strangers_stays() {
    let broker = Broker::start(settings()).await;
    let stays = receivers()[..1].to_vec();
    let provision = |receivers| {
        JetStreamProvision::new(broker.nats.clone(), "reactions", settings(), receivers)
    };
    let joined = ReceiverName::new("joined").unwrap();
    let with_it = [&stays[..], &[joined]].concat();
    ensure(&provision(with_it)).await.unwrap();
    let context =
        async_nats::jetstream::new(async_nats::connect(broker.server.url()).await.unwrap());
    let stream = context.get_stream("REACTIONS").await.unwrap();
    let strangers = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("stranger".to_owned()),
        ..Default::default()
    };
    stream.create_consumer(strangers).await.unwrap();

    let some = ensure(&provision(stays.clone())).await.unwrap();
    assert_eq!(
        some.steps.0, [""; 0],
        "one that knows only itself removes nobody"
    );
    let all = provision(stays).of_all_receivers();
    assert_eq!(
        ensure(&all).await.unwrap().steps.0,
        [
            "stream REACTIONS: takes duet.reactions.to.notification",
            "consumer joined: removed, for it is no receiver any more"
        ]
    );
    assert_eq!(all.observe().await.unwrap().left_behind, [""; 0]);
    assert!(stream.consumer_info("stranger").await.is_ok());
}

#[tokio::test]
async fn a_stream_with_another_name_takes_the_subject_and_a_strangers_on_it_stays() {
    let broker = Broker::start(settings()).await;
    let named = |name: &str, channel: &str| {
        let mut settings = settings();
        settings.stream.name = name.to_owned();
        JetStreamProvision::new(broker.nats.clone(), channel, settings, receivers())
    };
    ensure(&named("OLD", "reactions")).await.unwrap();
    let steps = ensure(&named("NEW", "reactions")).await.unwrap().steps.0;
    assert_eq!(
        steps[..2],
        [
            "stream OLD: removed, for it has another name now",
            "stream NEW: made, without its subject yet",
        ]
    );
    assert_eq!(
        ensure(&named("NEW", "reactions")).await.unwrap().steps.0,
        [""; 0]
    );
    // Another channel's is left alone, and the server says what is wrong.
    let refused = ensure(&named("THEIRS", "others")).await.unwrap_err();
    assert!(matches!(refused, ProvisionError::Refused(_)), "{refused:?}");
    assert!(
        named("NEW", "reactions")
            .observe()
            .await
            .unwrap()
            .is_of("reactions")
    );
}

#[tokio::test]
async fn what_a_consumers_removal_left_on_its_subject_is_dropped_and_nothing_else() {
    let broker = Broker::start(settings()).await;
    let stays = receivers();
    let both = [&stays[..], &[ReceiverName::new("joined").unwrap()]].concat();
    let provision = |receivers| {
        JetStreamProvision::new(broker.nats.clone(), "reactions", settings(), receivers)
            .of_all_receivers()
    };
    ensure(&provision(both.clone())).await.unwrap();
    let context =
        async_nats::jetstream::new(async_nats::connect(broker.server.url()).await.unwrap());
    // A stranger's interest keeps what the consumer's removal would have dropped.
    let stream = context.get_stream("REACTIONS").await.unwrap();
    let strangers = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("stranger".to_owned()),
        ..Default::default()
    };
    stream.create_consumer(strangers).await.unwrap();
    for receiver in both {
        let on = format!("duet.reactions.to.{receiver}");
        context.publish(on, "".into()).await.unwrap().await.unwrap();
    }
    assert_eq!(
        ensure(&provision(stays)).await.unwrap().steps.0,
        [
            "stream REACTIONS: takes duet.reactions.to.notification",
            "consumer joined: removed, for it is no receiver any more",
            "messages on duet.reactions.to.joined: dropped, for nobody takes them any more",
        ]
    );
    let left = stream.get_info().await.unwrap().state;
    assert_eq!((left.messages, left.first_sequence), (1, 1));
}

#[tokio::test]
async fn what_a_consumer_has_not_settled_is_observed() {
    let broker = Broker::start(settings()).await;
    let unsettled = async || {
        let observed = broker.provision("reactions").observe().await.unwrap();
        observed.unsettled[&receivers()[0]]
    };
    let publish = broker.publish();
    let mut events = Events::of(1);
    for _ in 0..3 {
        let event = events.one();
        let id = events.message(std::slice::from_ref(&event));
        publish.publish(id, &batch(&event)).await.unwrap();
    }
    assert_eq!(unsettled().await, 3);
    let mut consume = broker.consume().await;
    let position = consumed(&mut consume).await.position;
    consume.settle(&position).await.unwrap();
    until(PATIENCE, || async {
        match unsettled().await {
            3 => Err("nothing is settled yet"),
            fewer => Ok(fewer),
        }
    })
    .await;
}

#[tokio::test]
async fn drift_is_corrected_and_what_cannot_be_is_a_conflict() {
    let mut broker = Broker::start(settings()).await;
    broker.settings.stream.max_bytes = NonZeroU64::new(32 << 20).unwrap();
    broker.settings.consumer.ack_wait = Duration::from_secs(7);
    let steps = ensure(&broker.provision("reactions")).await.unwrap().steps;
    assert_eq!(
        steps.0,
        [
            "stream REACTIONS: maxBytes 67108864 → 33554432",
            "consumer notification: ackWait 1s → 7s"
        ]
    );
    assert!(
        broker
            .provision("reactions")
            .plan(&broker.provision("reactions").observe().await.unwrap())
            .unwrap()
            .0
            .is_empty()
    );
    broker.settings.stream.subject = "duet.moved".to_owned();
    assert_eq!(
        ensure(&broker.provision("reactions"))
            .await
            .unwrap()
            .steps
            .0,
        [
            "consumer notification: filterSubject \"duet.reactions.to.notification\" → \"duet.moved.to.notification\"",
            "stream REACTIONS: takes duet.moved.to.notification"
        ]
    );
    broker.settings.stream.storage = Storage::Memory;
    assert!(matches!(
        ensure(&broker.provision("reactions")).await,
        Err(ProvisionError::Conflict(_))
    ));
}

#[tokio::test]
async fn several_may_provision_at_once() {
    let server = NatsServer::start().await;
    let nats = Nats::connect(&server.url(), "test", None).await.unwrap();
    let broker = Broker {
        server,
        nats,
        settings: settings(),
    };
    let each = (0..8).map(|_| async {
        let provision = broker.provision("reactions");
        until(PATIENCE, || ensure(&provision)).await
    });
    futures::future::join_all(each).await;
    let observed = broker.provision("reactions").observe().await.unwrap();
    assert!(
        broker
            .provision("reactions")
            .plan(&observed)
            .unwrap()
            .0
            .is_empty()
    );
}
