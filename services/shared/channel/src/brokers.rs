//! The brokers that this build knows, made from the settings: the one place that a new broker's transport is named in.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::settings::{Settings, TransportSettings};

use crate::receiver::BrokerSide;
use crate::sender::MakeBroker;
use crate::transport::jetstream::{
    JetStreamConsume, JetStreamProvision, JetStreamPublish, Nats, ensure,
};
use crate::transport::spans::Observer;
use crate::transport::{Consume, ProvisionError, Provisioned, Publish};

/// How long a connection is waited for before the broker counts as silent.
const CONNECT: Duration = Duration::from_secs(2);

/// The connections of one process, and what it tells of them.
#[derive(Clone, Debug)]
pub struct Brokers {
    /// NATS, if this process knows a server.
    pub nats: Option<Nats>,
    /// Where it tells what it does.
    pub observer: Observer,
    /// Whether this process makes what the broker needs. Where an operator does it, no.
    pub provision: bool,
    /// How often it looks after what is there.
    pub watch: Watch,
}

/// How often a receiver looks whether the broker serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Whether its consumer works.
    pub consumer: Duration,
    /// Whether what it needs of the broker is there, and as it should be.
    pub provision: Duration,
}

impl Default for Watch {
    fn default() -> Self {
        Watch {
            consumer: Duration::from_secs(30),
            provision: Duration::from_secs(5),
        }
    }
}

impl Brokers {
    /// The sending half, for each receiver.
    pub fn publishing(self) -> MakeBroker {
        Box::new(move |settings, receiver| {
            let TransportSettings::NatsJetStream(settings) = settings;
            let nats = self.nats.clone()?;
            let observer = self.observer.clone();
            let publish = JetStreamPublish::new(nats, settings, receiver.clone(), observer);
            Some(Arc::new(publish) as Arc<dyn Publish>)
        })
    }
}

impl Brokers {
    /// What makes what the broker needs, if that is this process's to do.
    async fn provisions(&self, settings: &Settings) -> Option<JetStreamProvision> {
        let TransportSettings::NatsJetStream(jetstream) = &settings.r#async.as_ref()?.transport;
        let nats = self.nats.as_ref().filter(|_| self.provision)?;
        // At start the connection is a moment away; if it isn't, provisioning says so.
        nats.connected_within(CONNECT).await;
        let receivers = settings.to.clone();
        let provision = JetStreamProvision::new(
            nats.clone(),
            &settings.channel,
            jetstream.clone(),
            receivers,
        );
        Some(provision)
    }
}

#[async_trait]
impl BrokerSide for Brokers {
    fn consumer(
        &self,
        settings: &TransportSettings,
        receiver: &ReceiverName,
    ) -> Option<Box<dyn Consume>> {
        let TransportSettings::NatsJetStream(settings) = settings;
        let consume = JetStreamConsume::new(
            self.nats.clone()?,
            settings,
            receiver.clone(),
            self.observer.clone(),
            self.watch.consumer,
        );
        Some(Box::new(consume))
    }

    async fn provision(&self, settings: &Settings) -> Result<Provisioned, ProvisionError> {
        match self.provisions(settings).await {
            Some(provision) => ensure(&provision).await,
            None => Ok(Provisioned::default()),
        }
    }

    async fn tidy(&self, settings: &Settings) -> Result<Provisioned, ProvisionError> {
        match self.provisions(settings).await {
            Some(provision) => ensure(&provision.of_all_receivers()).await,
            None => Ok(Provisioned::default()),
        }
    }

    fn looks_every(&self) -> Option<Duration> {
        self.provision.then_some(self.watch.provision)
    }

    async fn take_away(
        &self,
        settings: &Settings,
        receiver: &ReceiverName,
    ) -> Result<(), ProvisionError> {
        match self.provisions(settings).await {
            Some(provision) => provision.take_away(receiver).await,
            None => Ok(()),
        }
    }
}
