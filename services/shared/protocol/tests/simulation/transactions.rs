//! The sender's transactions: accepting, compensating, recording and judging; many in one commit.

use std::time::Duration;

use duet_protocol::accept::{Accepted, Accepting, Compensated, Failed, Request as Wanted};
use duet_protocol::event::{EventId, Key, TraceContext};
use duet_protocol::membership::{self, Changed, NewEpochs};
use duet_protocol::outbox::OutboxTables;
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::record::{Asked, Health, HelloAnswer, Recorded, judge, record};
use duet_protocol::resync::Stage;
use duet_protocol::sender::HelloId;

use crate::checks;
use crate::faults::Fault;
use crate::happening::Happening;
use crate::model::{Caller, Told};
use crate::outcomes::told;
use crate::resyncing::Announcing;
use crate::sending::{SenderProcess, must};
use crate::tables::{Appended, Outbox, ReactionRows, Value};
use crate::world::World;

/// A transaction that waits.
#[derive(Debug)]
pub(crate) enum Job {
    Accept(Caller, Wanted<Value>),
    Compensate(EventId, Failed<Value>),
    Record(Vec<Receipt>),
    Judge(HelloId, Asked, HelloAnswer),
    /// Receivers join and leave, though nobody asks for anything.
    Follow,
    Resync,
    /// Tells rows anew.
    Announce,
}

/// What a transaction did, told once it is durable.
#[derive(Clone, Debug)]
pub(crate) enum Done {
    /// With what the caller is told at once; else it waits for its call's answer.
    Accepted(Caller, Accepted<Value>, Option<(EventId, Told)>),
    Compensated(EventId, Compensated),
    Recorded(Vec<(ReceiverName, Recorded)>),
    Judged(HelloId, ReceiverName, Option<(Health, Vec<Recorded>)>),
    Followed,
    Announced(Option<Stage>),
}

impl Done {
    /// A call that was taken back, and by what.
    fn undone(&self) -> Option<(EventId, EventId)> {
        match self {
            Done::Compensated(call, Compensated::Undone(by)) => Some((*call, *by)),
            _ => None,
        }
    }

    fn recorded(&self) -> Vec<&Recorded> {
        match self {
            Done::Accepted(..) | Done::Compensated(..) | Done::Followed | Done::Announced(_) => {
                Vec::new()
            }
            Done::Recorded(all) => all.iter().map(|(_, recorded)| recorded).collect(),
            Done::Judged(_, _, judged) => judged.iter().flat_map(|(_, all)| all).collect(),
        }
    }
}

