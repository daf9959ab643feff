//! The sender's times and limits, and the backoff between attempts.

use std::time::Duration;

use super::wire::{Path, Transmission};
use crate::dice::Dice;
use crate::event::Event;
use crate::route::Route;
use crate::settings::{Mode, Settings};
use crate::time::Moment;

/// The times by which a sender waits, asks and gives up: process settings, so that tests need not wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// An event is overdue this long after it was sent, beyond the consumer's ackWait, when one sent later was received.
    pub order_slack: Duration,
    /// An event is overdue when the broker has been done with its place for this long and no receipt covers it.
    pub place_patience: Duration,
    /// Where loss can be judged by age alone: how old. Doubles with every sending, up to `resend_max`.
    pub age_patience: Duration,
    /// How often a broker's leader is asked for its backlog while events await receipts.
    pub backlog_every: Duration,
    /// How often what awaits receipts is looked through.
    pub scan_every: Duration,
    /// Hello is said this often.
    pub hello_every: Duration,
    /// How long a hello's answer is waited for.
    pub hello_patience: Duration,
    /// At least this long between two hellos to one receiver.
    pub hello_pause: Duration,
    /// The wait after a path's first failure; doubles with each further one.
    pub backoff_initial: Duration,
    /// The longest wait after a path's failure.
    pub backoff_max: Duration,
    /// What is sent this often and still unreceived is told of, and from then on sent ever more rarely.
    pub sends_before_condition: u32,
    /// The longest wait between two sendings of one event.
    pub resend_max: Duration,
    /// The most events tracked for one source and receiver. What lies beyond waits in the store.
    pub max_tracked: usize,
    /// The most events kept in memory whole. What lies beyond is read back from the store.
    pub max_kept: usize,
}

impl Default for Timing {
    fn default() -> Self {
        const SECOND: Duration = Duration::from_secs(1);
        Timing {
            order_slack: 15 * SECOND,
            place_patience: 60 * SECOND,
            age_patience: 60 * SECOND,
            backlog_every: 10 * SECOND,
            scan_every: SECOND,
            hello_every: 30 * SECOND,
            hello_patience: 5 * SECOND,
            hello_pause: SECOND,
            backoff_initial: Duration::from_millis(50),
            backoff_max: 5 * SECOND,
            sends_before_condition: 5,
            resend_max: 600 * SECOND,
            max_tracked: 262_144,
            max_kept: 16_384,
        }
    }
}

impl Timing {
    /// How old something that was sent so often must be to be lost, where age alone can tell.
    pub(super) fn loss_age(&self, sends: u32) -> Duration {
        let doubled = self.age_patience * (1 << sends.min(8).saturating_sub(1));
        doubled.min(self.resend_max.max(self.age_patience))
    }
}

/// What one message or request of a path may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Events in it.
    pub events: usize,
    /// Bytes of it.
    pub bytes: usize,
    /// Messages or background requests under way at once.
    pub in_flight: usize,
}

/// What the settings in force and the transports at hand come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which way each event goes.
    pub route: Route,
    /// How long a batch that isn't full waits for more.
    pub linger: Duration,
    /// What a request may carry.
    pub call: Capacity,
    /// What a message may carry.
    pub broker: Capacity,
    /// How long the broker's consumer may hold a message before it is given out again.
    pub ack_wait: Duration,
}

/// A batch ends here, whatever the transport takes.
const MAX_BYTES: usize = 512 * 1024;

impl Policy {
    /// From the settings, within what the transports can carry.
    pub fn new(settings: &Settings, call: Capacity, broker: Capacity) -> Self {
        let within = |capacity: Capacity, events: usize| Capacity {
            events: events.min(capacity.events).max(1),
            bytes: MAX_BYTES.min(capacity.bytes),
            in_flight: capacity.in_flight.max(1),
        };
        let sync = within(call, settings.sync.batch.max_events.get());
        let asynchronous = settings.r#async.as_ref();
        let batch = asynchronous
            .map(|settings| settings.batch)
            .unwrap_or_default();
        let route = settings.route();
        Policy {
            route,
            linger: match route.uses(Mode::Async) {
                true => batch.linger,
                false => Duration::ZERO,
            },
            call: sync,
            broker: within(broker, batch.max_events.get()),
            ack_wait: asynchronous.map_or(Duration::from_secs(30), |settings| {
                settings.transport.ack_wait()
            }),
        }
    }

