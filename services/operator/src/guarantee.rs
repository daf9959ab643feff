//! What the settings promise, in a sentence.

use duet_crd::duration;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::settings::{
    JetStreamSettings, Mode, OnFailure, Settings, Storage, SyncTransport, TransportSettings,
};

/// The sentence; two where a canary's share is promised something else.
pub(crate) fn guarantee(settings: &Settings) -> String {
    let all = promised(settings, settings.mode);
    match settings.canary {
        Some(canary) if settings.route().is_split() => format!(
            "{all} For {} of 100 pairs, the canary: {}",
            canary.percent.get(),
            promised(settings, canary.mode)
        ),
        Some(_) | None => all,
    }
}

/// What one mode promises.
fn promised(settings: &Settings, mode: Mode) -> String {
    match (mode, &settings.r#async) {
        (Mode::Async, Some(r#async)) => {
            let TransportSettings::NatsJetStream(jetstream) = &r#async.transport;
            format!(
                "A caller is answered as soon as its event is durable at {}; NATS JetStream brings it to {}, where it is stored effectively once, whatever fails in between: {}.",
                settings.from,
                named(&settings.to),
                broker_lost(jetstream)
            )
        }
        (Mode::Sync, _) | (Mode::Async, None) => format!(
            "A caller is answered after {} stored the event, effectively once, over {}; a call that fails, or takes longer than {}, {}.",
            have(&settings.to),
            transport(settings.sync.transport),
            text(settings.sync.deadline),
            failed(settings.sync.on_failure)
        ),
    }
}

/// As a sentence lists them.
fn named(receivers: &[ReceiverName]) -> String {
    match receivers {
        [] => String::new(),
        [one] => one.to_string(),
        [many @ .., last] => {
            let many: Vec<_> = many.iter().map(ReceiverName::as_str).collect();
            format!("{} and {last}", many.join(", "))
        }
    }
}

/// The receivers and the verb that goes with them.
fn have(receivers: &[ReceiverName]) -> String {
    let verb = if receivers.len() == 1 {
        "has"
    } else {
        "have each"
    };
    format!("{} {verb}", named(receivers))
}

/// What the loss of the broker costs.
fn broker_lost(jetstream: &JetStreamSettings) -> String {
    let replicas = jetstream.stream.replicas.get();
    let spare = (replicas - 1) / 2;
    let lost = match (spare, jetstream.stream.storage) {
        (0, Storage::File) => "a broker that loses its disk".to_owned(),
        (0, Storage::Memory) => {
            "a broker that stops loses what it holds (it is in memory), which".to_owned()
        }
        (1, _) => "one broker of a group may be lost; the loss of more".to_owned(),
        (spare, _) => format!("{spare} brokers of a group may be lost; the loss of more"),
    };
    format!("{lost} costs a retransmission, not an event")
}

fn transport(transport: SyncTransport) -> &'static str {
    match transport {
        SyncTransport::Http => "HTTP",
    }
}

fn failed(on_failure: OnFailure) -> &'static str {
    match on_failure {
        OnFailure::Fail => "is taken back before its caller is answered",
    }
}

fn text(duration: std::time::Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    duration::Duration::from_millis(millis).to_string()
}

#[cfg(test)]
mod tests {
    use duet_crd::{Channel, EXAMPLE};
    use duet_protocol::settings::{Canary, Percent};
    use std::num::NonZeroU32;

    use super::*;

    fn settings(change: impl FnOnce(&mut Settings, &mut JetStreamSettings)) -> Settings {
        let channel = Channel::from_yaml(EXAMPLE).unwrap();
        let mut settings = Settings::try_from(&channel).unwrap();
        let mut r#async = settings.r#async.clone().unwrap();
        let TransportSettings::NatsJetStream(mut jetstream) = r#async.transport;
        change(&mut settings, &mut jetstream);
        r#async.transport = TransportSettings::NatsJetStream(jetstream);
        settings.r#async = Some(r#async);
        settings
    }

    #[test]
    fn what_is_promised_follows_from_the_settings() {
        type Change = fn(&mut Settings, &mut JetStreamSettings);
        let cases: &[(Change, &str)] = &[
            (
                |_, _| {},
                "A caller is answered after notification has stored the event, effectively once, over HTTP; a call that fails, or takes longer than 2s, is taken back before its caller is answered.",
            ),
            (
                |settings, _| settings.mode = Mode::Async,
                "A caller is answered as soon as its event is durable at reaction; NATS JetStream brings it to notification, where it is stored effectively once, whatever fails in between: a broker that loses its disk costs a retransmission, not an event.",
            ),
            (
                |settings, _| settings.to.extend(ReceiverName::new("trending")),
                "A caller is answered after notification and trending have each stored the event, effectively once, over HTTP; a call that fails, or takes longer than 2s, is taken back before its caller is answered.",
            ),
            (
                |settings, _| {
                    settings.canary = Some(Canary {
                        mode: Mode::Async,
                        percent: Percent::new(10).unwrap(),
                    })
                },
                "is taken back before its caller is answered. For 10 of 100 pairs, the canary: A caller is answered as soon as its event is durable at reaction; NATS JetStream brings it to notification, where it is stored effectively once, whatever fails in between: a broker that loses its disk costs a retransmission, not an event.",
            ),
            (
                |settings, jetstream| {
                    settings.mode = Mode::Async;
                    jetstream.stream.storage = Storage::Memory;
                },
                "a broker that stops loses what it holds (it is in memory), which costs a retransmission, not an event.",
            ),
            (
                |settings, jetstream| {
                    settings.mode = Mode::Async;
                    jetstream.stream.replicas = NonZeroU32::new(3).unwrap();
                },
                "one broker of a group may be lost; the loss of more costs a retransmission, not an event.",
            ),
            (
                |settings, jetstream| {
                    settings.mode = Mode::Async;
                    jetstream.stream.replicas = NonZeroU32::new(5).unwrap();
                },
                "2 brokers of a group may be lost; the loss of more costs a retransmission, not an event.",
            ),
        ];
        for (change, expected) in cases {
            let sentence = guarantee(&settings(change));
            assert!(sentence.ends_with(expected), "{sentence}");
        }
    }
}