impl World {
    pub(crate) fn submit(&mut self, job: Job) {
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
                    Job::Follow => undone.push(Done::Followed),
                    Job::Resync => {}
                    Job::Announce => undone.push(Done::Announced(Some(Stage::Announcing))),
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
            // What is beyond being tracked is not waited for.
            let is_tracked = self.plan.timing.max_tracked > self.plan.actions;
            let undone = done.iter().filter_map(Done::undone);
            for (call, by) in undone.filter(|_| is_tracked) {
                for node in 0..self.nodes.len() {
                    sender.names.takes_back(call, by, node);
                }
            }
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
    pub(crate) fn committed(&mut self, process: u64, appended: Vec<Appended>) {
        if self.is_current(process) {
            if let Some(sender) = &mut self.sender {
                let changes: Vec<Changed> = appended.iter().filter_map(Appended::change).collect();
                Appended::tell(&mut sender.machine, appended, self.now);
                let SenderProcess {
                    machine,
                    calls,
                    names,
                    ..
                } = &mut **sender;
                for change in changes {
                    names.may_change();
                    let is_over =
                        |id: EventId| machine.is_received(id) || change.overtook(id.source);
                    calls.cover_where(is_over);
                }
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

    pub(crate) fn run_job(&mut self, sender: &mut SenderProcess, job: Job) -> Done {
        let at = self.sender_wall();
        if matches!(
            job,
            Job::Accept(..) | Job::Compensate(..) | Job::Follow | Job::Resync
        ) {
            self.follow();
        }
        match job {
            Job::Resync => return self.begin_resync(),
            Job::Announce => return self.announce(),
            _ => {}
        }
        let mut accepting = Accepting {
            outbox: &mut self.store.outbox,
            rows: &mut self.store.rows,
            calls: &mut sender.calls,
            at,
            rules: &self.rules,
        };
        match job {
            Job::Accept(caller, wanted) => {
                let audience = accepting.outbox.spells();
                let over = last_write(accepting.outbox, accepting.rows, &wanted.key);
                let accepted = must(accepting.accept(&wanted));
                let held = checks::accepted(&self.store.rows, &wanted, &accepted);
                self.check(held);
                let told = match &accepted {
                    Accepted::Written { id, before } => {
                        let written = self.model.written(
                            *id,
                            wanted.key.clone(),
                            wanted.value,
                            over,
                            audience,
                        );
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
                    } => {
                        let held = checks::received(self, *id);
                        self.check(held);
                        Some((*id, Told::Delivered))
                    }
                    Accepted::Unchanged {
                        last: Some((id, false)),
                    } => Some((*id, Told::Accepted)),
                };
                Done::Accepted(caller, accepted, told)
            }
            Job::Compensate(id, failed) => {
                let audience = accepting.outbox.spells();
                let over = last_write(accepting.outbox, accepting.rows, &failed.key);
                let compensated = must(accepting.compensate(&failed));
                if let Compensated::Undone(by) = compensated {
                    let held = self.model.compensated(id, by, over, audience);
                    self.check(held);
                }
                Done::Compensated(id, compensated)
            }
            Job::Follow | Job::Resync | Job::Announce => Done::Followed,
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
                if let Some((health, _)) = &judged {
                    let node = self.node_of(&answer.receiver);
                    let held = checks::verdict(self, node, *health);
                    self.check(held);
                }
                Done::Judged(id, answer.receiver, judged)
            }
        }
    }

    /// An event goes to those that the settings in force as it is numbered name.
    fn follow(&mut self) {
        let new = NewEpochs {
            wall: self.sender_wall(),
            random: self.dice.next() as u32,
            generation: self.settings.generation,
        };
        let (outbox, to) = (&mut self.store.outbox, &self.settings.to);
        let changed = must(membership::follow(outbox, to, || new, &self.rules));
        if !changed.is_nothing() {
            self.note(|_| format!("{changed:?}"));
        }
    }

    /// From a new incarnation on, the sender forgets nothing more that a restored receiver lacks.
    pub(crate) fn hears(&mut self, receiver: &ReceiverName, recorded: &Recorded) {
        if self.damaged && recorded.new_incarnation.is_some() {
            let node = self.node_of(receiver);
            self.note_lack(node);
        }
    }

    /// What a rollback leaves undone: callers are told that nothing was accepted, receipts come again.
    pub(crate) fn rolled_back(&mut self, undone: Vec<Done>) {
        let (now, mut follows) = (self.now, false);
        let Some(sender) = &mut self.sender else {
            return;
        };
        for done in undone {
            match done {
                Done::Compensated(id, _) => sender.machine.compensated(id, None, now),
                Done::Judged(id, receiver, _) => {
                    sender.recording = false;
                    sender.machine.judged(&receiver, id, None, now);
                }
                Done::Recorded(_) => sender.recording = false,
                Done::Followed => follows = true,
                Done::Announced(_) => sender.announcing = Announcing::Next,
                Done::Accepted(..) => {}
            }
        }
        if follows {
            self.submit(Job::Follow);
        }
    }

    /// One transaction at a time, however many come.
    pub(crate) fn record_receipts(&mut self) {
        let Some(sender) = self.sender.as_mut().filter(|sender| !sender.recording) else {
            return;
        };
        while let Some((id, answer)) = sender.answers.pop_front() {
            if let Some(asked) = sender.machine.asked(&answer.receiver, id) {
                sender.recording = true;
                self.submit(Job::Judge(id, asked, answer));
                return;
            }
        }
        if let Some(receipts) = sender.unrecorded.take() {
            sender.recording = true;
            self.submit(Job::Record(receipts));
        }
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
