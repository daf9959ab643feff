//! What is measured: a commit group's way through the machines. Each step is prepared first, and then done.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use duet_protocol::accept::{Accepting, Dispatch, Request};
use duet_protocol::calls::Calls;
use duet_protocol::decision::Decision;
use duet_protocol::event::{Data, Event, Key, TraceContext};
use duet_protocol::inbox::Inbox;
use duet_protocol::membership::{self, NewEpochs};
use duet_protocol::outbox::OutboxTables;
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::receipts::{ReceiptTiming, Receipts};
use duet_protocol::receive::{Apply, Arrival, Failure, Outcome, Receiving, receipts};
use duet_protocol::record::{Recorded, record};
use duet_protocol::route::Route;
use duet_protocol::rules::Rules;
use duet_protocol::sender::{Capacity, Policy, Sender, Sent, Timing};
use duet_protocol::sequence::{Epoch, Incarnation, Lane, StoreId, Version};
use duet_protocol::settings::{DeliverySettings, Generation, Mode};
use duet_protocol::sweep::{Sweep, Swept};
use duet_protocol::time::{Moment, Timestamp};

use crate::tables::{self, Outbox, ReactionRows, Received, SenderStore};

/// Reactions of one commit group, and events of one batch.
pub(crate) const GROUP: u32 = 256;
/// Groups that were there before: tables are not empty.
const BEFORE: u32 = 16;

const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);
const LINGER: Duration = Duration::from_millis(5);
const CAPACITY: Capacity = Capacity {
    events: GROUP as usize,
    bytes: 1 << 20,
    in_flight: 64,
};
const DELIVERY: DeliverySettings = DeliverySettings {
    max_attempts: NonZeroU32::new(8).unwrap(),
    backoff_initial: Duration::from_secs(1),
    backoff_max: Duration::from_secs(600),
};

fn must<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

fn notification() -> ReceiverName {
    ReceiverName::new("notification").expect("a short name")
}

/// A group's requests, each of another pair.
fn requests(group: u32) -> Vec<Request<u8>> {
    let request = |number: u32| Request {
        key: Key::new(format!("post-{}/user-{number:08x}", number % 100)).expect("a short key"),
        value: Some(0),
        dispatch: Dispatch::Background,
        trace: TraceContext::default(),
        generation: Generation::FIRST,
    };
    (group * GROUP..(group + 1) * GROUP).map(request).collect()
}

/// A sender's store.
pub(crate) struct Sending {
    store: SenderStore,
    calls: Calls,
    rules: Arc<Rules>,
}

impl Sending {
    fn new() -> Self {
        let rules = Arc::new(Rules::default());
        let mut outbox = Outbox::new(StoreId(7), 1);
        let new = NewEpochs {
            wall: NOW,
            random: 1,
            generation: Generation::FIRST,
        };
        must(membership::open(
            &mut outbox,
            Some(&[notification()]),
            new,
            &rules,
        ));
        let mut sending = Self {
            store: SenderStore {
                outbox,
                rows: ReactionRows::default(),
            },
            calls: Calls::default(),
            rules,
        };
        for group in 0..BEFORE {
            sending.accept(&requests(group));
        }
        sending
    }

    fn accept(&mut self, requests: &[Request<u8>]) {
        let mut accepting = Accepting {
            outbox: &mut self.store.outbox,
            rows: &mut self.store.rows,
            calls: &mut self.calls,
            at: NOW,
            rules: &self.rules,
        };
        for request in requests {
            must(accepting.accept(request));
        }
    }

    fn hear(&mut self, receipt: &Receipt) -> Recorded {
        must(record(&mut self.store.outbox, receipt, &self.rules))
    }

    /// What was accepted since this was last asked.
    fn appended(&mut self) -> Vec<(Arc<Event>, Dispatch)> {
        let appended = std::mem::take(&mut self.store.outbox.appended);
        let event = |it| match it {
            tables::Appended::Event(event, dispatch) => Some((event, dispatch)),
            tables::Appended::Receivers(_) => None,
        };
        appended.into_iter().filter_map(event).collect()
    }

    fn machine(&mut self) -> Sender {
        let outbox = &mut self.store.outbox;
        let policy = Policy {
            route: Route::all(Mode::Async),
            linger: LINGER,
            call: CAPACITY,
            broker: CAPACITY,
            ack_wait: Duration::from_secs(30),
        };
        let head = must(outbox.head(Lane::default().partition)).unwrap_or(Epoch::ZERO);
        let mut machine = Sender::new(self.rules.clone(), Timing::default(), policy, head, 1);
        for (source, state) in outbox.standing() {
            machine.source_opened(source, state);
        }
        let name = notification();
        let (marks, begin) = (outbox.marks(&name), outbox.begins(&name));
        machine.receiver_known(name, Incarnation::default(), &begin, &marks, Moment::START);
        machine
    }
}

/// One transaction accepts a group.
pub(crate) mod accepting {
    use super::*;

    pub(crate) fn prepared() -> (Sending, Vec<Request<u8>>) {
        (Sending::new(), requests(BEFORE))
    }

    pub(crate) fn done((mut sending, requests): (Sending, Vec<Request<u8>>)) -> Sending {
        sending.accept(&requests);
        sending
    }
}

/// A receiver's store.
#[derive(Default)]
pub(crate) struct Receiver {
    inbox: Received,
    rows: AppliedRows,
    rules: Rules,
}

