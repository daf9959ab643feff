//! What has to be done: pure.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy};
use async_nats::jetstream::stream::{self, RetentionPolicy};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::settings::JetStreamSettings;

use super::Observed;
use super::wanted::{cannot_be_changed, corrected, corrected_consumer, may_be_ours, storage};
use crate::transport::ProvisionError;
use crate::transport::jetstream::subjects;

/// The metadata of a stream or a consumer that names the channel it is of.
pub const OWNER: &str = "duet.dev/channel";

/// What has to be done, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan(pub Vec<Action>);

/// One change. Its text says what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Removes a stream that the channel has under another name now. What was not received of it is in the sender's outbox.
    RemoveStream(String),
    /// Makes the stream, on a subject that nobody uses.
    CreateStream(Box<stream::Config>),
    /// Corrects the stream.
    UpdateStream {
        /// As it should be.
        config: Box<stream::Config>,
        /// What differs.
        differences: Vec<String>,
    },
    /// Makes a receiver's consumer, or corrects it.
    PutConsumer {
        /// As it should be.
        config: Box<consumer::Config>,
        /// What differs; nothing if there is none yet.
        differences: Vec<String>,
    },
    /// Makes a receiver's consumer anew: it differs in what can't be changed. What waited for it is sent again.
    RemakeConsumer {
        /// As it should be.
        config: Box<consumer::Config>,
        /// What differs.
        differences: Vec<String>,
    },
    /// Lets a receiver's consumer, which is paused, give out again.
    ResumeConsumer(String),
    /// Gives the stream its receivers' subjects.
    TakeSubject(Box<stream::Config>),
    /// Removes the consumer of a receiver that the channel has no more. What it did not receive is in the sender's outbox.
    RemoveConsumer(String),
    /// Drops what lies on the subject of such a receiver.
    Purge(String),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let consumer = |config: &consumer::Config| config.durable_name.clone().unwrap_or_default();
        match self {
            Action::RemoveStream(name) => {
                write!(f, "stream {name}: removed, for it has another name now")
            }
            Action::CreateStream(config) => {
                write!(f, "stream {}: made, without its subject yet", config.name)
            }
            Action::UpdateStream {
                config,
                differences,
            } => write!(f, "stream {}: {}", config.name, differences.join(", ")),
            Action::PutConsumer {
                config,
                differences,
            } if differences.is_empty() => write!(f, "consumer {}: made", consumer(config)),
            Action::PutConsumer {
                config,
                differences,
            } => write!(
                f,
                "consumer {}: {}",
                consumer(config),
                differences.join(", ")
            ),
            Action::RemakeConsumer {
                config,
                differences,
            } => write!(
                f,
                "consumer {}: made anew, for {}",
                consumer(config),
                differences.join(", ")
            ),
            Action::ResumeConsumer(name) => write!(f, "consumer {name}: paused, resumed"),
            Action::TakeSubject(config) => write!(
                f,
                "stream {}: takes {}",
                config.name,
                config.subjects.join(", ")
            ),
            Action::RemoveConsumer(name) => {
                write!(
                    f,
                    "consumer {name}: removed, for it is no receiver any more"
                )
            }
            Action::Purge(subject) => {
                write!(
                    f,
                    "messages on {subject}: dropped, for nobody takes them any more"
                )
            }
        }
    }
}

/// What has to be done so that a channel's stream and consumers are as the settings have them; nothing, if they are. Pure.
///
/// # Errors
/// [`ProvisionError::Conflict`] if the stream is another's, or differs in what can't be changed.
pub fn plan(
    channel: &str,
    settings: &JetStreamSettings,
    receivers: &[ReceiverName],
    observed: &Observed,
) -> Result<Plan, ProvisionError> {
    let wanted = &settings.stream;
    let mut plan = Plan::default();
    let seen = match &observed.stream {
        Some(seen) => {
            may_be_ours(channel, wanted, seen)?;
            let (config, differences) = corrected(seen, channel, wanted);
            if !differences.is_empty() {
                plan.0.push(Action::UpdateStream {
                    config: config.clone(),
                    differences,
                });
            }
            config
        }
        None => {
            let renamed = observed.renamed.iter().cloned();
            plan.0.extend(renamed.map(Action::RemoveStream));
            let fresh = stream::Config {
                name: wanted.name.clone(),
                subjects: vec![subjects::idle(&wanted.subject)],
                retention: RetentionPolicy::Interest,
                storage: storage(wanted.storage),
                // -1 is what a server makes of "no limit".
                max_messages: -1,
                max_messages_per_subject: -1,
                max_consumers: -1,
                ..stream::Config::default()
            };
            let (config, _) = corrected(&fresh, channel, wanted);
            plan.0.push(Action::CreateStream(config.clone()));
            config
        }
    };
    for receiver in receivers {
        plan.0.extend(plan_consumer(
            channel,
            receiver,
            settings,
            observed.consumers.get(receiver),
        ));
        if observed.paused.contains(receiver) {
            plan.0.push(Action::ResumeConsumer(receiver.to_string()));
        }
    }
    let subjects = subjects_of(&wanted.subject, receivers, observed, &seen.subjects);
    if seen.subjects != subjects {
        plan.0.push(Action::TakeSubject(Box::new(stream::Config {
            subjects,
            ..*seen
        })));
    }
    let left_behind = observed.left_behind.iter().cloned();
    plan.0.extend(left_behind.map(Action::RemoveConsumer));
    let stranded = observed.stranded.iter().cloned();
    plan.0.extend(stranded.map(Action::Purge));
    Ok(plan)
}

/// Each receiver's, in the order of names; and those of other receivers, where these may not be all.
fn subjects_of(
    subject: &str,
    receivers: &[ReceiverName],
    observed: &Observed,
    seen: &[String],
) -> Vec<String> {
    let own = receivers
        .iter()
        .map(|name| subjects::messages(subject, name));
    let others = seen
        .iter()
        .filter(|on| !observed.are_all && subjects::is_messages(subject, on));
    let all: BTreeSet<String> = own.chain(others.cloned()).collect();
    if all.is_empty() {
        return vec![subjects::idle(subject)]; // without any, a stream's name is its subject
    }
    all.into_iter().collect()
}

fn plan_consumer(
    channel: &str,
    receiver: &ReceiverName,
    settings: &JetStreamSettings,
    seen: Option<&consumer::Config>,
) -> Option<Action> {
    let fresh = consumer::Config {
        durable_name: Some(receiver.to_string()),
        name: Some(receiver.to_string()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        metadata: HashMap::from([(OWNER.to_owned(), channel.to_owned())]),
        ..consumer::Config::default()
    };
    let Some(seen) = seen else {
        let (config, _) = corrected_consumer(&fresh, receiver, settings);
        let differences = Vec::new();
        return Some(Action::PutConsumer {
            config,
            differences,
        });
    };
    let differences = cannot_be_changed(seen);
    if !differences.is_empty() {
        let (config, _) = corrected_consumer(&fresh, receiver, settings);
        return Some(Action::RemakeConsumer {
            config,
            differences,
        });
    }
    let (config, differences) = corrected_consumer(seen, receiver, settings);
    (!differences.is_empty()).then_some(Action::PutConsumer {
        config,
        differences,
    })
}
