//! A stream and its consumers as they should be, and what of those that there are is otherwise: pure.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{
    self, AckPolicy, DeliverPolicy, PriorityPolicy, ReplayPolicy,
};
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy, StorageType};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::settings::{JetStreamSettings, Storage, StreamSettings};

use super::plan::OWNER;
use crate::transport::ProvisionError;
use crate::transport::jetstream::subjects;

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
pub(super) fn may_be_ours(
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
    if seen.retention == RetentionPolicy::WorkQueue {
        return Err(conflict(format!(
            "stream {name} has retention {:?}, which can't be changed to Interest",
            seen.retention
        )));
    }
    if seen.sealed {
        return Err(conflict(format!(
            "stream {name} is sealed, which can't be undone: remove it (nats stream rm {name}), and it is made anew; nothing is lost, \
             for the sender keeps what is not received"
        )));
    }
    Ok(())
}

/// A stream as it should be, but for its subject; what is not ours to say stays. And what differs.
pub(super) fn corrected(
    seen: &stream::Config,
    channel: &str,
    wanted: &StreamSettings,
) -> (Box<stream::Config>, Vec<String>) {
    let mut config = Box::new(seen.clone());
    let mut differences = Vec::new();
    let mut set = Differences(&mut differences);
    set.to(
        "retention",
        &mut config.retention,
        RetentionPolicy::Interest,
    );
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
    // What others may set beside that keeps messages out, loses them, or moves them.
    set.no_limit("maxMsgs", &mut config.max_messages, -1);
    set.no_limit(
        "maxMsgsPerSubject",
        &mut config.max_messages_per_subject,
        -1,
    );
    set.no_limit("maxMsgSize", &mut config.max_message_size, -1);
    set.to("noAck", &mut config.no_ack, false);
    set.to(
        "discardNewPerSubject",
        &mut config.discard_new_per_subject,
        false,
    );
    set.to("subjectTransform", &mut config.subject_transform, None);
    set.to("consumerLimits", &mut config.consumer_limits, None);
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

    /// A limit that is not there is written in two ways.
    fn no_limit<T: PartialOrd + Default + fmt::Debug>(
        &mut self,
        name: &str,
        field: &mut T,
        none: T,
    ) {
        if *field > T::default() {
            self.to(name, field, none);
        }
    }
}

/// What of a consumer is otherwise than it should be, and stays so for as long as it is there.
pub(super) fn cannot_be_changed(seen: &consumer::Config) -> Vec<String> {
    /// What a server gives a consumer for which nothing is said.
    const WAITING: i64 = 512;
    let mut differences = Vec::new();
    let mut set = Differences(&mut differences);
    let mut seen = seen.clone();
    set.to("deliverSubject", &mut seen.deliver_subject, None);
    set.to(
        "deliverPolicy",
        &mut seen.deliver_policy,
        DeliverPolicy::All,
    );
    set.to("ackPolicy", &mut seen.ack_policy, AckPolicy::Explicit);
    set.to(
        "replayPolicy",
        &mut seen.replay_policy,
        ReplayPolicy::Instant,
    );
    set.to(
        "priorityPolicy",
        &mut seen.priority_policy,
        PriorityPolicy::None,
    );
    if (1..WAITING).contains(&seen.max_waiting) {
        set.to("maxWaiting", &mut seen.max_waiting, WAITING);
    }
    differences
}

/// A consumer as it should be; what is not ours to say stays. And what differs.
pub(super) fn corrected_consumer(
    seen: &consumer::Config,
    receiver: &ReceiverName,
    settings: &JetStreamSettings,
) -> (Box<consumer::Config>, Vec<String>) {
    let wanted = &settings.consumer;
    let mut config = Box::new(seen.clone());
    let mut differences = Vec::new();
    let mut set = Differences(&mut differences);
    let filter = subjects::messages(&settings.stream.subject, receiver);
    set.to("filterSubject", &mut config.filter_subject, filter);
    set.to("filterSubjects", &mut config.filter_subjects, Vec::new());
    set.to("ackWait", &mut config.ack_wait, wanted.ack_wait);
    set.to(
        "maxAckPending",
        &mut config.max_ack_pending,
        i64::from(wanted.max_ack_pending.get()),
    );
    // -1 is no limit. A limit strands messages silently, and a backoff replaces ackWait and ignores naks.
    set.to("maxDeliver", &mut config.max_deliver, -1);
    set.to("backoff", &mut config.backoff, Vec::new());
    // What else keeps messages from it, or what is in them.
    set.to("headersOnly", &mut config.headers_only, false);
    set.to("rateLimit", &mut config.rate_limit, 0);
    set.no_limit("maxBatch", &mut config.max_batch, 0);
    set.no_limit("maxBytes", &mut config.max_bytes, 0);
    set.to("maxExpires", &mut config.max_expires, Duration::ZERO);
    set.to(
        "inactiveThreshold",
        &mut config.inactive_threshold,
        Duration::ZERO,
    );
    (config, differences)
}

pub(super) fn storage(wanted: Storage) -> StorageType {
    match wanted {
        Storage::File => StorageType::File,
        Storage::Memory => StorageType::Memory,
    }
}
