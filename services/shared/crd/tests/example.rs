//! The Channel that a laptop starts with.

#![allow(clippy::unwrap_used)] // a test that ends there has failed as it should

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use duet_crd::{Channel, EXAMPLE};
use duet_protocol::settings::{
    AsyncSettings, BatchSettings, Generation, Mode, Settings, SyncSettings, TracesAsync,
    TransportSettings,
};

fn settings(text: &str) -> Settings {
    Settings::try_from(&Channel::from_yaml(text).unwrap()).unwrap()
}

/// The example without its optional fields.
const SHORTEST: &str = "
apiVersion: duet.dev/v1alpha1
kind: Channel
metadata: {name: reactions}
spec:
  from: reaction
  to: [{name: notification}]
  mode: Sync
  async:
    transport: NATSJetStream
    natsJetStream: {stream: {name: REACTIONS, subject: duet.reactions, maxBytes: 1Gi}}
";

#[test]
fn it_is_read_and_means_what_it_says() {
    let settings = settings(EXAMPLE);
    assert_eq!(
        (settings.channel.as_str(), settings.generation),
        ("reactions", Generation::FIRST)
    );
    assert_eq!(
        (settings.from.as_str(), settings.to[0].as_str()),
        ("reaction", "notification")
    );
    assert_eq!(settings.mode, Mode::Sync);
    assert_eq!(settings.sync, SyncSettings::default());
    assert_eq!(settings.traces, TracesAsync::Continue);

    let AsyncSettings {
        transport: TransportSettings::NatsJetStream(nats),
        batch,
    } = settings.r#async.unwrap();
    assert_eq!(batch, BatchSettings::default());
    assert_eq!(
        batch,
        BatchSettings {
            max_events: NonZeroUsize::new(256).unwrap(),
            linger: Duration::from_millis(5)
        }
    );
    assert_eq!(
        (nats.stream.name.as_str(), nats.stream.subject.as_str()),
        ("REACTIONS", "duet.reactions")
    );
    assert_eq!(
        (nats.stream.replicas.get(), nats.stream.max_bytes.get()),
        (1, 1 << 30)
    );
    assert_eq!(nats.stream.max_age, Duration::from_secs(72 * 3600));
    assert_eq!(nats.stream.duplicate_window, Duration::from_secs(120));
    assert_eq!(nats.consumer.ack_wait, Duration::from_secs(30));
    assert_eq!(nats.consumer.max_ack_pending.get(), 4096);
}

#[test]
fn it_shows_every_default_as_it_is() {
    assert_eq!(settings(EXAMPLE), settings(SHORTEST));
}

#[test]
fn it_shows_every_field_that_is_in_force() {
    let read = serde_json::to_value(Channel::from_yaml(EXAMPLE).unwrap()).unwrap();
    fn missing(
        schema: &serde_json::Value,
        value: &serde_json::Value,
        path: &str,
        found: &mut Vec<String>,
    ) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            match value.get(name) {
                Some(value) => missing(field, value, &format!("{path}.{name}"), found),
                None => found.push(format!("{path}.{name}")),
            }
        }
    }
    let mut found = Vec::new();
    missing(duet_crd::schema(), &read, "", &mut found);
    // What the Kubernetes API fills in, and what means nothing on a laptop; and what is shown in a comment, for it is not wanted at first.
    let theirs = ["annotations", "generation", "labels", "namespace", "uid"];
    let mut expected: Vec<_> = theirs.map(|field| format!(".metadata.{field}")).into();
    expected.extend([".spec.canary", ".spec.faults"].map(str::to_owned));
    assert_eq!(found, expected);
}

#[test]
fn what_it_shows_in_comments_is_good_too() {
    let shown = EXAMPLE.replace("\n  # canary:", "\n  canary:");
    let shown = settings(&shown.replace("\n  # faults:", "\n  faults:"));
    let canary = shown.canary.unwrap();
    assert_eq!((canary.mode, canary.percent.get()), (Mode::Async, 10));
    let faults = shown.faults.unwrap();
    assert_eq!(faults.delay, Duration::from_millis(200));
    assert_eq!((faults.errors.get(), faults.hangs.get()), (5, 1));
    assert_eq!(faults.max_per_second.map(|most| most.get()), Some(500));
}

#[test]
fn it_holds_the_line_that_switches_the_mode() {
    assert_eq!(EXAMPLE.matches("\n  mode: Sync ").count(), 1);
    assert_eq!(
        settings(&EXAMPLE.replace("\n  mode: Sync ", "\n  mode: Async ")).mode,
        Mode::Async
    );
}

#[test]
fn what_is_written_is_read_back_the_same() {
    for text in [EXAMPLE, SHORTEST] {
        let channel = Channel::from_yaml(text).unwrap();
        assert_eq!(
            Channel::from_yaml(&channel.to_yaml().unwrap()).unwrap(),
            channel
        );
    }
}

#[test]
fn a_channel_that_is_only_ever_sync_needs_no_broker() {
    let alone = SHORTEST.split("  async:").next().unwrap();
    assert_eq!(settings(alone).r#async, None);
}

#[test]
fn an_empty_section_is_the_same_as_none() {
    let text = SHORTEST.replace("  async:", "  sync:\n  traces:\n  async:");
    assert_eq!(settings(&text), settings(SHORTEST));
}

#[test]
fn a_generation_that_is_given_is_kept() {
    let text = SHORTEST.replace("{name: reactions}", "{name: reactions, generation: 7}");
    assert_eq!(settings(&text).generation, Generation(7));
}

#[test]
fn sizes_may_be_plain_numbers() {
    assert_eq!(
        settings(&SHORTEST.replace("1Gi", "1073741824")),
        settings(SHORTEST)
    );
}

#[test]
fn json_is_read_as_well() {
    let json = serde_json::to_string(&Channel::from_yaml(EXAMPLE).unwrap()).unwrap();
    assert_eq!(settings(&json), settings(EXAMPLE));
}

#[test]
fn the_channels_for_a_cluster_are_good_and_may_follow_one_another() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deploy/channels");
    let channels: Vec<Channel> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .map(|text| Channel::from_yaml(&text).unwrap())
        .collect();
    assert!(!channels.is_empty());
    for (before, after) in channels.iter().zip(&channels[1..]) {
        assert_eq!(after.may_follow(before), Ok(()));
    }
}
