//! The sender's process: accept, send, record, compensate, composed as the shell composes them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use duet_protocol::accept::{
    Accepted, Accepting, Compensated, Dispatch, Failed, Request as Wanted,
};
use duet_protocol::calls::Calls;
use duet_protocol::event::{Event, EventId, Key, TraceContext};
use duet_protocol::outbox::{self, OutboxTables};
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::record::{Asked, Health, HelloAnswer, Recorded, judge, record};
use duet_protocol::sender::{
    Answer, Backlog, CallStep, HelloId, Load, Path, Policy, Sender, Sent, Transmission, Urgency,
};
use duet_protocol::sequence::Epoch;
use duet_protocol::settings::Mode;
use duet_protocol::time::Moment;
use duet_protocol::unrecorded::Unrecorded;

use crate::checks;
use crate::faults::Fault;
use crate::model::{Caller, Told};
use crate::tables::{Outbox, ReactionRows, Value, corrupted};
use crate::world::{Attempt, Happening, Request, World};

/// What is in memory.
pub(crate) struct SenderProcess {
    number: u64,
    pub(crate) machine: Sender,
    pub(crate) calls: Calls<Pending>,
    /// How many requests were rolled back: what `calls` may still hold of them.
    pub(crate) rolled_back: usize,
    /// How many sources it started with: each may keep a batch over the limit.
    pub(crate) sources: usize,
    unrecorded: Unrecorded,
    recording: bool,
    pub(crate) jobs: VecDeque<Job>,
    commits: bool,
    hands_over_at: Moment,
    attempts: BTreeSet<u64>,
    next_attempt: u64,
    wakes_at: Option<Moment>,
}

/// What the shell keeps of a call.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    callers: Vec<Caller>,
    undo: Option<Failed<Value>>,
    answer: Option<Answer>,
}

/// A transaction that waits.
#[derive(Debug)]
pub(crate) enum Job {
    Accept(Caller, Wanted<Value>),
    Compensate(EventId, Failed<Value>),
    Record(Vec<Receipt>),
    Judge(HelloId, Asked, HelloAnswer),
}

/// What a transaction did, told once it is durable.
#[derive(Clone, Debug)]
pub(crate) enum Done {
    /// With what the caller is told at once; else it waits for its call's answer.
    Accepted(Caller, Accepted<Value>, Option<(EventId, Told)>),
    Compensated(EventId, Compensated),
    Recorded(Vec<(ReceiverName, Recorded)>),
    Judged(HelloId, ReceiverName, Option<(Health, Vec<Recorded>)>),
}

impl Done {
    fn recorded(&self) -> Vec<&Recorded> {
        match self {
            Done::Accepted(..) | Done::Compensated(..) => Vec::new(),
            Done::Recorded(all) => all.iter().map(|(_, recorded)| recorded).collect(),
            Done::Judged(_, _, judged) => judged.iter().flat_map(|(_, all)| all).collect(),
        }
    }
}

const BACKGROUND_PATIENCE: Duration = Duration::from_secs(10);
const PUBLISH_PATIENCE: Duration = Duration::from_secs(5);

