//! What could not be applied: redriven by a person, and what must hold of it.

use std::sync::LazyLock;

use duet_protocol::delivery::{FUTILE_REDRIVES, Fingerprint, Parked};
use duet_protocol::event::Event;
use duet_protocol::receive::{Failure, Receiving, Redriven};

use crate::world::World;

impl World {
    /// Tries all that is in the parked table; what is `named` is not passed over.
    pub(crate) fn redrive(&mut self, node: usize, named: bool) {
        let letters = self.nodes[node].store.received.parked.values();
        let letters: Vec<(Event, Parked)> = letters.cloned().collect();
        for (event, before) in letters {
            let (now, name, seed) = (
                self.receiver_wall(node),
                self.nodes[node].name.clone(),
                self.dice.next(),
            );
            let store = &mut self.nodes[node].store;
            let Ok(what) = Receiving {
                inbox: &mut store.received,
                rows: &mut store.rows,
                receiver: &name,
                max_runs: self.plan.max_runs,
                now,
                delivery: &self.plan.delivery,
                seed,
                rules: &self.rules,
            }
            .redrive(&event, named);
            self.note(|_| format!("receiver {node} redrives {}: {what:?}", event.version()));
            let after = self.nodes[node].store.received.parked.get(&event.id());
            let held = judged(&what, before, after.map(|(_, after)| *after), named);
            self.check(held);
        }
    }

    /// What holds of the parked table at all times.
    pub(crate) fn letters_hold(&self) -> Result<(), String> {
        let most = self.plan.delivery.max_attempts.get();
        for node in &self.nodes {
            for (event, parked) in node.store.received.parked.values() {
                let id = event.id();
                let was_unknown = event
                    .data()
                    .is_some_and(|data| node.store.rows.was_unknown.contains(&data.key));
                if parked.attempts >= most && !parked.is_dead() && !was_unknown {
                    return Err(format!("{id:?} is tried more than {most} times"));
                }
                if parked.is_dead() && parked.died_of == Some(*UNKNOWN) {
                    return Err(format!("{id:?} is dead, and only its type was unknown"));
                }
            }
        }
        Ok(())
    }
}

/// What an unknown type's failures have in common.
static UNKNOWN: LazyLock<Fingerprint> =
    LazyLock::new(|| Failure::unknown_type("dev.duet.newer").fingerprint());

fn judged(
    what: &Redriven,
    before: Parked,
    after: Option<Parked>,
    named: bool,
) -> Result<(), String> {
    let Redriven::Tried(outcome) = what else {
        return Ok(());
    };
    if !named && before.is_dead() && before.futile >= FUTILE_REDRIVES {
        return Err("what died time after time is tried again, and nobody named it".to_owned());
    }
    match after {
        Some(after) if after.attempts != 1 => Err(format!(
            "redriven, it has {} attempts behind it: {outcome:?}",
            after.attempts
        )),
        _ => Ok(()),
    }
}
