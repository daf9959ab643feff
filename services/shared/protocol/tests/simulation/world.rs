//! The world a pair lives in: a clock turned by hand, what is on its way, and the parts that can fail. `sending` and `receiving` are
//! the two processes, composed of the machines as the shell composes them.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use duet_protocol::event::{Event, EventId};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::receive::Outcome;
use duet_protocol::rules::Rules;
use duet_protocol::sequence::{Source, StoreId};
use duet_protocol::settings::{Generation, Mode, Settings};
use duet_protocol::time::{Moment, Timestamp};

use crate::actions::Action;
use crate::broker::Broker;
use crate::checks;
use crate::dice::Dice;
use crate::faults::{Fault, Faults};
use crate::happening::{Happening, Scheduled};
use crate::model::Model;
use crate::plan::{self, Plan};
use crate::receiving::ReceiverProcess;
use crate::sending::SenderProcess;
use crate::tables::{Outbox, ReactionRows, ReceiverStore, SenderStore};

/// A receiver: its store, its process if it runs, and the broker's stream to it.
pub(crate) struct Node {
    pub(crate) name: ReceiverName,
    pub(crate) store: ReceiverStore,
    pub(crate) process: Option<ReceiverProcess>,
    pub(crate) broker: Broker,
    pub(crate) broker_backup: Option<Broker>,
    pub(crate) consume_at: Option<Moment>,
    pub(crate) clock_back: Duration,
    /// Its store was restored to before what the sender had forgotten when it heard of that.
    pub(crate) lacks: bool,
    pub(crate) backup: Option<ReceiverStore>,
}

/// See the module.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) faults: Faults,
    pub(crate) dice: Dice,
    pub(crate) rules: Arc<Rules>,
    pub(crate) settings: Settings,
    pub(crate) now: Moment,
    pub(crate) store: SenderStore,
    pub(crate) sender: Option<Box<SenderProcess>>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) model: Model,
    /// A store was restored, an event corrupted or a row lost: that must be noticed.
    pub(crate) damaged: bool,
    /// How often something was.
    pub(crate) damages: u64,
    /// So was what the sender sends.
    pub(crate) sender_damaged: bool,
    pub(crate) corrupted: BTreeSet<EventId>,
    pub(crate) processes: u64,
    pub(crate) callers: u32,
    /// How often what was damaged was healed.
    pub(crate) resyncs: u64,
    pub(crate) sender_clock_back: Duration,
    pub(crate) backup: Option<SenderStore>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    pub(crate) violation: Option<String>,
    pub(crate) log: Option<Vec<String>>,
}

/// How a run ended.
pub(crate) struct Run {
    pub(crate) faults: Faults,
    pub(crate) told: [u64; 4],
    pub(crate) noticed: bool,
    pub(crate) resyncs: u64,
    /// Follows from every throw of the dice, and from how much happened until when.
    pub(crate) way: u64,
    pub(crate) result: Result<(), String>,
    pub(crate) log: Vec<String>,
}