fn must<T>(result: Result<T, std::convert::Infallible>) -> T {
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
        must(outbox::open(
            &mut self.store.outbox,
            wall,
            random,
            self.settings.generation,
            &self.rules,
        ));
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
        for node in &self.nodes {
            let marks = self.store.outbox.marks(&node.name);
            let incarnation = must(self.store.outbox.incarnation(&node.name));
            machine.receiver_known(node.name.clone(), incarnation, &marks, self.now);
        }
        self.note(|_| format!("the sender starts with epoch {process}"));
        self.sender = Some(Box::new(SenderProcess {
            number: self.processes,
            machine,
            calls: Calls::default(),
            rolled_back: 0,
            sources,
            unrecorded: Unrecorded::default(),
            recording: false,
            jobs: VecDeque::new(),
            commits: false,
            hands_over_at: self.now,
            attempts: BTreeSet::new(),
            next_attempt: 0,
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
        let dispatch = match self.settings.mode {
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

    fn submit(&mut self, job: Job) {
        let wait = self.dice.mostly_short(Duration::from_millis(20));
        let Some(sender) = &mut self.sender else {
            return;
        };
        sender.jobs.push_back(job);
        if !sender.commits {
            sender.commits = true;
            let process = sender.number;
            self.schedule(wait, Happening::Commit { process });
        }
    }

    fn is_current(&self, process: u64) -> bool {
        self.sender
            .as_ref()
            .is_some_and(|sender| sender.number == process)
    }

    /// One commit serves every job that waits.
    pub(crate) fn commit(&mut self, process: u64) {
        if !self.is_current(process) {
            return;
        }
        let Some(mut sender) = self.sender.take() else {
            return;
        };
        sender.commits = false;
        let rolls_back = self.strikes(Fault::SenderRollback);
        let before = rolls_back.then(|| (self.store.clone(), self.model.clone()));
        let jobs = std::mem::take(&mut sender.jobs);
        let mut done = Vec::with_capacity(jobs.len());
        let mut undone = Vec::new();
        for job in jobs {
            if rolls_back {
                match &job {
                    Job::Compensate(id, _) => {
                        undone.push(Done::Compensated(*id, Compensated::Stands))
                    }
                    Job::Judge(id, _, answer) => {
                        undone.push(Done::Judged(*id, answer.receiver.clone(), None))
                    }
                    Job::Record(_) => undone.push(Done::Recorded(Vec::new())),
                    Job::Accept(..) => sender.rolled_back += 1,
                }
            }
            done.push(self.run_job(&mut sender, job));
        }
        let appended = std::mem::take(&mut self.store.outbox.appended);
        if let Some((store, model)) = before {
            (self.store, self.model) = (store, model);
            self.note(|_| "the store does not commit".into());
            self.sender = Some(sender);
            self.rolled_back(undone);
        } else if self.strikes(Fault::SenderCrashAfterCommit) {
            self.note(|_| "the sender dies right after the commit".into());
            self.sender = Some(sender);
            self.crash_sender();
            return;
        } else {
            let process = sender.number;
            let handed = (self.now + self.soon() / 20).max(sender.hands_over_at);
            sender.hands_over_at = handed;
            for recorded in done.iter().flat_map(Done::recorded) {
                for (source, mark) in &recorded.marks {
                    sender.calls.cover(*source, mark);
                }
            }
            self.sender = Some(sender);
            if !appended.is_empty() {
                self.schedule_at(handed, Happening::Committed { process, appended });
            }
            for done in done {
                let wait = self.soon() / 20;
                self.schedule(wait, Happening::JobDone { process, done });
            }
        }
        self.drive_sender();
    }

    /// What a commit brought reaches the machine, in the order of the commits.
    pub(crate) fn committed(&mut self, process: u64, appended: Vec<(Arc<Event>, Dispatch)>) {
        if self.is_current(process) {
            if let Some(sender) = &mut self.sender {
                sender.machine.committed(appended, self.now);
            }
            self.drive_sender();
        }
    }

    /// Who waited for a commit goes on, in any order.
    pub(crate) fn job_done(&mut self, process: u64, done: Done) {
        if self.is_current(process) {
            self.done(done);
            self.drive_sender();
        }
    }

    fn run_job(&mut self, sender: &mut SenderProcess, job: Job) -> Done {
        let at = self.sender_wall();
        let mut accepting = Accepting {
            outbox: &mut self.store.outbox,
            rows: &mut self.store.rows,
            calls: &mut sender.calls,
            at,
            rules: &self.rules,
        };
        match job {
            Job::Accept(caller, wanted) => {
                let over = last_write(accepting.outbox, accepting.rows, &wanted.key);
                let accepted = must(accepting.accept(&wanted));
                let told = match &accepted {
                    Accepted::Written { id, before } => {
                        let written =
                            self.model
                                .written(*id, wanted.key.clone(), wanted.value, over);
                        self.check(written);
                        match sender.calls.get_mut(*id) {
                            Some(call) => {
                                call.callers.push(caller);
                                call.undo = Some(Failed {
                                    call: *id,
                                    key: wanted.key,
                                    before: *before,
                                    trace: TraceContext::default(),
                                    generation: wanted.generation,
                                });
                                None
                            }
                            None => Some((*id, Told::Accepted)),
                        }
                    }
                    Accepted::Joined(id) => sender.calls.get_mut(*id).and_then(|call| {
                        call.callers.push(caller);
                        call.answer.as_ref().map(|answer| (*id, told(answer)))
                    }),
                    Accepted::Unchanged { last: None } => None,
                    Accepted::Unchanged {
                        last: Some((id, true)),
                    } => Some((*id, Told::Delivered)),
                    Accepted::Unchanged {
                        last: Some((id, false)),
                    } => Some((*id, Told::Accepted)),
                };
                Done::Accepted(caller, accepted, told)
            }
            Job::Compensate(id, failed) => {
                let over = last_write(accepting.outbox, accepting.rows, &failed.key);
                let compensated = must(accepting.compensate(&failed));
                if let Compensated::Undone(by) = compensated {
                    let held = self.model.compensated(id, by, over);
                    self.check(held);
                }
                Done::Compensated(id, compensated)
            }
            Job::Record(receipts) => {
                let mut all = Vec::with_capacity(receipts.len());
                for receipt in receipts {
                    let recorded = must(record(&mut self.store.outbox, &receipt, &self.rules));
                    self.hears(&receipt.receiver, &recorded);
                    all.push((receipt.receiver, recorded));
                }
                Done::Recorded(all)
            }
            Job::Judge(id, asked, answer) => {
                let judged = must(judge(&mut self.store.outbox, &asked, &answer, &self.rules));
                for recorded in judged.iter().flat_map(|(_, all)| all) {
                    self.hears(&answer.receiver, recorded);
                }
                Done::Judged(id, answer.receiver, judged)
            }
        }
    }

    /// From a new incarnation on, the sender forgets nothing more that a restored receiver lacks.
    fn hears(&mut self, receiver: &ReceiverName, recorded: &Recorded) {
        if self.damaged && recorded.new_incarnation.is_some() {
            let node = self.node_of(receiver);
            self.note_lack(node);
        }
    }

    /// What a rollback leaves undone: callers are told that nothing was accepted, receipts come again.
    fn rolled_back(&mut self, undone: Vec<Done>) {
        let now = self.now;
        let Some(sender) = &mut self.sender else {
            return;
        };
        for done in undone {
            match done {
                Done::Compensated(id, _) => sender.machine.compensated(id, None, now),
                Done::Judged(id, receiver, _) => sender.machine.judged(&receiver, id, None, now),
                Done::Recorded(_) => sender.recording = false,
                Done::Accepted(..) => {}
            }
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Accepted(caller, accepted, told) => {
                self.note(|_| format!("{caller:?}: {accepted:?}"));
                if let Some((id, told)) = told {
                    self.tell(caller, id, told);
                }
            }
            Done::Compensated(id, compensated) => {
                self.note(|_| format!("{id:?}: {compensated:?}"));
                if let Some(sender) = &mut self.sender {
                    sender.machine.compensated(id, Some(compensated), self.now);
                }
            }
            Done::Recorded(recorded) => {
                if let Some(sender) = &mut self.sender {
                    sender.recording = false;
                }
                for (receiver, recorded) in recorded {
                    self.recorded(&receiver, &recorded);
                }
            }
            Done::Judged(id, receiver, judged) => {
                let health = judged.as_ref().map(|(health, _)| *health);
                self.note(|_| format!("{receiver} is judged {health:?}"));
                for recorded in judged.iter().flat_map(|(_, recorded)| recorded) {
                    self.recorded(&receiver, recorded);
                }
                let node = self.node_of(&receiver);
                let held = checks::verdict(self, node, health.unwrap_or_default());
                self.check(held);
                if let Some(sender) = &mut self.sender {
                    sender.machine.judged(&receiver, id, health, self.now);
                }
            }
        }
    }

    fn recorded(&mut self, receiver: &ReceiverName, recorded: &Recorded) {
        if let (Some(suspicion), false) = (recorded.suspicion, self.sender_damaged) {
            self.check(Err(format!("a false suspicion: {suspicion:?}")));
        }
        if recorded.new_incarnation.is_some() {
            self.note(|_| format!("{receiver} speaks as {:?}", recorded.new_incarnation));
        }
        if let Some(sender) = &mut self.sender {
            sender.machine.recorded(receiver, recorded, self.now);
        }
    }

    fn tell(&mut self, caller: Caller, id: EventId, told: Told) {
        self.note(|_| format!("{caller:?} is told {told:?} of {id:?}"));
        let held = self.model.told(caller, id, told);
        self.check(held);
    }

    fn call_step(&mut self, id: EventId, step: CallStep) {
        self.note(|_| format!("{id:?}: {step:?}"));
        let Some(sender) = &mut self.sender else {
            return;
        };
        match step {
            CallStep::Compensate => {
                let undo = sender.calls.failed(id).and_then(|call| call.undo.clone());
                match undo {
                    Some(undo) => self.submit(Job::Compensate(id, undo)),
                    None => sender.machine.compensated(id, None, self.now),
                }
            }
            CallStep::Answer(answer) => {
                let Some(call) = sender.calls.get_mut(id) else {
                    return;
                };
                let callers = std::mem::take(&mut call.callers);
                let key = call.undo.as_ref().map(|undo| undo.key.clone());
                call.answer = Some(answer.clone());
                match answer {
                    Answer::Delivered(_) => sender.calls.delivered(id),
                    Answer::Failed { .. } | Answer::Accepted | Answer::Unknown => {
                        sender.calls.end(id);
                    }
                }
                if let (Answer::Delivered(_), Some(key)) = (&answer, &key) {
                    let held = checks::delivered(self, key, id);
                    self.check(held);
                }
                for caller in callers {
                    self.tell(caller, id, told(&answer));
                }
            }
        }
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
            self.transmit(transmission);
        }
        self.record_receipts();
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

    /// One transaction at a time, however many come.
    fn record_receipts(&mut self) {
        if let Some(sender) = &mut self.sender
            && !sender.recording
            && let Some(receipts) = sender.unrecorded.take()
        {
            sender.recording = true;
            self.submit(Job::Record(receipts));
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

    fn transmit(&mut self, transmission: Transmission) {
        let node = self.node_of(&transmission.receiver);
        let Some(sender) = &mut self.sender else {
            return;
        };
        sender.next_attempt += 1;
        sender.attempts.insert(sender.next_attempt);
        let attempt = Attempt {
            process: sender.number,
            number: sender.next_attempt,
            node,
            id: transmission.id,
        };
        let mut events: Vec<_> = transmission
            .events
            .iter()
            .map(|(event, _)| event.clone())
            .collect();
        let ascends = events
            .windows(2)
            .all(|pair| pair[0].source == pair[1].source && pair[0].sequence < pair[1].sequence);
        if !ascends || events.is_empty() {
            self.check(Err(format!(
                "no batch of one source, ascending: {transmission:?}"
            )));
        }
        if self.strikes(Fault::Corrupt) {
            let at = self.dice.index(events.len());
            events[at] = Arc::new(corrupted(&events[at]));
            self.corrupted.insert(events[at].id());
            (self.damaged, self.sender_damaged) = (true, true);
        }
        self.note(|_| {
            let first = events.first().map(|event| event.version());
            let (path, urgency) = (transmission.path, transmission.urgency);
            format!(
                "sends {} from {first:?} by {path:?}, {urgency:?}",
                events.len()
            )
        });
        match transmission.path {
            Path::Call => self.call(attempt, transmission.urgency, events),
            Path::Broker => self.publish(attempt, &transmission, events),
        }
    }

    fn sends(&mut self, wait: Duration, attempt: Attempt, sent: Sent) {
        let receipts = Vec::new();
        self.schedule(
            wait,
            Happening::Sent {
                attempt,
                sent,
                receipts,
            },
        );
    }

    fn call(&mut self, attempt: Attempt, urgency: Urgency, events: Vec<Arc<Event>>) {
        let (inline, patience) = match urgency {
            Urgency::Inline { within } => (true, within),
            Urgency::Background => (false, BACKGROUND_PATIENCE),
        };
        let wait = self.soon();
        if self.nodes[attempt.node].process.is_none() || self.strikes(Fault::RefuseCall) {
            return self.sends(wait, attempt, Sent::NotSent { retry_after: None });
        }
        if self.strikes(Fault::Overload) {
            let retry_after = Some(self.dice.time(Duration::from_secs(2)));
            return self.sends(wait, attempt, Sent::NotSent { retry_after });
        }
        self.sends(patience, attempt, Sent::Unknown);
        if self.strikes(Fault::LoseRequest) {
            return;
        }
        let request = Request {
            attempt,
            inline,
            events,
        };
        if self.strikes(Fault::RepeatRequest) {
            let again = self.dice.mostly_short(Duration::from_secs(20));
            self.schedule(again, Happening::Request(request.clone()));
        }
        let wait = if self.strikes(Fault::LateRequest) {
            patience + self.dice.mostly_short(Duration::from_secs(60))
        } else {
            wait
        };
        self.schedule(wait, Happening::Request(request));
    }

    fn publish(&mut self, attempt: Attempt, transmission: &Transmission, events: Vec<Arc<Event>>) {
        let node = attempt.node;
        let wait = self.soon();
        if self.nodes[node].broker.is_down() && self.dice.chance(5_000) {
            return self.sends(wait, attempt, Sent::NotSent { retry_after: None });
        }
        self.sends(PUBLISH_PATIENCE, attempt, Sent::Unknown);
        if self.nodes[node].broker.is_down() || self.strikes(Fault::LosePublish) {
            return;
        }
        let wait = if self.strikes(Fault::LatePublish) {
            PUBLISH_PATIENCE + self.dice.mostly_short(Duration::from_secs(60))
        } else {
            wait
        };
        let message = transmission.message;
        self.schedule(
            wait,
            Happening::Publish {
                node,
                message,
                events,
                attempt,
            },
        );
    }

    pub(crate) fn sent(&mut self, attempt: Attempt, sent: Sent, receipts: Vec<Receipt>) {
        if !self.is_current(attempt.process) {
            return;
        }
        let Some(sender) = &mut self.sender else {
            return;
        };
        if sender.attempts.remove(&attempt.number) {
            let receiver = &self.nodes[attempt.node].name;
            sender
                .machine
                .transmitted(receiver, attempt.id, sent.clone(), self.now);
            self.note(|_| format!("{:?} {sent:?}", attempt.id));
            self.feedback(receipts);
        }
    }

    pub(crate) fn loaded(&mut self, process: u64, load: Load, fails: bool) {
        if !self.is_current(process) {
            return;
        }
        let events = match fails {
            true => Vec::new(),
            false => self.store.outbox.read(load.source, load.after, load.limit),
        };
        if let Some(sender) = &mut self.sender {
            sender.machine.loaded(load, events, self.now);
        }
        self.drive_sender();
    }

    fn ask_backlog(&mut self, receiver: &ReceiverName) {
        let node = self.node_of(receiver);
        let wait = self.soon();
        let broker = &self.nodes[node].broker;
        let down = broker.is_down();
        let known = broker.backlog();
        let backlog = if down || !self.plan.tells_places || self.strikes(Fault::LoseBacklog) {
            Backlog::Unknown
        } else {
            known
        };
        let process = self.processes;
        self.schedule(
            wait,
            Happening::BacklogTold {
                process,
                node,
                backlog,
            },
        );
    }

    pub(crate) fn backlog_told(&mut self, process: u64, node: usize, backlog: Backlog) {
        if !self.is_current(process) {
            return;
        }
        self.note(|_| format!("{backlog:?}"));
        let receiver = &self.nodes[node].name;
        if let Some(sender) = &mut self.sender {
            sender.machine.backlog(receiver, backlog, self.now);
        }
        self.drive_sender();
    }

    fn say_hello(&mut self, receiver: &ReceiverName, id: HelloId, path: Path) {
        let node = self.node_of(receiver);
        let by_call = path == Path::Call;
        let lost =
            (!by_call && self.nodes[node].broker.is_down()) || self.strikes(Fault::LoseHello);
        self.note(|world| {
            format!(
                "says hello {} to {}: {}",
                id.0,
                world.nodes[node].name,
                if lost { "lost" } else { "sent" }
            )
        });
        if !lost {
            let process = by_call.then_some(self.processes);
            let wait = self.dice.mostly_short(Duration::from_secs(2));
            self.schedule(wait, Happening::HelloArrives { node, process, id });
        }
    }

    pub(crate) fn hello_answered(
        &mut self,
        process: Option<u64>,
        id: HelloId,
        answer: HelloAnswer,
    ) {
        if process.is_some_and(|process| !self.is_current(process)) {
            return;
        }
        let asked = self
            .sender
            .as_ref()
            .and_then(|sender| sender.machine.asked(&answer.receiver, id));
        if let Some(asked) = asked {
            self.submit(Job::Judge(id, asked, answer));
        }
    }

    pub(crate) fn feedback(&mut self, receipts: Vec<Receipt>) {
        if let Some(sender) = &mut self.sender {
            sender.unrecorded.add(receipts);
        }
        self.drive_sender();
    }
}

/// The event that wrote a key's row.
fn last_write(outbox: &mut Outbox, rows: &ReactionRows, key: &Key) -> Option<EventId> {
    let row = rows.0.get(key)?;
    let partition = key.partition(must(outbox.partitions()));
    Some(EventId {
        source: outbox.lane(partition).source(row.version.epoch),
        sequence: row.version.sequence,
    })
}

fn told(answer: &Answer) -> Told {
    match answer {
        Answer::Delivered(_) => Told::Delivered,
        Answer::Accepted => Told::Accepted,
        Answer::Failed { .. } => Told::Failed,
        Answer::Unknown => Told::Unknown,
    }
}
