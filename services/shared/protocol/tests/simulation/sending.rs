//! The sender's process: accept, send, record, compensate, composed as the shell composes them.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use duet_protocol::accept::{Dispatch, Failed, Request as Wanted};
use duet_protocol::calls::Calls;
use duet_protocol::event::{Key, TraceContext};
use duet_protocol::membership::{self, NewEpochs};
use duet_protocol::outbox::OutboxTables;
use duet_protocol::record::HelloAnswer;
use duet_protocol::resync;
use duet_protocol::sender::{Answer, HelloId, Path, Policy, Sender};
use duet_protocol::sequence::Epoch;
use duet_protocol::settings::Mode;
use duet_protocol::time::Moment;
use duet_protocol::unrecorded::Unrecorded;

use crate::checks;
use crate::faults::Fault;
use crate::happening::Happening;
use crate::model::Caller;
use crate::names::Names;
use crate::resyncing::Announcing;
use crate::tables::Value;
use crate::transactions::Job;
use crate::world::World;

/// What is in memory.
pub(crate) struct SenderProcess {
    pub(crate) number: u64,
    pub(crate) machine: Sender,
    pub(crate) calls: Calls<Pending>,
    /// How many requests were rolled back: what `calls` may still hold of them.
    pub(crate) rolled_back: usize,
    /// How many sources it started with: each may keep a batch over the limit.
    pub(crate) sources: usize,
    pub(crate) unrecorded: Unrecorded,
    pub(crate) recording: bool,
    /// Judged when nothing is being recorded: the machine hears of both in the order of their commits.
    pub(crate) answers: VecDeque<(HelloId, HelloAnswer)>,
    pub(crate) announcing: Announcing,
    pub(crate) jobs: VecDeque<Job>,
    pub(crate) commits: bool,
    pub(crate) hands_over_at: Moment,
    pub(crate) attempts: BTreeSet<u64>,
    pub(crate) next_attempt: u64,
    pub(crate) names: Names,
    wakes_at: Option<Moment>,
}

/// What the shell keeps of a call.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) callers: Vec<Caller>,
    pub(crate) undo: Option<Failed<Value>>,
    pub(crate) answer: Option<Answer>,
}

/// The tables in memory have no errors.
pub(crate) fn must<T>(result: Result<T, std::convert::Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

impl World {
    pub(crate) fn policy(&self) -> Policy {
        Policy::new(&self.settings, self.plan.capacity, self.plan.capacity)
    }

    pub(crate) fn sender_starts(&mut self) {
        if self.sender.is_some() {
            return;
        }
        let (wall, random) = (self.sender_wall(), self.dice.next() as u32);
        let new = NewEpochs {
            wall,
            random,
            generation: self.settings.generation,
        };
        let (outbox, to) = (&mut self.store.outbox, &self.settings.to);
        must(membership::open(outbox, Some(to), new, &self.rules));
        self.store.outbox.appended.clear();
        self.processes += 1;
        let standing = self.store.outbox.standing();
        let process = standing.iter().map(|(source, _)| source.epoch).max();
        let process = process.unwrap_or(Epoch::ZERO);
        let mut machine = Sender::new(
            self.rules.clone(),
            self.plan.timing.clone(),
            self.policy(),
            process,
            self.dice.next(),
        );
        let sources = standing.len();
        for (source, state) in standing {
            machine.source_opened(source, state);
        }
        for name in must(self.store.outbox.receivers()) {
            let marks = self.store.outbox.marks(&name);
            let incarnation = must(self.store.outbox.incarnation(&name));
            let begin = self.store.outbox.begins(&name);
            machine.receiver_known(name, incarnation, &begin, &marks, self.now);
        }
        if let Some((resync, stage)) = must(resync::standing(&mut self.store.outbox)) {
            machine.resync_known(&resync, stage);
        }
        let announcing = self.announcing();
        self.note(|_| format!("the sender starts with epoch {process}"));
        self.sender = Some(Box::new(SenderProcess {
            number: self.processes,
            machine,
            calls: Calls::default(),
            rolled_back: 0,
            sources,
            unrecorded: Unrecorded::default(),
            recording: false,
            answers: VecDeque::new(),
            announcing,
            jobs: VecDeque::new(),
            commits: false,
            hands_over_at: self.now,
            attempts: BTreeSet::new(),
            next_attempt: 0,
            names: Names::default(),
            wakes_at: None,
        }));
        self.drive_sender();
    }

    pub(crate) fn crash_sender(&mut self) {
        if self.sender.take().is_some() {
            let down = self.dice.mostly_short(Duration::from_secs(20));
            self.schedule(down, Happening::SenderStarts);
        }
    }

    pub(crate) fn sender_reconnected(&mut self) {
        let now = self.now;
        if let Some(sender) = &mut self.sender {
            sender.machine.reconnected(Path::Broker, now);
        }
        self.drive_sender();
    }

    pub(crate) fn request(&mut self, key: Key, value: Option<Value>) {
        self.callers += 1;
        let caller = Caller(self.callers);
        let dispatch = match self.settings.mode_of(&key) {
            Mode::Sync => Dispatch::Inline {
                deadline: self.now + self.settings.sync.deadline,
            },
            Mode::Async => Dispatch::Background,
        };
        let wanted = Wanted {
            key,
            value,
            dispatch,
            trace: TraceContext::default(),
            generation: self.settings.generation,
        };
        self.submit(Job::Accept(caller, wanted));
    }

    pub(crate) fn is_current(&self, process: u64) -> bool {
        self.sender
            .as_ref()
            .is_some_and(|sender| sender.number == process)
    }

    /// Polls the machine for all it wants done.
    pub(crate) fn drive_sender(&mut self) {
        let now = self.now;
        macro_rules! machine {
            () => {
                match &mut self.sender {
                    Some(sender) => &mut sender.machine,
                    None => return,
                }
            };
        }
        machine!().scan(now);
        while let Some((id, step)) = machine!().poll_call(now) {
            self.call_step(id, step);
        }
        while let Some(transmission) = machine!().poll_transmit(now) {
            self.check(checks::way(self, &transmission));
            self.transmit(transmission);
        }
        self.record_receipts();
        self.announce_next();
        while let Some(load) = machine!().poll_load() {
            let (wait, fails) = (self.soon(), self.strikes(Fault::LoadFails));
            let process = self.processes;
            self.schedule(
                wait,
                Happening::Loaded {
                    process,
                    load,
                    fails,
                },
            );
        }
        while let Some(receiver) = machine!().poll_backlog(now) {
            self.ask_backlog(&receiver);
        }
        while let Some(hello) = machine!().poll_hello(now) {
            self.say_hello(&hello.receiver, hello.id, hello.path);
        }
        let wake = machine!().wake_at();
        if wake.is_some_and(|wake| wake <= now) {
            self.check(Err("the sender's machine is due and does nothing".into()));
        }
        if let (Some(wake), Some(sender)) = (wake, &mut self.sender)
            && sender.wakes_at != Some(wake)
        {
            sender.wakes_at = Some(wake);
            self.schedule_at(wake, Happening::SenderWakes);
        }
    }

    pub(crate) fn sender_wakes(&mut self) {
        if let Some(sender) = &mut self.sender
            && sender.wakes_at == Some(self.now)
        {
            sender.wakes_at = None;
            self.drive_sender();
        }
    }
}
