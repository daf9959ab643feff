//! The end of a run: faults end, everything must come to rest, and be as it should be.

use std::time::Duration;

use duet_protocol::record::Health;
use duet_protocol::sender::ReceiverStanding;
use duet_protocol::time::Moment;

use crate::carrying::{BACKGROUND_PATIENCE, LATEST};
use crate::checks;
use crate::faults::Fault;
use crate::tables::ReceiverStore;
use crate::world::World;

impl World {
    /// Faults end. Everything must come to rest, and be as it should be; or, if something was damaged, be noticed. Whether it was noticed.
    pub(crate) fn come_to_rest(&mut self) -> bool {
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
        let rest = self.rested();
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

    /// From now on until then nothing more comes late, and hellos were said since.
    pub(crate) fn rested(&self) -> Moment {
        let latest = BACKGROUND_PATIENCE + LATEST;
        self.now + latest + 4 * self.plan.timing.hello_every
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
}
