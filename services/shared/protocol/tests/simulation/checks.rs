//! What must hold, judged apart from the machines that are judged.

use std::collections::{BTreeMap, BTreeSet};

use duet_protocol::event::{Data, Event, EventId, Key};
use duet_protocol::inbox::Inbox;
use duet_protocol::record::Health;
use duet_protocol::sequence::Version;

use crate::tables::version;
use crate::world::{Node, World};

/// Sees every event that a receiver applies, inside its transaction: what is rolled back or restored was not seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness {
    applied: BTreeSet<EventId>,
    newest: BTreeMap<Key, Version>,
    pub(crate) violation: Option<String>,
}

impl Witness {
    pub(crate) fn applied(&mut self, event: &Event, data: &Data) {
        let id = event.id();
        if !self.applied.insert(id) {
            self.violation = Some(format!("{id:?} is applied twice"));
        }
        let newest = self.newest.entry(data.key.clone()).or_default();
        if event.version() < *newest {
            self.violation = Some(format!(
                "{} is brought back: {id:?} is applied after {newest}",
                data.key
            ));
        }
        *newest = event.version();
    }

    /// Whether the event, or something newer of its key, is applied.
    pub(crate) fn has(&self, key: &Key, id: EventId) -> bool {
        self.newest
            .get(key)
            .is_some_and(|newest| *newest >= version(id))
    }
}

/// What holds after every step.
pub(crate) fn always(world: &World) -> Result<(), String> {
    for node in &world.nodes {
        if let Some(violation) = &node.store.rows.witness.violation {
            return Err(violation.clone());
        }
        for inbox in node.store.received.inboxes.values() {
            for epoch in inbox.epochs.values() {
                if epoch.runs.len() > world.plan.max_runs.max(1) {
                    return Err(format!("an inbox keeps {} runs", epoch.runs.len()));
                }
            }
        }
    }
    Ok(())
}

/// A hello's verdict is right to be bad only after a store was restored.
pub(crate) fn verdict(world: &World, health: Health) -> Result<(), String> {
    match health {
        Health::Sound => Ok(()),
        _ if world.damaged => Ok(()),
        alarm => Err(format!("a false alarm: {alarm:?}")),
    }
}

/// Whether a caller may be told that `id` was delivered.
pub(crate) fn delivered(world: &World, key: &Key, id: EventId) -> Result<(), String> {
    let lacks = |node: &&Node| !node.store.rows.witness.has(key, id);
    match world.nodes.iter().find(lacks) {
        Some(node) if !world.damaged => Err(format!(
            "{id:?} is told to be delivered, and {} has not applied it",
            node.name
        )),
        _ => Ok(()),
    }
}

/// Whether nothing is left to do.
pub(crate) fn is_quiet(world: &World) -> bool {
    world.store.outbox.len() == 0
        && world
            .nodes
            .iter()
            .all(|node| node.store.received.parked.is_empty() && node.broker.len() == 0)
        && world.sender.as_ref().is_some_and(|sender| {
            let standing = sender.machine.standing();
            standing.calls == 0 && standing.unacknowledged == 0 && sender.jobs.is_empty()
        })
}

/// What holds once all is quiet.
pub(crate) fn finally(world: &World) -> Result<(), String> {
    for (id, written) in &world.model.writes {
        for node in &world.nodes {
            if !node.store.rows.witness.has(&written.key, *id) {
                return Err(format!("{id:?} is lost: {} has not applied it", node.name));
            }
        }
    }
    for (key, row) in &world.store.rows.0 {
        for node in &world.nodes {
            let held = node.store.rows.rows.get(key);
            let value = held.and_then(|(value, _)| *value);
            if value != row.value {
                return Err(format!(
                    "{key} is {:?} at the sender and {value:?} at {}",
                    row.value, node.name
                ));
            }
        }
        let partition = key.partition(world.plan.partitions);
        let source = world.store.outbox.lane(partition).source(row.version.epoch);
        let id = EventId {
            source,
            sequence: row.version.sequence,
        };
        world.model.may_stand(id)?;
    }
    for node in &world.nodes {
        let keys = node.store.rows.rows.iter();
        for (key, (value, id)) in keys {
            if value.is_some() && !world.store.rows.0.contains_key(key) {
                return Err(format!("{} keeps a ghost of {key}: {id:?}", node.name));
            }
        }
        let open = |inbox: &Inbox| inbox.epochs.len() == 1;
        if !world.damaged && !node.store.received.inboxes.values().all(open) {
            return Err(format!("{} does not close old epochs", node.name));
        }
    }
    Ok(())
}
