//! The world a pair lives in: a clock turned by hand, what is on its way, and the parts that can fail. `sending` and `receiving` are
//! the two processes, composed of the machines as the shell composes them.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use duet_protocol::event::{Event, EventId};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::receive::Outcome;
use duet_protocol::record::Health;
use duet_protocol::rules::Rules;
use duet_protocol::sender::ReceiverStanding;
use duet_protocol::sequence::StoreId;
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
use crate::transactions::Job;

/// A receiver: its store, its process if it runs, and the broker's stream to it.
pub(crate) struct Node {
    pub(crate) name: ReceiverName,
    pub(crate) store: ReceiverStore,
    pub(crate) process: Option<ReceiverProcess>,
    pub(crate) broker: Broker,
    broker_backup: Option<Broker>,
    pub(crate) consume_at: Option<Moment>,
    pub(crate) clock_back: Duration,
    /// Its store was restored to before what the sender had forgotten when it heard of that.
    pub(crate) lacks: bool,
    backup: Option<ReceiverStore>,
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
    /// A store was restored or an event corrupted: what was lost with it must be noticed.
    pub(crate) damaged: bool,
    /// So was what the sender sends.
    pub(crate) sender_damaged: bool,
    pub(crate) corrupted: BTreeSet<EventId>,
    pub(crate) processes: u64,
    pub(crate) callers: u32,
    /// How often what was damaged was healed.
    pub(crate) resyncs: u64,
    sender_clock_back: Duration,
    backup: Option<SenderStore>,
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

    fn act(&mut self, action: Action) {
        self.note(|_| format!("{action:?}"));
        match action {
            Action::Wait(wait) => return self.pass(wait),
            Action::Request { key, value } => self.request(key, value),
            Action::Switch => {
                let mode = match self.settings.mode {
                    Mode::Sync => Mode::Async,
                    Mode::Async => Mode::Sync,
                };
                self.reconfigure(mode, self.settings.to.clone());
            }
            Action::Reconfigure => self.reconfigure(self.settings.mode, self.settings.to.clone()),
            Action::JoinOrLeave(node) => self.join_or_leave(node),
            Action::CrashSender => self.crash_sender(),
            Action::CrashReceiver(node) => self.crash_receiver(node),
            Action::CrashBroker(node, lost) => {
                self.nodes[node].broker.lose_end(lost);
                self.break_broker(node, Duration::from_secs(1));
            }
            Action::WipeBroker(node, absent) => {
                let back = self.now + absent;
                self.nodes[node].broker.wipe(back);
                self.break_broker(node, absent / 2);
            }
            Action::BrokerDown(node, time) => self.break_broker(node, time),
            Action::BrokerDeaf(node, time) => {
                let until = self.now + time;
                self.nodes[node].broker.deafen(until);
            }
            Action::PurgeBroker(node) => self.nodes[node].broker.purge(),
            Action::LoseConsumer(node, time) => {
                let until = self.now + time;
                self.nodes[node].broker.lose_consumer(until);
            }
            Action::BackUpBroker(node) => {
                self.nodes[node].broker_backup = Some(self.nodes[node].broker.clone())
            }
            Action::RestoreBroker(node) => {
                if let Some(older) = self.nodes[node].broker_backup.clone() {
                    self.nodes[node].broker.put_back(&older);
                    self.break_broker(node, Duration::from_secs(1));
                }
            }
            Action::NotKnowType(node, key, time) => {
                let rows = &mut self.nodes[node].store.rows;
                rows.unknown.insert(key.clone());
                rows.was_unknown.insert(key.clone());
                self.schedule(time, Happening::Heals { node, key });
            }
            Action::Redrive(node) => self.redrive(node, false),
            Action::FailToApply(node, key, time) => {
                self.nodes[node].store.rows.failing.insert(key.clone());
                self.schedule(time, Happening::Heals { node, key });
            }
            Action::SenderClockBack(back) => self.sender_clock_back += back,
            Action::ReceiverClockBack(node, back) => self.nodes[node].clock_back += back,
            Action::BackUpSender => self.backup = Some(self.store.clone()),
            Action::BackUpReceiver(node) => {
                self.nodes[node].backup = Some(self.nodes[node].store.clone())
            }
            Action::RestoreSender => {
                if let Some(backup) = self.backup.clone() {
                    self.crash_sender();
                    self.store = backup;
                    self.store.outbox.appended.clear();
                    let outbox = &self.store.outbox;
                    self.model.forget_unless(|id| outbox.knows(id));
                    (self.damaged, self.sender_damaged) = (true, true);
                }
            }
            Action::ReplaceSender => self.replace_sender(),
            Action::Resync => {
                self.submit(Job::Resync);
                self.drive_sender();
            }
            Action::RestoreReceiver(node) => {
                let backup = self.nodes[node].backup.clone();
                self.lose_receiver(node, backup.unwrap_or_default());
            }
        }
        self.pass(Duration::ZERO);
    }

