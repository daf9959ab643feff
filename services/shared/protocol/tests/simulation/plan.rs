//! The sizes and times of one run: small ones, so that what is rare at full size is common here.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use duet_protocol::receipt::ReceiverName;
use duet_protocol::sender::{Capacity, Timing};
use duet_protocol::settings::{
    AsyncSettings, BatchSettings, Canary, ConsumerSettings, DeliverySettings, Generation,
    JetStreamSettings, Mode, Percent, Settings, Storage, StreamSettings, SyncSettings, TracesAsync,
    TransportSettings,
};

use crate::dice::Dice;

/// What one run is like.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) receivers: usize,
    pub(crate) partitions: u16,
    pub(crate) keys: usize,
    pub(crate) values: u8,
    pub(crate) max_runs: usize,
    pub(crate) actions: usize,
    pub(crate) timing: Timing,
    pub(crate) capacity: Capacity,
    pub(crate) broker_capacity: usize,
    pub(crate) max_ack_pending: usize,
    pub(crate) delivery: DeliverySettings,
    /// Whether the broker can say what it is done with.
    pub(crate) tells_places: bool,
    /// How many rows a page of a resync or a sweep looks at.
    pub(crate) page: usize,
    /// While so much is unacknowledged, no more rows are told anew.
    pub(crate) most_unacknowledged: u64,
}

impl Plan {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let mut timing = Timing::default();
        if dice.chance(5_000) {
            timing.order_slack = dice.time(Duration::from_secs(5));
            timing.place_patience = dice.time(Duration::from_secs(10));
            timing.age_patience = Duration::from_secs(1) + dice.time(Duration::from_secs(10));
            timing.hello_every = Duration::from_secs(5);
        }
        timing.max_tracked = dice.one_of(&[4, 16, 262_144, 262_144]);
        timing.max_kept = dice.one_of(&[2, 8, 16_384, 16_384]);
        Plan {
            receivers: if dice.chance(1_500) {
                dice.one_of(&[2, 3])
            } else {
                1
            },
            partitions: dice.one_of(&[1, 1, 1, 1, 2, 3]),
            keys: 1 + dice.index(5),
            values: 1 + dice.below(3) as u8,
            max_runs: dice.one_of(&[1, 2, 4, 1024, 1024]),
            actions: 500 + dice.index(101),
            timing,
            capacity: Capacity {
                events: dice.one_of(&[1, 4, 256]),
                bytes: dice.one_of(&[1_200, 512 * 1024, 512 * 1024]),
                in_flight: dice.one_of(&[1, 2, 16]),
            },
            broker_capacity: dice.one_of(&[3, 20, 1_000_000, 1_000_000]),
            max_ack_pending: dice.one_of(&[1, 4, 4096, 4096]),
            delivery: DeliverySettings {
                max_attempts: NonZeroU32::new(dice.one_of(&[1, 2, 3, 1_000_000]))
                    .unwrap_or(NonZeroU32::MIN),
                backoff_initial: Duration::from_millis(dice.one_of(&[10, 1_000])),
                backoff_max: Duration::from_secs(dice.one_of(&[1, 5])),
            },
            tells_places: dice.chance(8_500),
            page: dice.one_of(&[1, 2, 256]),
            most_unacknowledged: dice.one_of(&[1, 1, 8, 4_096]),
        }
    }
}

/// A document that was just put in force.
pub(crate) fn settings(
    mode: Mode,
    generation: Generation,
    to: Vec<ReceiverName>,
    dice: &mut Dice,
) -> Settings {
    let deadline = dice.one_of(&[20, 200, 2_000, 2_000]);
    let events = |dice: &mut Dice| {
        NonZeroUsize::new(dice.one_of(&[1, 2, 8, 256])).unwrap_or(NonZeroUsize::MIN)
    };
    let sync = SyncSettings {
        deadline: Duration::from_millis(deadline),
        batch: BatchSettings {
            max_events: events(dice),
            linger: Duration::ZERO,
        },
        ..SyncSettings::default()
    };
    let stream = StreamSettings {
        name: "REACTIONS".into(),
        subject: "duet.reactions".into(),
        replicas: NonZeroU32::MIN,
        storage: Storage::File,
        max_bytes: NonZeroU64::MAX,
        max_age: Duration::from_secs(259_200),
        duplicate_window: Duration::from_secs(120),
    };
    let consumer = ConsumerSettings {
        ack_wait: Duration::from_secs(dice.one_of(&[2, 30])),
        max_ack_pending: NonZeroU32::MAX,
    };
    Settings {
        channel: "reactions".into(),
        generation,
        from: "reaction".into(),
        to,
        mode,
        canary: dice.chance(3_000).then(|| Canary {
            mode: dice.one_of(&[Mode::Sync, Mode::Async]),
            percent: dice.one_of(&[0, 10, 50, 100].map(|of| Percent::new(of).unwrap_or_default())),
        }),
        sync,
        r#async: Some(AsyncSettings {
            transport: TransportSettings::NatsJetStream(JetStreamSettings { stream, consumer }),
            batch: BatchSettings {
                max_events: events(dice),
                linger: Duration::from_millis(dice.one_of(&[0, 5, 50])),
            },
        }),
        delivery: DeliverySettings::default(), // a receiver's, which has the plan's
        traces: TracesAsync::Continue,
        faults: None,
    }
}
