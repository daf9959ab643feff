//! The document into the protocol's settings: the one place where its words become the protocol's.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use duet_protocol::receipt::ReceiverName;
use duet_protocol::settings::{
    self as protocol, AsyncSettings, BatchSettings, Canary, ConsumerSettings, DeliverySettings,
    Faults, Generation, JetStreamSettings, Percent, Settings, StreamSettings, SyncSettings,
    TransportSettings,
};

use crate::problem::{Problem, Problems};
use crate::{
    AsyncSpec, AsyncTransport, CanarySpec, Channel, DeliverySpec, FaultsSpec, Mode, NatsJetStream,
    OnFailure, Receiver, Storage, SyncSpec, SyncTransport, TracesAsync,
};

/// A document without a generation is its first.
impl TryFrom<&Channel> for Settings {
    type Error = Problems;

    /// Holds the document to the schema and the rules again: it may have been made in code, or by another reader.
    fn try_from(channel: &Channel) -> Result<Settings, Problems> {
        let value = serde_json::to_value(channel)
            .map_err(|error| Problem::of_document(format!("can't be written: {error}")))?;
        let Channel { metadata, spec, .. } = Channel::from_value(value)?;
        Ok(Settings {
            channel: metadata.name.into(),
            generation: metadata.generation.map_or(Generation::FIRST, Generation),
            from: spec.from.into(),
            to: receivers(spec.to)?,
            mode: mode(spec.mode),
            canary: spec.canary.map(canary).transpose()?,
            sync: sync(&spec.sync)?,
            r#async: spec.r#async.map(background).transpose()?,
            delivery: delivery(&spec.delivery)?,
            traces: match spec.traces.r#async {
                TracesAsync::Continue => protocol::TracesAsync::Continue,
                TracesAsync::Link => protocol::TracesAsync::Link,
            },
            faults: spec.faults.map(faults).transpose()?,
        })
    }
}

fn receivers(to: Vec<Receiver>) -> Result<Vec<ReceiverName>, Problems> {
    let name = |to: Receiver| ReceiverName::new(to.name.as_str());
    let names: Option<Vec<_>> = to.into_iter().map(name).collect();
    names.ok_or_else(|| missing("spec.to", "must name Services"))
}

const fn mode(mode: Mode) -> protocol::Mode {
    match mode {
        Mode::Sync => protocol::Mode::Sync,
        Mode::Async => protocol::Mode::Async,
    }
}

fn canary(spec: CanarySpec) -> Result<Canary, Problems> {
    Ok(Canary {
        mode: mode(spec.mode),
        percent: percent(spec.percent, "spec.canary.percent")?,
    })
}

fn faults(spec: FaultsSpec) -> Result<Faults, Problems> {
    let max_per_second = spec
        .max_per_second
        .map(|most| NonZeroU32::new(most).ok_or_else(|| zero("spec.faults.maxPerSecond")));
    let receiver = spec.receiver.map(|name| {
        ReceiverName::new(name.as_str())
            .ok_or_else(|| missing("spec.faults.receiver", "must name a Service"))
    });
    Ok(Faults {
        delay: spec.delay.into(),
        jitter: spec.jitter.into(),
        errors: percent(spec.error_percent, "spec.faults.errorPercent")?,
        hangs: percent(spec.hang_percent, "spec.faults.hangPercent")?,
        max_per_second: max_per_second.transpose()?,
        receiver: receiver.transpose()?,
        until: spec.until.map(Into::into),
    })
}

/// The schema has refused more than a hundred already.
fn percent(number: u32, field: &str) -> Result<Percent, Problems> {
    let percent = u8::try_from(number).ok().and_then(Percent::new);
    percent.ok_or_else(|| missing(field, "must be at most 100"))
}

fn delivery(spec: &DeliverySpec) -> Result<DeliverySettings, Problems> {
    let max_attempts = NonZeroU32::new(spec.max_attempts);
    Ok(DeliverySettings {
        max_attempts: max_attempts.ok_or_else(|| zero("spec.delivery.maxAttempts"))?,
        backoff_initial: spec.backoff.initial.into(),
        backoff_max: spec.backoff.max.into(),
    })
}

fn sync(spec: &SyncSpec) -> Result<SyncSettings, Problems> {
    Ok(SyncSettings {
        transport: match spec.transport {
            SyncTransport::Http => protocol::SyncTransport::Http,
        },
        deadline: spec.deadline.into(),
        on_failure: match spec.on_failure {
            OnFailure::Fail => protocol::OnFailure::Fail,
        },
        batch: BatchSettings {
            max_events: max_events(spec.batch.max_events, "spec.sync.batch.maxEvents")?,
            linger: Duration::ZERO,
        },
    })
}

fn background(spec: AsyncSpec) -> Result<AsyncSettings, Problems> {
    Ok(AsyncSettings {
        transport: match (spec.transport, spec.nats_jet_stream) {
            (AsyncTransport::NatsJetStream, Some(member)) => {
                TransportSettings::NatsJetStream(jetstream(member)?)
            }
            (AsyncTransport::NatsJetStream, None) => {
                return Err(missing("spec.async.natsJetStream", "is required"));
            }
        },
        batch: BatchSettings {
            max_events: max_events(spec.batch.max_events, "spec.async.batch.maxEvents")?,
            linger: spec.batch.linger.into(),
        },
    })
}

fn jetstream(
    NatsJetStream { stream, consumer }: NatsJetStream,
) -> Result<JetStreamSettings, Problems> {
    let positive = |number, field| NonZeroU32::new(number).ok_or_else(|| zero(field));
    Ok(JetStreamSettings {
        stream: StreamSettings {
            name: stream.name.into(),
            subject: stream.subject.into(),
            replicas: positive(stream.replicas, "spec.async.natsJetStream.stream.replicas")?,
            storage: match stream.storage {
                Storage::File => protocol::Storage::File,
                Storage::Memory => protocol::Storage::Memory,
            },
            max_bytes: NonZeroU64::new(stream.max_bytes.get())
                .ok_or_else(|| zero("spec.async.natsJetStream.stream.maxBytes"))?,
            max_age: stream.max_age.into(),
            duplicate_window: stream.duplicate_window.into(),
        },
        consumer: ConsumerSettings {
            ack_wait: consumer.ack_wait.into(),
            max_ack_pending: positive(
                consumer.max_ack_pending,
                "spec.async.natsJetStream.consumer.maxAckPending",
            )?,
        },
    })
}

fn max_events(number: u32, field: &str) -> Result<NonZeroUsize, Problems> {
    usize::try_from(number)
        .ok()
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| zero(field))
}

/// The schema has refused zero already; the types ask once more.
fn zero(field: &str) -> Problems {
    missing(field, "must be at least 1")
}

fn missing(path: &str, says: &str) -> Problems {
    Problem {
        path: path.to_owned(),
        says: says.to_owned(),
        unknown_field: false,
    }
    .into()
}
