//! What an action does to the world.

use std::time::Duration;

use duet_protocol::receipt::ReceiverName;
use duet_protocol::settings::Mode;

use crate::actions::Action;
use crate::happening::Happening;
use crate::plan;
use crate::tables::ReceiverStore;
use crate::transactions::Job;
use crate::world::World;

impl World {
    pub(crate) fn act(&mut self, action: Action) {
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
                    self.damage_sender();
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
    pub(crate) fn lose_receiver(&mut self, node: usize, older: ReceiverStore) {
        self.crash_receiver(node);
        self.nodes[node].store = older;
        self.damage();
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
    pub(crate) fn provisioned(&mut self, node: usize) {
        let is_receiver = self.is_receiver(node);
        let broker = &mut self.nodes[node].broker;
        match (is_receiver, broker.is_there()) {
            (true, false) => broker.is_made(),
            (false, true) => broker.is_removed(),
            _ => {}
        }
    }

    fn reconfigure(&mut self, mode: Mode, to: Vec<ReceiverName>) {
        let generation = self.settings.generation.next();
        self.settings = plan::settings(mode, generation, to, &mut self.dice);
        self.note(|world| format!("{:?}", world.settings));
        let policy = self.policy();
        let now = self.now;
        if let Some(sender) = &mut self.sender {
            sender.machine.configure(policy, now);
            sender.names.may_change();
        }
        self.submit(Job::Follow);
        self.drive_sender();
    }
}
