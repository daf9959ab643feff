//! What every transport with a broker promises.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use async_trait::async_trait;
use duet_channel::transport::conformance::BrokerSubject;
use duet_channel::transport::jetstream::{
    JetStreamConsume, JetStreamProvision, JetStreamPublish, Nats, ensure,
};
use duet_channel::transport::spans::Observer;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::settings::{ConsumerSettings, JetStreamSettings, Storage, StreamSettings};
use duet_testkit::NatsServer;

use crate::observer;

/// A nats-server of the test's own, and one connection for both halves.
struct JetStream {
    server: NatsServer,
    nats: Nats,
    observer: Observer,
}

pub(crate) fn receivers() -> Vec<ReceiverName> {
    vec![ReceiverName::new("notification").unwrap()]
}

pub(crate) fn settings() -> JetStreamSettings {
    JetStreamSettings {
        stream: StreamSettings {
            name: "REACTIONS".to_owned(),
            subject: "duet.reactions".to_owned(),
            replicas: NonZeroU32::MIN,
            storage: Storage::File,
            max_bytes: NonZeroU64::new(64 << 20).unwrap(),
            max_age: Duration::from_secs(3600),
            duplicate_window: Duration::from_secs(120),
        },
        consumer: ConsumerSettings {
            ack_wait: JetStream::ACK_WAIT,
            max_ack_pending: NonZeroU32::new(4096).unwrap(),
        },
    }
}

/// How often a consumer is looked at: never, in tests that are not about that.
pub(super) const WATCHDOG: Duration = Duration::from_secs(600);

impl JetStream {
    async fn start() -> Self {
        let server = NatsServer::start().await;
        let nats = Nats::connect(&server.url(), "test", None).await.unwrap();
        JetStream {
            server,
            nats,
            observer: observer(),
        }
    }
}

#[async_trait]
impl BrokerSubject for JetStream {
    type Publish = JetStreamPublish;
    type Consume = JetStreamConsume;

    const ACK_WAIT: Duration = Duration::from_secs(1);

    async fn provision(&self) -> usize {
        let provision =
            JetStreamProvision::new(self.nats.clone(), "reactions", settings(), receivers());
        loop {
            match ensure(&provision).await {
                Ok(provisioned) => return provisioned.steps.0.len(),
                Err(duet_channel::transport::ProvisionError::Unreachable(_)) => {
                    tokio::time::sleep(Duration::from_millis(20)).await
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn publish(&self) -> JetStreamPublish {
        JetStreamPublish::new(
            self.nats.clone(),
            &settings(),
            receivers().remove(0),
            self.observer.clone(),
        )
    }

    async fn consume(&self) -> JetStreamConsume {
        JetStreamConsume::new(
            self.nats.clone(),
            &settings(),
            receivers().remove(0),
            self.observer.clone(),
            WATCHDOG,
        )
    }

    async fn kill(&mut self) {
        self.server.kill();
    }

    async fn restart(&mut self) {
        self.server.restart().await;
    }

    async fn wipe(&mut self) {
        self.server.wipe();
    }
}

duet_channel::broker_conformance!(JetStream::start().await);