impl Receiver {
    fn receive(&mut self, events: &[Arc<Event>]) {
        let mut receiving = Receiving {
            inbox: &mut self.inbox,
            rows: &mut self.rows,
            receiver: &notification(),
            max_runs: Inbox::MAX_RUNS,
            now: NOW,
            delivery: &DELIVERY,
            seed: 1,
            rules: &self.rules,
        };
        let outcomes = must(receiving.receive(events, Arrival::Background));
        let applied = |it: &Outcome| matches!(it, Outcome::Applied(_));
        assert!(outcomes.iter().all(applied), "{outcomes:?}");
    }

    fn receipt(&mut self) -> Receipt {
        let lane = *self.inbox.inboxes.keys().next().expect("a lane");
        let told = receipts(&mut self.inbox, lane, &notification(), Epoch(1));
        must(told).pop().expect("a receipt")
    }
}

/// Rows that do nothing but remember which event wrote them.
#[derive(Default)]
struct AppliedRows(BTreeMap<Key, Version>);

impl Apply for AppliedRows {
    type Error = Infallible;

    fn held(&mut self, key: &Key) -> Result<Option<Version>, Infallible> {
        Ok(self.0.get(key).copied())
    }

    fn applies_at(&mut self, _: Timestamp) {}

    fn apply(
        &mut self,
        event: &Event,
        data: &Data,
    ) -> Result<Result<Option<Decision>, Failure>, Infallible> {
        self.0.insert(data.key.clone(), event.version());
        Ok(Ok(None))
    }

    fn tombstones(&mut self, _: Lane, _: Version, _: usize) -> Result<Vec<Key>, Infallible> {
        Ok(Vec::new())
    }

    fn drop_tombstone(&mut self, _: &Key) -> Result<(), Infallible> {
        Ok(())
    }

    fn sweep(&mut self, _: &Sweep, _: Option<&Key>, _: usize) -> Result<Swept, Infallible> {
        Ok(Swept::default())
    }
}

/// A sender that has forgotten all that it accepted, and the receiver that holds it.
fn settled() -> (Sending, Receiver) {
    let mut sending = Sending::new();
    let mut receiver = Receiver::default();
    receiver.receive(&events(&sending.appended()));
    sending.hear(&receiver.receipt());
    (sending, receiver)
}

fn events(appended: &[(Arc<Event>, Dispatch)]) -> Vec<Arc<Event>> {
    appended.iter().map(|(event, _)| event.clone()).collect()
}

/// The events of one more group, which the receiver has not.
fn sent() -> (Sending, Receiver, Vec<Arc<Event>>) {
    let (mut sending, receiver) = settled();
    sending.accept(&requests(BEFORE));
    let batch = events(&sending.appended());
    (sending, receiver, batch)
}

/// One transaction receives a batch.
pub(crate) mod receiving {
    use super::*;

    pub(crate) fn prepared() -> (Receiver, Vec<Arc<Event>>) {
        let (_, receiver, batch) = sent();
        (receiver, batch)
    }

    /// The same in two halves, every second event first: all the first half opens runs, and the second closes them.
    pub(crate) fn with_gaps() -> (Receiver, Vec<Arc<Event>>) {
        let (receiver, batch) = prepared();
        let (odd, even): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .partition(|event| event.sequence.0 % 2 == 1);
        (receiver, [odd, even].concat())
    }

    pub(crate) fn done((mut receiver, batch): (Receiver, Vec<Arc<Event>>)) -> Receiver {
        receiver.receive(&batch);
        receiver
    }
}

/// A receipt is recorded, and what it covers is forgotten.
pub(crate) mod recording {
    use super::*;

    pub(crate) fn prepared() -> (Sending, Receipt) {
        let (sending, mut receiver, batch) = sent();
        receiver.receive(&batch);
        let receipt = receiver.receipt();
        (sending, receipt)
    }

    pub(crate) fn done((mut sending, receipt): (Sending, Receipt)) -> (Sending, Recorded) {
        let recorded = sending.hear(&receipt);
        (sending, recorded)
    }
}

/// The sender's machine is told of a group, sends it, hears that the broker has it, and hears a receipt.
pub(crate) mod tracking {
    use super::*;

    pub(crate) type Prepared = (Sender, Vec<(Arc<Event>, Dispatch)>, Recorded);

    pub(crate) fn prepared() -> Prepared {
        let (mut sending, mut receiver) = settled();
        let machine = sending.machine();
        sending.accept(&requests(BEFORE));
        let group = sending.appended();
        receiver.receive(&events(&group));
        let recorded = sending.hear(&receiver.receipt());
        (machine, group, recorded)
    }

    pub(crate) fn done((mut machine, group, recorded): Prepared) -> Sender {
        let now = Moment::START + Duration::from_secs(1);
        machine.committed(group, now);
        let now = now + LINGER;
        while let Some(sent) = machine.poll_transmit(now) {
            machine.transmitted(&sent.receiver, sent.id, Sent::Stored(None), now);
        }
        machine.recorded(&notification(), &recorded, now);
        machine
    }
}

/// When a receiver is to tell what it holds: asked after each of a group's events.
pub(crate) mod telling {
    use super::*;

    pub(crate) fn prepared() -> (Receipts, Lane) {
        let mut receipts = Receipts::new(ReceiptTiming::default());
        let lane = Lane::default();
        receipts.known(lane, Moment::START);
        (receipts, lane)
    }

    pub(crate) fn done((mut receipts, lane): (Receipts, Lane)) -> u32 {
        let mut told = 0;
        for event in 0..GROUP {
            let now = Moment::START + Duration::from_micros(10) * event;
            receipts.advanced(lane, 1, now);
            while let Some(lane) = receipts.poll(now) {
                receipts.told(lane, now);
                told += 1;
            }
        }
        told
    }
}
