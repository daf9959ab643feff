//! Makes stream and consumers as the settings have them, and takes them away where nothing is to be left.
//!
//! The stream is made on a subject that nobody uses, then the consumers, then it takes each receiver's subject: an Interest stream
//! without a consumer acknowledges what is published and drops it, so what is published earlier has to find no stream. A receiver that
//! leaves loses its subject first, then its consumer, then what waited for it: a consumer's deletion should drop that, and now and then
//! leaves a message that was just published. A stream that the channel gives another name goes before the new one is made: two can't have
//! one subject.

mod plan;
#[cfg(test)]
mod tests;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_nats::jetstream::{consumer, stream};
use async_trait::async_trait;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::sender::BrokerPlace;
use duet_protocol::settings::JetStreamSettings;

use super::api::{self, ApiError};
use super::connection::Nats;
use super::subjects;
use crate::transport::{Holder, Provision, ProvisionError, Provisioned, Steps};

pub use plan::{Action, OWNER, Plan, plan};

/// Provisions one channel's stream, and a consumer for each of its receivers.
#[derive(Clone, Debug)]
pub struct JetStreamProvision {
    nats: Nats,
    channel: String,
    settings: JetStreamSettings,
    receivers: Vec<ReceiverName>,
    /// Whether these are all of the channel's receivers.
    all: bool,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The stream of the settings' name.
    pub stream: Option<stream::Config>,
    /// Where there is none: streams of this channel's under other names that have its subject. What they hold is in the sender's outbox.
    pub renamed: Vec<String>,
    /// Whether the receivers that were looked for are all that the channel has.
    pub are_all: bool,
    /// Of the receivers' consumers, those that there are.
    pub consumers: BTreeMap<ReceiverName, consumer::Config>,
    /// For each of them, how many messages it has not settled: those it still has to give out, and those that are out.
    pub unsettled: BTreeMap<ReceiverName, u64>,
    /// Of the receivers' consumers, those that are paused: they give nothing out.
    pub paused: BTreeSet<ReceiverName>,
    /// Consumers that are nobody's of this channel, and keep messages that all of the channel's have settled.
    pub strangers: Vec<Holder>,
    /// Consumers that were made for receivers of this channel which it has no more: messages wait for them, and for ever.
    pub left_behind: Vec<String>,
    /// Subjects of such receivers on which there are messages: nobody will ever take them.
    pub stranded: Vec<String>,
}

impl Observed {
    /// Whether there is a stream, and it is of this channel.
    pub fn is_of(&self, channel: &str) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|stream| wanted::is_ours(channel, stream).is_ok())
    }
}

impl JetStreamProvision {
    /// For the channel of this name. A stream that is another channel's is left alone.
    pub fn new(
        nats: Nats,
        channel: &str,
        settings: JetStreamSettings,
        receivers: Vec<ReceiverName>,
    ) -> Self {
        JetStreamProvision {
            nats,
            channel: channel.to_owned(),
            settings,
            receivers,
            all: false,
        }
    }

    /// These are all receivers that the channel has: subjects and consumers that were made for others of it are to go.
    pub fn of_all_receivers(self) -> Self {
        JetStreamProvision { all: true, ..self }
    }

    /// Streams of the channel's that have its subject under another name: it was given a new one since.
    async fn renamed(&self) -> Result<Vec<String>, ApiError> {
        let subject = &self.settings.stream.subject;
        let names = match api::streams_below(&self.nats, subject).await {
            Err(ApiError::Denied(_)) => return Ok(Vec::new()), // who may not look may not remove
            names => names?,
        };
        let mut renamed = Vec::new();
        for name in names {
            let stream = api::stream(&self.nats, &name).await?;
            let is_ours = |it: stream::Info| wanted::is_ours(&self.channel, &it.config).is_ok();
            renamed.extend(stream.is_some_and(is_ours).then_some(name));
        }
        Ok(renamed)
    }

    /// Sees to the consumers that are none of the receivers'. One that was not made for this channel is a stranger's, and stays.
    async fn see_others(
        &self,
        floor: Option<BrokerPlace>,
        seen: &mut Observed,
    ) -> Result<(), ApiError> {
        let stream = &self.settings.stream.name;
        for name in api::consumer_names(&self.nats, stream).await? {
            let is_wanted = |receiver: &ReceiverName| receiver.as_str() == name;
            if self.receivers.iter().any(is_wanted) {
                continue;
            }
            let Some(consumer) = api::consumer(&self.nats, stream, &name).await? else {
                continue;
            };
            if consumer.config.metadata.get(OWNER) == Some(&self.channel) {
                // Only who knows all receivers knows that it is none.
                seen.left_behind.extend(self.all.then_some(name));
                continue;
            }
            let (holds, ack_floor) = (unsettled(&consumer), ack_floor(&consumer));
            if holds > 0 && floor.is_none_or(|floor| ack_floor < floor) {
                seen.strangers.push(Holder {
                    name,
                    ack_floor,
                    holds,
                });
            }
        }
        Ok(())
    }

    /// Deletes a receiver's consumer, and with it what waits for it, which the sender sends again: it is to be made anew.
    ///
    /// # Errors
    /// [`ProvisionError`]; a stream that is another's is a conflict.
    pub async fn take_away(&self, receiver: &ReceiverName) -> Result<(), ProvisionError> {
        let name = &self.settings.stream.name;
        let Some(stream) = api::stream(&self.nats, name).await? else {
            return Ok(());
        };
        wanted::is_ours(&self.channel, &stream.config)?;
        Ok(api::delete_consumer(&self.nats, name, receiver.as_str()).await?)
    }

