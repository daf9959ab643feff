//! Resyncs: begun by a person at any time, rows told anew a page at a time, sweeps at the receivers; and at the end, whatever was damaged
//! is healed by them.

use duet_protocol::membership::NewEpochs;
use duet_protocol::receive::{InboxTables, Receiving};
use duet_protocol::resync::{self, Page, Stage};
use duet_protocol::sequence::{Source, StoreId};

use crate::checks;
use crate::sending::must;
use crate::tables::{Outbox, ReactionRows, SenderStore};
use crate::transactions::{Done, Job};
use crate::world::{Node, World};

/// What a sender's process has to do of telling rows anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announcing {
    Nothing,
    Next,
    UnderWay,
}

impl World {
    /// The last resync's stage.
    pub(crate) fn stage(&mut self) -> Option<Stage> {
        must(resync::standing(&mut self.store.outbox)).map(|(_, stage)| stage)
    }

    /// What a process that starts goes on with.
    pub(crate) fn announcing(&mut self) -> Announcing {
        match self.stage() {
            Some(Stage::Announcing) => Announcing::Next,
            _ => Announcing::Nothing,
        }
    }

    pub(crate) fn begin_resync(&mut self) -> Done {
        let new = NewEpochs {
            wall: self.sender_wall(),
            random: self.dice.next() as u32,
            generation: self.settings.generation,
        };
        let begun = must(resync::begin(&mut self.store.outbox, new, &self.rules));
        self.note(|_| format!("a resync begins: {begun:?}"));
        if begun.is_some() {
            self.model.resynced_after = Some(self.damages);
        }
        Done::Announced(Some(Stage::Announcing))
    }

    pub(crate) fn announce(&mut self) -> Done {
        let page = Page {
            rows: self.plan.page,
            at: self.sender_wall(),
            generation: self.settings.generation,
        };
        let SenderStore { outbox, rows } = &mut self.store;
        let stage = must(resync::announce(outbox, rows, page));
        self.note(|world| format!("{stage:?}: {:?}", world.store.outbox.last_resync()));
        Done::Announced(stage)
    }

    /// Asks for the next page, if there is room for it.
    pub(crate) fn announce_next(&mut self) {
        let most = self.plan.most_unacknowledged;
        if let Some(sender) = &mut self.sender
            && sender.announcing == Announcing::Next
            && sender.machine.unacknowledged() < most
        {
            sender.announcing = Announcing::UnderWay;
            self.submit(Job::Announce);
        }
    }

    pub(crate) fn announced(&mut self, stage: Option<Stage>) {
        if let Some(sender) = &mut self.sender {
            sender.announcing = match stage {
                Some(Stage::Announcing) => Announcing::Next,
                // Another resync may have begun since that page.
                _ if sender.announcing == Announcing::Next => Announcing::Next,
                _ => Announcing::Nothing,
            };
        }
    }

    /// Does some of what a receiver's sweeps have left; whether there is more.
    pub(crate) fn sweep(&mut self, node: usize) -> bool {
        let (now, limit) = (self.receiver_wall(node), self.plan.page);
        let Node { name, store, .. } = &mut self.nodes[node];
        if must(store.received.sweeping()).is_empty() {
            return false;
        }
        let before = store.rows.rows.clone();
        let more = must(
            Receiving {
                inbox: &mut store.received,
                rows: &mut store.rows,
                receiver: name,
                max_runs: self.plan.max_runs,
                now,
                delivery: &self.plan.delivery,
                seed: 0,
                rules: &self.rules,
            }
            .sweep(limit),
        );
        self.note(|world| {
            let rows = &world.nodes[node].store.rows.rows;
            format!("receiver {node} sweeps: {rows:?}")
        });
        self.check(checks::swept(self, node, &before));
        more
    }

    /// The sender goes on with a new and empty store under its old name.
    pub(crate) fn replace_sender(&mut self) {
        self.crash_sender();
        self.store = SenderStore {
            outbox: Outbox::new(StoreId(self.dice.next()), self.plan.partitions),
            rows: ReactionRows::default(),
        };
        self.model.forget_unless(|_| false);
        self.damage_sender();
    }

    /// Heals what was damaged, by hand. What is seen of a future that is gone only once a resync has begun is healed by one more.
    pub(crate) fn heal(&mut self) {
        const MOST: usize = 4;
        for _ in 0..MOST {
            self.run_through(|world| world.sender.is_some());
            self.submit(Job::Resync);
            self.drive_sender();
            self.run_through(|world| !world.is_noticed());
            self.run_through(|world| {
                let is_done = world.stage() == Some(Stage::Done)
                    && world.is_calm()
                    && checks::is_received(world)
                    && checks::is_applied(world);
                is_done || world.is_noticed()
            });
            let rest = self.rested();
            self.run_through(|world| world.now >= rest);
            self.resyncs += 1;
            if self.violation.is_some() {
                return;
            }
            if !self.is_noticed() {
                (self.damaged, self.sender_damaged) = (false, false);
                return;
            }
        }
        self.check(Err(format!("{MOST} resyncs healed nothing")));
    }

    /// No transaction waits.
    fn is_calm(&self) -> bool {
        let sender = self.sender.as_ref();
        sender.is_some_and(|sender| sender.jobs.is_empty() && !sender.machine.is_resyncing())
    }

    /// Whether the last resync told a receiver of all rows: it is done, and the receiver was one when it began.
    pub(crate) fn was_told_all(&self, node: &Node) -> bool {
        let begins = self.store.outbox.begins(&node.name);
        let resync = self.store.outbox.last_resync();
        resync.is_some_and(|resync| {
            let began = |source: &Source| {
                let mut begins = begins.iter();
                begins.any(|begin| begin.lane == source.lane && begin.epoch <= source.epoch)
            };
            !resync.sweeps.is_empty() && resync.sources.iter().all(began)
        })
    }
}