impl World {
    fn new(seed: u64, rules: Arc<Rules>, log: bool) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::draw(&mut dice);
        let faults = Faults::draw(&mut dice);
        let mode = if dice.chance(5_000) {
            Mode::Sync
        } else {
            Mode::Async
        };
        let names: Vec<ReceiverName> = ["notification", "trending", "search"][..plan.receivers]
            .iter()
            .filter_map(|name| ReceiverName::new(name))
            .collect();
        let settings = plan::settings(mode, Generation::FIRST, names.clone(), &mut dice);
        let node = |name: &ReceiverName| Node {
            name: name.clone(),
            store: ReceiverStore::default(),
            process: None,
            broker: Broker::new(plan.broker_capacity, plan.max_ack_pending),
            broker_backup: None,
            consume_at: None,
            clock_back: Duration::ZERO,
            lacks: false,
            backup: None,
        };
        let mut world = World {
            nodes: names.iter().map(node).collect(),
            store: SenderStore {
                outbox: Outbox::new(StoreId(dice.next()), plan.partitions),
                rows: ReactionRows::default(),
            },
            plan,
            faults,
            dice,
            rules,
            settings,
            now: Moment::START,
            sender: None,
            model: Model::default(),
            damaged: false,
            damages: 0,
            sender_damaged: false,
            corrupted: BTreeSet::new(),
            processes: 0,
            callers: 0,
            resyncs: 0,
            sender_clock_back: Duration::ZERO,
            backup: None,
            queue: BinaryHeap::new(),
            scheduled: 0,
            violation: None,
            log: log.then(Vec::new),
        };
        world.note(|world| format!("{:?} {:?}", world.plan, world.settings));
        world.sender_starts();
        for node in 0..world.nodes.len() {
            world.receiver_starts(node);
        }
        world
    }

    /// Runs one seed to its end.
    pub(crate) fn run(seed: u64, rules: Arc<Rules>, log: bool) -> Run {
        let mut world = World::new(seed, rules, log);
        for _ in 0..world.plan.actions {
            let action = Action::draw(&world.plan, &mut world.faults, &mut world.dice);
            world.act(action);
            if world.violation.is_some() {
                break;
            }
        }
        let noticed = world.violation.is_none() && world.come_to_rest();
        Run {
            faults: world.faults,
            told: world.model.told,
            noticed,
            resyncs: world.resyncs,
            way: Dice::new(world.dice.next() ^ world.scheduled).next()
                ^ Dice::new(world.now.since(Moment::START).as_nanos() as u64).next(),
            result: world.violation.map_or(Ok(()), Err),
            log: world.log.unwrap_or_default(),
        }
    }

    pub(crate) fn note(&mut self, line: impl FnOnce(&World) -> String) {
        if self.log.is_some() {
            let line = format!("{:>14?}  {}", self.now.since(Moment::START), line(self));
            if let Some(log) = &mut self.log {
                log.push(line);
            }
        }
    }

    pub(crate) fn check(&mut self, result: Result<(), String>) {
        if let Err(violation) = result {
            self.violation.get_or_insert(violation);
        }
    }

    pub(crate) fn schedule(&mut self, wait: Duration, what: Happening) {
        self.schedule_at(self.now + wait, what);
    }

    pub(crate) fn schedule_at(&mut self, at: Moment, what: Happening) {
        self.scheduled += 1;
        let (number, what) = (self.scheduled, Box::new(what));
        self.queue.push(Reverse(Scheduled { at, number, what }));
    }

    pub(crate) fn strikes(&mut self, fault: Fault) -> bool {
        self.faults.strike(fault, &mut self.dice)
    }

    /// How long a message takes; once faults have ended, none overtakes another.
    pub(crate) fn soon(&mut self) -> Duration {
        if self.faults.have_ended {
            return Duration::from_millis(2);
        }
        self.dice.mostly_short(Duration::from_millis(200))
    }

    fn wall(&self, back: Duration) -> Timestamp {
        let start = Duration::from_secs(1_750_000_000) + self.now.since(Moment::START);
        let micros = start.saturating_sub(back).as_micros();
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    pub(crate) fn sender_wall(&self) -> Timestamp {
        self.wall(self.sender_clock_back)
    }

    pub(crate) fn receiver_wall(&self, node: usize) -> Timestamp {
        self.wall(self.nodes[node].clock_back)
    }

    pub(crate) fn is_receiver(&self, node: usize) -> bool {
        self.settings.to.contains(&self.nodes[node].name)
    }

    /// Lets time pass, and with it what happens.
    pub(crate) fn pass(&mut self, wait: Duration) {
        let until = self.now + wait;
        while self.violation.is_none()
            && self
                .queue
                .peek()
                .is_some_and(|Reverse(next)| next.at <= until)
        {
            self.step();
        }
        self.now = self.now.max(until);
    }

    pub(crate) fn step(&mut self) {
        let Some(Reverse(next)) = self.queue.pop() else {
            return;
        };
        self.now = next.at;
        self.happens(*next.what);
        let held = checks::always(self);
        self.check(held);
        if self.scheduled.is_multiple_of(64) {
            let held = checks::bounds(self);
            self.check(held);
        }
    }

    fn happens(&mut self, what: Happening) {
        match what {
            Happening::SenderStarts => self.sender_starts(),
            Happening::SenderWakes => self.sender_wakes(),
            Happening::Commit { process } => self.commit(process),
            Happening::Committed { process, appended } => self.committed(process, appended),
            Happening::JobDone { process, done } => self.job_done(process, done),
            Happening::Sent {
                attempt,
                sent,
                receipts,
            } => self.sent(attempt, sent, receipts),
            Happening::Loaded {
                process,
                load,
                fails,
            } => self.loaded(process, load, fails),
            Happening::HelloAnswered {
                process,
                id,
                answer,
            } => self.hello_answered(process, id, answer),
            Happening::BacklogTold {
                process,
                node,
                backlog,
            } => self.backlog_told(process, node, backlog),
            Happening::Feedback { receipts } => self.feedback(receipts),
            Happening::ReceiverStarts { node } => self.receiver_starts(node),
            Happening::ReceiverWakes { node } => self.receiver_wakes(node),
            Happening::Request(request) => self.request_arrives(request),
            Happening::Consume { node } => self.consume(node),
            Happening::Process {
                node,
                incarnation,
                taken,
            } => self.process(node, incarnation, taken),
            Happening::HelloArrives { node, process, id } => self.hello_arrives(node, process, id),
            Happening::Publish {
                node,
                message,
                events,
                attempt,
            } => self.publish_arrives(node, message, &events, attempt),
            Happening::Settle { node, places } => {
                if !self.nodes[node].broker.is_down() {
                    self.nodes[node].broker.settle(&places);
                }
                self.schedule_consume(node);
            }
            Happening::BrokerBack { node } => self.broker_back(node),
            Happening::Provisioned { node } => self.provisioned(node),
            Happening::Heals { node, key } => {
                if !self.faults.have_ended {
                    let rows = &mut self.nodes[node].store.rows;
                    rows.failing.remove(&key);
                    rows.unknown.remove(&key);
                }
            }
        }
    }

    fn broker_back(&mut self, node: usize) {
        let broker = &mut self.nodes[node].broker;
        if broker.down_until.is_some_and(|until| until <= self.now) {
            broker.down_until = None;
            self.sender_reconnected();
            self.schedule_consume(node);
        }
    }

    pub(crate) fn damage(&mut self) {
        self.damaged = true;
        self.damages += 1;
    }

    pub(crate) fn damage_sender(&mut self) {
        self.damage();
        self.sender_damaged = true;
    }

    /// Whether a resync has begun since something was damaged last; and not, by a clock that was set back, below what a receiver holds
    /// of a store that is gone: that one heals nothing, and a hello says so.
    pub(crate) fn is_being_healed(&self) -> bool {
        self.model.resynced_after == Some(self.damages) && self.sender_clock_back.is_zero()
    }

    /// Whether nothing that was damaged concerns a source: it is all healed, or a resync has begun with it or before it since.
    pub(crate) fn is_sound(&self, source: Source) -> bool {
        let resync = self.store.outbox.last_resync();
        let is_over = resync.is_some_and(|resync| resync.is_after(source));
        !self.damaged || self.is_being_healed() && !is_over
    }

    /// What is lacking is rightly an alarm, also if it comes later after all.
    pub(crate) fn note_lack(&mut self, node: usize) {
        let Node { name, store, .. } = &self.nodes[node];
        if checks::lacks(&self.store.outbox, name, &store.received) {
            self.nodes[node].lacks = true;
        }
    }

    pub(crate) fn node_of(&self, receiver: &ReceiverName) -> usize {
        let mut nodes = self.nodes.iter();
        nodes.position(|node| node.name == *receiver).unwrap_or(0)
    }
}

/// What a receiver answers to a request that it gets to too late.
pub(crate) fn all_late(events: &[Arc<Event>]) -> Vec<Outcome> {
    events.iter().map(|_| Outcome::Late).collect()
}