    /// Whether what is on this subject is for a receiver that the channel has no more.
    fn is_stranded(&self, on: &str) -> bool {
        let subject = &self.settings.stream.subject;
        let is_its = |receiver: &ReceiverName| subjects::messages(subject, receiver) == on;
        subjects::is_messages(subject, on) && !self.receivers.iter().any(is_its)
    }

    /// Deletes the stream, and with it the consumers and every message that it holds: what a channel leaves behind, if it is not to.
    /// No step means that there is none.
    ///
    /// # Errors
    /// [`ProvisionError`]; a stream that is another's is a conflict, and stays.
    pub async fn remove(&self) -> Result<Steps, ProvisionError> {
        let name = &self.settings.stream.name;
        let Some(stream) = api::stream(&self.nats, name).await? else {
            return Ok(Steps::default());
        };
        wanted::is_ours(&self.channel, &stream.config)?;
        api::delete_stream(&self.nats, name).await?;
        Ok(Steps(vec![format!("stream {name}: removed")]))
    }
}

fn unsettled(consumer: &consumer::Info) -> u64 {
    let out = u64::try_from(consumer.num_ack_pending).unwrap_or(u64::MAX);
    consumer.num_pending.saturating_add(out)
}

fn ack_floor(consumer: &consumer::Info) -> BrokerPlace {
    BrokerPlace(consumer.ack_floor.stream_sequence)
}

impl From<ApiError> for ProvisionError {
    fn from(error: ApiError) -> Self {
        let cause = Arc::from(error.to_string());
        match error {
            ApiError::Silent(_) => ProvisionError::Unreachable(cause),
            ApiError::Refused(_) => ProvisionError::Refused(cause),
            ApiError::Denied(_) => ProvisionError::Denied(cause),
        }
    }
}

#[async_trait]
impl Provision for JetStreamProvision {
    type Observed = Observed;
    type Plan = Plan;

    async fn observe(&self) -> Result<Observed, ProvisionError> {
        let (name, subject) = (&self.settings.stream.name, &self.settings.stream.subject);
        let mut observed = Observed {
            are_all: self.all,
            ..Observed::default()
        };
        let seen = api::stream_and_subjects(&self.nats, name, subject).await?;
        let Some((config, subjects)) = seen else {
            observed.renamed = self.renamed().await?;
            return Ok(observed);
        };
        observed.stream = Some(config);
        let mut floor = None;
        for receiver in &self.receivers {
            let Some(consumer) = api::consumer(&self.nats, name, receiver.as_str()).await? else {
                continue;
            };
            let settled = ack_floor(&consumer);
            floor = Some(floor.map_or(settled, |floor: BrokerPlace| floor.min(settled)));
            let unsettled = unsettled(&consumer);
            observed.unsettled.insert(receiver.clone(), unsettled);
            if consumer.paused {
                observed.paused.insert(receiver.clone());
            }
            observed.consumers.insert(receiver.clone(), consumer.config);
        }
        self.see_others(floor, &mut observed).await?;
        if self.all {
            let has = subjects.into_iter();
            observed.stranded = has.filter(|on| self.is_stranded(on)).collect();
        }
        Ok(observed)
    }

    fn plan(&self, observed: &Observed) -> Result<Plan, ProvisionError> {
        plan(&self.channel, &self.settings, &self.receivers, observed)
    }

    async fn apply(&self, plan: Plan) -> Result<Steps, ProvisionError> {
        let mut steps = Steps::default();
        for action in plan.0 {
            steps.0.push(action.to_string());
            match action {
                Action::RemoveStream(name) => api::delete_stream(&self.nats, &name).await?,
                Action::CreateStream(config) => api::create_stream(&self.nats, &config).await?,
                Action::UpdateStream { config, .. } | Action::TakeSubject(config) => {
                    api::update_stream(&self.nats, &config).await?
                }
                Action::PutConsumer { config, .. } => {
                    api::put_consumer(&self.nats, &self.settings.stream.name, &config).await?
                }
                Action::RemakeConsumer { config, .. } => {
                    let stream = &self.settings.stream.name;
                    let name = config.durable_name.as_deref().unwrap_or_default();
                    api::delete_consumer(&self.nats, stream, name).await?;
                    api::put_consumer(&self.nats, stream, &config).await?
                }
                Action::ResumeConsumer(name) => {
                    api::resume_consumer(&self.nats, &self.settings.stream.name, &name).await?
                }
                Action::RemoveConsumer(name) => {
                    api::delete_consumer(&self.nats, &self.settings.stream.name, &name).await?
                }
                Action::Purge(subject) => {
                    api::purge(&self.nats, &self.settings.stream.name, &subject).await?
                }
            }
        }
        Ok(steps)
    }
}

/// Observes, plans and applies until nothing is left to do. Another process may do the same at the same time: what it was quicker at
/// is seen by looking again.
///
/// # Errors
/// [`ProvisionError`]; a refused change only if it is still wanted after looking again.
pub async fn ensure<P: Provision<Plan = Plan, Observed = Observed>>(
    provision: &P,
) -> Result<Provisioned, ProvisionError> {
    const TRIES: usize = 3;
    let mut steps = Steps::default();
    let mut refused = None;
    for _ in 0..TRIES {
        let observed = provision.observe().await?;
        let plan = provision.plan(&observed)?;
        if plan.0.is_empty() {
            let holders = observed.strangers;
            return Ok(Provisioned { steps, holders });
        }
        match provision.apply(plan).await {
            Ok(done) => steps.0.extend(done.0),
            Err(ProvisionError::Refused(cause)) => refused = Some(cause),
            Err(error) => return Err(error),
        }
    }
    Err(ProvisionError::Refused(
        refused.unwrap_or_else(|| "what was changed does not stay".into()),
    ))
}
