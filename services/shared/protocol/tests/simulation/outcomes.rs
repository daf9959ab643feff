//! What follows once a transaction is durable: callers are told, and the machine goes on.

use duet_protocol::event::EventId;
use duet_protocol::ledger::Agreement;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::record::Recorded;
use duet_protocol::sender::{Answer, CallStep};

use crate::checks;
use crate::model::{Caller, Told};
use crate::transactions::{Done, Job};
use crate::world::World;

impl World {
    pub(crate) fn done(&mut self, done: Done) {
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
            Done::Followed => {}
            Done::Announced(stage) => self.announced(stage),
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
                if let Some(sender) = &mut self.sender {
                    sender.recording = false;
                    sender.machine.judged(&receiver, id, health, self.now);
                }
            }
        }
    }

    pub(crate) fn recorded(&mut self, receiver: &ReceiverName, recorded: &Recorded) {
        if let (Some(suspicion), false) = (recorded.suspicion, self.sender_damaged) {
            self.check(Err(format!("a false suspicion: {suspicion:?}")));
        }
        if recorded
            .state
            .is_some_and(|(_, agreement)| agreement == Agreement::Differs)
            && !self.damaged
        {
            self.check(Err(format!("a false alarm: {receiver}'s state differs")));
        }
        if recorded.new_incarnation.is_some() {
            self.note(|_| format!("{receiver} speaks as {:?}", recorded.new_incarnation));
        }
        let node = self.node_of(receiver);
        if let Some(sender) = &mut self.sender {
            if recorded.new_incarnation.is_some() {
                sender.names.may_change();
            }
            sender.names.recorded(node, &recorded.marks);
            sender.machine.recorded(receiver, recorded, self.now);
        }
    }

    pub(crate) fn tell(&mut self, caller: Caller, id: EventId, told: Told) {
        self.note(|_| format!("{caller:?} is told {told:?} of {id:?}"));
        let held = self.model.told(caller, id, told);
        self.check(held);
    }

    pub(crate) fn call_step(&mut self, id: EventId, step: CallStep) {
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
}

pub(crate) fn told(answer: &Answer) -> Told {
    match answer {
        Answer::Delivered(_) => Told::Delivered,
        Answer::Accepted => Told::Accepted,
        Answer::Failed { .. } => Told::Failed,
        Answer::Unknown => Told::Unknown,
    }
}