    /// A receiver goes on with an older store, or an empty one.
    fn lose_receiver(&mut self, node: usize, older: ReceiverStore) {
        self.crash_receiver(node);
        self.nodes[node].store = older;
        self.damaged = true;
        self.note_lack(node);
    }

    fn break_broker(&mut self, node: usize, time: Duration) {
        self.nodes[node].broker.down_until = Some(self.now + time);
        self.schedule(time, Happening::BrokerBack { node });
    }

    /// The last receiver stays.
    fn join_or_leave(&mut self, node: usize) {
        let (mut to, name) = (self.settings.to.clone(), self.nodes[node].name.clone());
        match to.iter().position(|other| *other == name) {
            Some(at) if to.len() > 1 => drop(to.remove(at)),
            Some(_) => return,
            None => to.push(name),
        }
        self.reconfigure(self.settings.mode, to);
        let wait = self.dice.mostly_short(Duration::from_secs(2));
        self.schedule(wait, Happening::Provisioned { node });
    }

    /// A receiver that is none any more has no consumer, and what waited for it is gone.
    fn provisioned(&mut self, node: usize) {
        let is_receiver = self.is_receiver(node);
        let broker = &mut self.nodes[node].broker;
        match (is_receiver, broker.is_there()) {
            (true, false) => broker.is_made(),
            (false, true) => broker.is_removed(),
            _ => {}
        }
    }

    pub(crate) fn is_receiver(&self, node: usize) -> bool {
        self.settings.to.contains(&self.nodes[node].name)
    }

    fn reconfigure(&mut self, mode: Mode, to: Vec<ReceiverName>) {
        let generation = self.settings.generation.next();
        self.settings = plan::settings(mode, generation, to, &mut self.dice);
        self.note(|world| format!("{:?}", world.settings));
        let policy = self.policy();
        let now = self.now;
        if let Some(sender) = &mut self.sender {
            sender.machine.configure(policy, now);
        }
        self.submit(Job::Follow);
        self.drive_sender();
    }

    /// Lets time pass, and with it what happens.
    fn pass(&mut self, wait: Duration) {
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

    fn step(&mut self) {
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

    /// Faults end. Everything must come to rest, and be as it should be; or, if something was damaged, be noticed. Whether it was noticed.
    fn come_to_rest(&mut self) -> bool {
        self.note(|_| "faults end".into());
        let loses_receiver = self.faults.may(Fault::RestoreReceiver);
        self.faults.end();
        for node in 0..self.nodes.len() {
            let now = self.now;
            if self.nodes[node].broker.heal(now) {
                self.sender_reconnected();
            }
            self.provisioned(node);
            self.schedule_consume(node);
        }
        self.run_until(checks::is_received);
        for node in 0..self.nodes.len() {
            self.nodes[node].store.rows.failing.clear();
            self.nodes[node].store.rows.unknown.clear();
            self.redrive(node, true);
        }
        self.run_until(checks::is_applied);
        if loses_receiver && self.violation.is_none() && !self.is_noticed() {
            self.note(|_| "a receiver's store is lost while all is quiet".into());
            let receivers = 0..self.nodes.len();
            let node = receivers.into_iter().find(|node| self.is_receiver(*node));
            self.lose_receiver(node.unwrap_or(0), ReceiverStore::default());
        }
        let rest = self.now + Duration::from_secs(30) + 4 * self.plan.timing.quiet;
        let damaged = self.damaged;
        self.run_until(|world| !damaged || world.now >= rest);
        let noticed = self.is_noticed();
        if noticed {
            self.heal();
        }
        if self.violation.is_none() {
            let held = checks::finally(self).and_then(|()| checks::at_rest(self));
            self.check(held);
        }
        noticed
    }

    /// Runs until something is so, or what was damaged is noticed.
    fn run_until(&mut self, done: impl Fn(&World) -> bool) {
        self.run_through(|world| done(world) || world.is_noticed());
    }

    pub(crate) fn run_through(&mut self, done: impl Fn(&mut World) -> bool) {
        const PATIENCE: Duration = Duration::from_secs(4 * 3_600);
        let began = self.now;
        while self.violation.is_none() && !done(self) {
            if self.now.since(began) > PATIENCE {
                let standing = self.sender.as_ref().map(|sender| sender.machine.standing());
                self.check(Err(format!(
                    "it does not come to rest: {} in the outbox, {standing:?}",
                    self.store.outbox.len()
                )));
            }
            self.step();
        }
    }

    pub(crate) fn is_noticed(&self) -> bool {
        self.damaged
            && self.sender.as_ref().is_some_and(|sender| {
                let receivers = sender.machine.standing().receivers;
                let unsound = |receiver: &ReceiverStanding| {
                    !matches!(receiver.health, Health::Sound | Health::Resyncing)
                        || receiver.ledger_differs
                };
                receivers.iter().any(unsound)
            })
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
