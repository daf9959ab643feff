//! The broker as the operator sees it: what there is of a Channel's, and what is to be done.

use std::time::Duration;

use duet_channel::transport::jetstream::{self, JetStreamProvision, Nats};
use duet_channel::transport::{Provision, ProvisionError, Steps};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::settings::{JetStreamSettings, Settings, TransportSettings};
use tokio::time::timeout;

use crate::stored::Subject;

/// How long the broker may take to tell what there is. A healthy one takes milliseconds.
const LOOK: Duration = Duration::from_secs(1);
/// How long it may take to do what it is asked.
const WORK: Duration = Duration::from_secs(10);

/// What to do about a login that is refused.
const REFUSED: &str = "the broker refuses the operator's login: its user and password are not those that NATS was started with";

/// What came of asking the broker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Broker {
    /// The Channel asks for none.
    NotNeeded,
    /// It asks for one, and this operator was told of none.
    NotConfigured,
    /// It does not answer, for this reason.
    Silent(String),
    /// It answers, and refuses the operator's login, as this says.
    Refused(String),
    /// It answers, and denies this user what the operator needs, as this says.
    Denied(String),
    /// It told what there is.
    Seen(Box<jetstream::Observed>),
}

/// What a Channel asks of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Whose the stream is: `namespace/name`, for namespaces may share a broker.
    owner: String,
    jetstream: JetStreamSettings,
    receivers: Vec<ReceiverName>,
}

impl Wanted {
    /// What the settings ask for, if they ask for a broker.
    pub(crate) fn of(subject: &Subject, settings: &Settings) -> Option<Wanted> {
        let TransportSettings::NatsJetStream(jetstream) = &settings.r#async.as_ref()?.transport;
        Some(Wanted {
            owner: format!("{}/{}", subject.namespace, subject.name),
            jetstream: jetstream.clone(),
            receivers: settings.to.clone(),
        })
    }

    /// What is to be done so that all is as it should be.
    pub(crate) fn plan(
        &self,
        seen: &jetstream::Observed,
    ) -> Result<jetstream::Plan, ProvisionError> {
        jetstream::plan(&self.owner, &self.jetstream, &self.receivers, seen)
    }

    /// Whether there is a stream, and it is this Channel's.
    pub(crate) fn owns(&self, seen: &jetstream::Observed) -> bool {
        seen.is_of(&self.owner)
    }

    pub(crate) fn stream(&self) -> &str {
        &self.jetstream.stream.name
    }

    fn provision(&self, nats: &Nats) -> JetStreamProvision {
        JetStreamProvision::new(
            nats.clone(),
            &self.owner,
            self.jetstream.clone(),
            self.receivers.clone(),
        )
        .of_all_receivers()
    }
}

/// Looks at what there is, and changes nothing.
pub(crate) async fn observe(nats: Option<&Nats>, wanted: Option<&Wanted>) -> Broker {
    let Some(wanted) = wanted else {
        return Broker::NotNeeded;
    };
    let Some(nats) = nats else {
        return Broker::NotConfigured;
    };
    let looked = timeout(LOOK, wanted.provision(nats).observe()).await;
    match looked {
        Ok(Ok(seen)) => Broker::Seen(Box::new(seen)),
        _ if nats.is_refused() => Broker::Refused(REFUSED.to_owned()),
        Ok(Err(ProvisionError::Unreachable(why))) => Broker::Silent(why.to_string()),
        Ok(Err(ProvisionError::Denied(why))) => Broker::Denied(why.to_string()),
        Ok(Err(error)) => Broker::Silent(error.to_string()),
        Err(_) => Broker::Silent(format!("no answer in {} s", LOOK.as_secs())),
    }
}

/// Does what was planned.
pub(crate) async fn provision(
    nats: &Nats,
    wanted: &Wanted,
    plan: jetstream::Plan,
) -> Result<Steps, ProvisionError> {
    within(wanted.provision(nats).apply(plan)).await
}

/// Removes the Channel's stream.
pub(crate) async fn remove(nats: &Nats, wanted: &Wanted) -> Result<Steps, ProvisionError> {
    within(wanted.provision(nats).remove()).await
}

async fn within<T>(
    work: impl Future<Output = Result<T, ProvisionError>>,
) -> Result<T, ProvisionError> {
    let silent = |_| ProvisionError::Unreachable(format!("nothing in {} s", WORK.as_secs()).into());
    timeout(WORK, work).await.map_err(silent)?
}