    /// Before any settings are known: what the outbox holds goes by calls.
    pub fn idle(call: Capacity) -> Self {
        Policy {
            route: Route::all(Mode::Sync),
            linger: Duration::ZERO,
            call,
            broker: call,
            ack_wait: Duration::from_secs(30),
        }
    }

    /// The ways that are taken, first the one that all take who don't take another.
    pub(super) fn paths(&self) -> impl Iterator<Item = Path> + use<> {
        let main = Path::from(self.route.mode);
        let other = match main {
            Path::Call => Path::Broker,
            Path::Broker => Path::Call,
        };
        std::iter::once(main).chain(self.route.is_split().then_some(other))
    }

    /// Whether some events go this way.
    pub(super) fn uses(&self, path: Path) -> bool {
        self.paths().any(|used| used == path)
    }

    /// Which way an event goes. An epoch's opening is about no key.
    pub fn path_of(&self, event: &Event) -> Path {
        let data = event.data();
        let mode = data.map_or(self.route.mode, |data| self.route.mode_of(&data.key));
        mode.into()
    }

    /// Whether all that was sent still goes the same way.
    pub(super) fn is_way_of(&self, sent: &Transmission) -> bool {
        let mut events = sent.events.iter();
        events.all(|(event, _)| self.path_of(event) == sent.path)
    }

    /// The most events that travel together on any way that is taken.
    pub(super) fn batch(&self) -> usize {
        let events = self.paths().map(|path| self.capacity(path).events);
        events.max().unwrap_or(1)
    }

    /// So many fill a batch of some way that is taken.
    pub(super) fn least_full(&self) -> usize {
        let events = self.paths().map(|path| self.capacity(path).events);
        events.min().unwrap_or(1)
    }

    pub(super) fn capacity(&self, path: Path) -> Capacity {
        match path {
            Path::Call => self.call,
            Path::Broker => self.broker,
        }
    }
}

/// Exponential backoff with full jitter on its upper half, from a generator with a fixed seed: randomness is an argument too.
#[derive(Debug)]
pub(super) struct Jitter(Dice);

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Jitter(Dice::new(seed))
    }

    /// A wait of between half of `initial * 2^failures` and all of it, at most `max`.
    pub(super) fn backoff(&mut self, initial: Duration, max: Duration, failures: u32) -> Duration {
        let whole = initial.saturating_mul(1 << failures.min(20)).min(max);
        whole.mul_f64(0.5 + self.0.share() / 2.0)
    }
}

/// The sooner of two moments, if any.
pub(super) fn sooner(a: Option<Moment>, b: Option<Moment>) -> Option<Moment> {
    a.into_iter().chain(b).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{DeliverySettings, Generation, SyncSettings, TracesAsync};

    #[test]
    fn loss_by_age_is_judged_ever_later_but_no_later_than_the_longest_wait() {
        let timing = Timing::default();
        let minutes = |sends| timing.loss_age(sends).as_secs() / 60;
        assert_eq!([1, 2, 3, 4, 5, 100].map(minutes), [1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn a_batch_ends_at_half_a_mebibyte_also_where_its_way_takes_more() {
        let settings = Settings {
            channel: "reactions".into(),
            generation: Generation::FIRST,
            from: "reaction".into(),
            to: Vec::new(),
            mode: Mode::Sync,
            canary: None,
            sync: SyncSettings::default(),
            r#async: None,
            delivery: DeliverySettings::default(),
            traces: TracesAsync::default(),
            faults: None,
        };
        let takes = |bytes| Capacity {
            events: 1,
            bytes,
            in_flight: 1,
        };
        let policy = Policy::new(&settings, takes(1 << 20), takes(1 << 10));
        assert_eq!([policy.call.bytes, policy.broker.bytes], [524_288, 1_024]);
    }
}
