//! What has to be done: pure.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy};
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy, StorageType};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::settings::{JetStreamSettings, Storage, StreamSettings};

use super::Observed;
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
        )?);
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

fn conflict(cause: String) -> ProvisionError {
    ProvisionError::Conflict(Arc::from(cause))
}

/// Whether the stream is this channel's; the error says whose it is.
pub(super) fn is_ours(channel: &str, seen: &stream::Config) -> Result<(), ProvisionError> {
    let name = &seen.name;
    match seen.metadata.get(OWNER) {
        Some(owner) if owner == channel => Ok(()),
        Some(owner) => Err(conflict(format!(
            "stream {name} belongs to the Channel {owner:?}"
        ))),
        None => Err(conflict(format!(
            "stream {name} was not made for a Channel: its metadata has no {OWNER}"
        ))),
    }
}

/// Whether the stream is this channel's, and differs in nothing that can't be changed.
fn may_be_ours(
    channel: &str,
    wanted: &StreamSettings,
    seen: &stream::Config,
) -> Result<(), ProvisionError> {
    let name = &wanted.name;
    is_ours(channel, seen)?;
    if seen.storage != storage(wanted.storage) {
        return Err(conflict(format!(
            "stream {name} has storage {:?}, which can't be changed to {:?}",
            seen.storage, wanted.storage
        )));
    }
    if seen.retention != RetentionPolicy::Interest {
        return Err(conflict(format!(
            "stream {name} has retention {:?}, which can't be changed to Interest",
            seen.retention
        )));
    }
    Ok(())
}

/// A stream as it should be, but for its subject; what is not ours to say stays. And what differs.
fn corrected(
    seen: &stream::Config,
    channel: &str,
    wanted: &StreamSettings,
) -> (Box<stream::Config>, Vec<String>) {
    let mut config = Box::new(seen.clone());
    let mut differences = Vec::new();
    let mut set = Differences(&mut differences);
    set.to("discard", &mut config.discard, DiscardPolicy::New);
    set.to(
        "maxBytes",
        &mut config.max_bytes,
        i64::try_from(wanted.max_bytes.get()).unwrap_or(i64::MAX),
    );
    set.to("maxAge", &mut config.max_age, wanted.max_age);
    set.to(
        "duplicateWindow",
        &mut config.duplicate_window,
        wanted.duplicate_window,
    );
    set.to(
        "replicas",
        &mut config.num_replicas,
        wanted.replicas.get() as usize,
    );
    config
        .metadata
        .entry(OWNER.to_owned())
        .or_insert_with(|| channel.to_owned());
    (config, differences)
}

/// Sets fields, and notes which were otherwise.
struct Differences<'a>(&'a mut Vec<String>);

impl Differences<'_> {
    fn to<T: PartialEq + fmt::Debug>(&mut self, name: &str, field: &mut T, wanted: T) {
        if *field != wanted {
            self.0.push(format!("{name} {field:?} → {wanted:?}"));
            *field = wanted;
        }
    }
}

fn plan_consumer(
    channel: &str,
    receiver: &ReceiverName,
    settings: &JetStreamSettings,
    seen: Option<&consumer::Config>,
) -> Result<Option<Action>, ProvisionError> {
    let (wanted, made) = (&settings.consumer, seen.is_none());
    let mut config = match seen {
        Some(seen) => {
            if seen.deliver_subject.is_some()
                || seen.ack_policy != AckPolicy::Explicit
                || seen.deliver_policy != DeliverPolicy::All
            {
                return Err(conflict(format!(
                    "consumer {receiver} is not a pull consumer with explicit acknowledgements from the beginning"
                )));
            }
            Box::new(seen.clone())
        }
        None => Box::new(consumer::Config {
            durable_name: Some(receiver.to_string()),
            name: Some(receiver.to_string()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            metadata: HashMap::from([(OWNER.to_owned(), channel.to_owned())]),
            ..consumer::Config::default()
        }),
    };
    let mut differences = Vec::new();
    let mut set = Differences(&mut differences);
    let filter = subjects::messages(&settings.stream.subject, receiver);
    set.to("filterSubject", &mut config.filter_subject, filter);
    set.to("ackWait", &mut config.ack_wait, wanted.ack_wait);
    set.to(
        "maxAckPending",
        &mut config.max_ack_pending,
        i64::from(wanted.max_ack_pending.get()),
    );
    // -1 is no limit. A limit strands messages silently, and a backoff replaces ackWait and ignores naks.
    set.to("maxDeliver", &mut config.max_deliver, -1);
    set.to("backoff", &mut config.backoff, Vec::new());
    let differs = !differences.is_empty();
    if made {
        differences.clear();
    }
    Ok((made || differs).then_some(Action::PutConsumer {
        config,
        differences,
    }))
}

fn storage(wanted: Storage) -> StorageType {
    match wanted {
        Storage::File => StorageType::File,
        Storage::Memory => StorageType::Memory,
    }
}
