//! What must hold, judged apart from the machines that are judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duet_protocol::accept::{Accepted, Dispatch, Request};
use duet_protocol::event::{Event, EventId, Key};
use duet_protocol::inbox::Inbox;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::record::{Health, Suspicion};
use duet_protocol::sender::{Transmission, Urgency};
use duet_protocol::sequence::{Lane, Partition, Sequence, Source};

use crate::ledger;
use crate::tables::{Outbox, ReactionRows, Received, ReceiverStore, Value};
use crate::world::{Node, World};

/// Whether a receiver lacks what its sender has forgotten.
pub(crate) fn lacks(outbox: &Outbox, name: &ReceiverName, received: &Received) -> bool {
    let begins = outbox.begins(name);
    let concerns = |source: &Source| {
        let mut begins = begins.iter();
        begins.all(|begin| begin.lane != source.lane || begin.epoch <= source.epoch)
    };
    let mut all = outbox.standing_of_all();
    all.any(|(source, state)| {
        let inbox = received.inboxes.get(&source.lane);
        let held = inbox.map_or(Sequence::ZERO, |inbox| {
            match inbox.epochs.get(&source.epoch) {
                Some(epoch) => epoch.watermark,
                None if source.epoch < inbox.floor => state.last,
                None => Sequence::ZERO,
            }
        });
        held < state.forgotten && concerns(source)
    })
}

/// What holds after every step.
pub(crate) fn always(world: &World) -> Result<(), String> {
    world.letters_hold()?;
    for node in &world.nodes {
        if let Some(violation) = &node.store.rows.witness.violation {
            return Err(violation.clone());
        }
    }
    Ok(())
}

/// What holds all the time, and is looked at now and then.
pub(crate) fn bounds(world: &World) -> Result<(), String> {
    if let Some(sender) = &world.sender {
        let kept = sender.machine.standing().kept;
        let batch = world.plan.capacity.events;
        // Each source may have a batch read back; those that joins and resyncs opened, too.
        let sources = world.store.outbox.standing_of_all().count();
        let sources = sender.sources.max(sources);
        if kept > 2 * world.plan.timing.max_kept + batch * sources {
            return Err(format!("{kept} events are kept in memory"));
        }
    }
    for node in &world.nodes {
        for inbox in node.store.received.inboxes.values() {
            for epoch in inbox.epochs.values() {
                if epoch.runs.len() > world.plan.max_runs.max(1) {
                    return Err(format!("an inbox keeps {} runs", epoch.runs.len()));
                }
            }
        }
    }
    ledger::balances(world)
}

/// Everything goes the way that the settings in force give it, a canary's events in the background too.
pub(crate) fn way(world: &World, transmission: &Transmission) -> Result<(), String> {
    let policy = world.policy();
    let strays = |event: &Arc<Event>| policy.path_of(event) != transmission.path;
    let mut events = transmission.events.iter();
    match events.find(|(event, _)| strays(event)) {
        Some((event, _)) if transmission.urgency == Urgency::Background => Err(format!(
            "{:?} goes by {:?}, against {:?}",
            event.id(),
            transmission.path,
            policy.route
        )),
        _ => Ok(()),
    }
}

/// A hello's verdict is right to be bad only after something was damaged, and while no resync heals it; and that a receiver regressed,
/// only if it lacks something. What comes of a future that is gone is right to be told whenever it comes.
pub(crate) fn verdict(world: &World, node: usize, health: Health) -> Result<(), String> {
    match health {
        Health::Sound => Ok(()),
        Health::Resyncing if world.store.outbox.last_resync().is_some() => Ok(()),
        Health::SenderRegressed(Suspicion::UnknownEpoch) if world.sender_damaged => Ok(()),
        // Of a store that is gone something came late, once it was healed.
        Health::SenderRegressed(Suspicion::AnotherStore) if holds_another(world, node) => Ok(()),
        alarm if world.is_being_healed() && world.was_told_all(&world.nodes[node]) => {
            Err(format!("a false alarm, though it is healed: {alarm:?}"))
        }
        Health::SenderRegressed(_) if world.sender_damaged => Ok(()),
        Health::ReceiverRegressed if world.sender_damaged || world.nodes[node].lacks => Ok(()),
        alarm => Err(format!("a false alarm: {alarm:?}")),
    }
}

/// Whether a receiver holds open lanes of a store that is gone.
fn holds_another(world: &World, node: usize) -> bool {
    let own = world.store.outbox.lane(Partition(0)).store;
    let mut inboxes = world.nodes[node].store.received.inboxes.iter();
    inboxes.any(|(lane, inbox)| lane.store != own && !inbox.epochs.is_empty())
}

/// Whether an event is for a receiver as it is now.
fn is_due(world: &World, node: &Node, id: EventId) -> bool {
    let spell = world.store.outbox.spell(&node.name);
    world.model.is_due(id, &node.name, spell)
}

/// Once a request is accepted, the row is as it asked, whoever wrote it; and who does not wait for receivers waits for nobody's call.
pub(crate) fn accepted(
    rows: &ReactionRows,
    wanted: &Request<Value>,
    accepted: &Accepted<Value>,
) -> Result<(), String> {
    let value = rows.0.get(&wanted.key).and_then(|row| row.value);
    let joins = matches!(accepted, Accepted::Joined(_));
    if value != wanted.value {
        return Err(format!("{accepted:?} leaves {value:?}: {wanted:?}"));
    }
    match joins && wanted.dispatch == Dispatch::Background {
        true => Err(format!("{wanted:?} waits for a call: {accepted:?}")),
        false => Ok(()),
    }
}

/// Whether a caller may be told that `id` was delivered.
pub(crate) fn delivered(world: &World, key: &Key, id: EventId) -> Result<(), String> {
    let lacks = |node: &&Node| is_due(world, node, id) && !node.store.rows.witness.has(key, id);
    match world.nodes.iter().find(lacks) {
        Some(node) if world.is_sound(id.source) => Err(format!(
            "{id:?} is told to be delivered, and {} has not applied it",
            node.name
        )),
        _ => Ok(()),
    }
}

/// Whether a caller may be told that every receiver holds `id`: it does, or all that a resync told anew since.
pub(crate) fn received(world: &World, id: EventId) -> Result<(), String> {
    let resync = world.store.outbox.last_resync();
    let lacks = |node: &&Node| {
        let inbox = node.store.received.inboxes.get(&id.source.lane);
        is_due(world, node, id)
            && inbox.is_none_or(|inbox| match resync {
                Some(resync) if resync.is_after(id.source) => {
                    let mut sweeps = resync.sweeps.iter();
                    let sweep = sweeps.find(|sweep| sweep.source.lane == id.source.lane);
                    sweep.is_none_or(|sweep| !inbox.holds(*sweep))
                }
                _ => !inbox.holds(id),
            })
    };
    match world.nodes.iter().find(lacks) {
        Some(node) if world.is_sound(id.source) => Err(format!(
            "{id:?} is told to be received, and {} does not hold it",
            node.name
        )),
        _ => Ok(()),
    }
}

/// A sweep takes nothing that was told anew, unless that could not be applied yet. An older resync's sweep, which comes late, may take
/// what a newer one has told anew and the receiver does not have yet.
pub(crate) fn swept(
    world: &World,
    node: usize,
    before: &BTreeMap<Key, (Option<Value>, EventId)>,
) -> Result<(), String> {
    let ReceiverStore { received, rows, .. } = &world.nodes[node].store;
    let resync = world.store.outbox.last_resync();
    for key in before.keys().filter(|key| !rows.rows.contains_key(*key)) {
        let stands = world
            .store
            .rows
            .0
            .get(key)
            .filter(|row| row.value.is_some());
        let partition = key.partition(world.plan.partitions);
        let lane = world.store.outbox.lane(partition);
        let floor = received.inboxes.get(&lane).map(|inbox| inbox.floor);
        let told = stands.is_some_and(|row| {
            resync.is_some_and(|resync| {
                let mut sources = resync.sources.iter();
                let is_its_sweep = sources.any(|source| {
                    source.lane == lane && floor.is_some_and(|it| it >= source.epoch)
                });
                is_its_sweep && resync.is_after(lane.source(row.version.epoch))
            })
        });
        let of_key = |event: &Event| event.data().is_some_and(|data| data.key == *key);
        let is_parked = received.parked.values().any(|(event, _)| of_key(event));
        if told && !is_parked && !world.damaged {
            return Err(format!("{key} stands, and is swept"));
        }
    }
    Ok(())
}

/// Whether every event is received, and the sender has nothing left to do.
pub(crate) fn is_received(world: &World) -> bool {
    let to: BTreeSet<_> = world.settings.to.iter().collect();
    world.store.outbox.len() == 0
        && world.store.outbox.spells().keys().eq(to)
        && world.nodes.iter().all(|node| node.broker.len() == 0)
        && world.sender.as_ref().is_some_and(|sender| {
            let standing = sender.machine.standing();
            let waits = !sender.jobs.is_empty() || standing.is_resyncing;
            standing.calls == 0 && standing.unacknowledged == 0 && !waits
        })
}

/// Whether every event that was received is applied, too.
pub(crate) fn is_applied(world: &World) -> bool {
    let mut nodes = world.nodes.iter();
    nodes.all(|node| {
        let received = &node.store.received;
        received.parked.is_empty() && received.sweeping.is_empty()
    })
}

/// What is bounded is empty once nothing is on its way.
pub(crate) fn at_rest(world: &World) -> Result<(), String> {
    let Some(sender) = &world.sender else {
        return Ok(());
    };
    let standing = sender.machine.standing();
    match (standing.kept, sender.calls.len()) {
        (0, calls) if calls <= sender.rolled_back => Ok(()),
        (kept, calls) => Err(format!("at rest, {kept} events and {calls} calls are kept")),
    }
}

/// What holds once all is quiet.
pub(crate) fn finally(world: &World) -> Result<(), String> {
    let resync = world.store.outbox.last_resync();
    let is_older = |id: &EventId| resync.is_some_and(|resync| resync.is_after(id.source));
    for (id, written) in &world.model.writes {
        if is_older(id) {
            continue; // what it came to was told anew
        }
        for node in &world.nodes {
            let rows = &node.store.rows;
            // A row that was not written as it should is missed by its value alone: below.
            let is_applied = rows.witness.has(&written.key, *id) || rows.lost.contains(id);
            if is_due(world, node, *id) && !is_applied {
                return Err(format!("{id:?} is lost: {} has not applied it", node.name));
            }
        }
    }
    for (key, row) in &world.store.rows.0 {
        let partition = key.partition(world.plan.partitions);
        let source = world.store.outbox.lane(partition).source(row.version.epoch);
        let id = EventId {
            source,
            sequence: row.version.sequence,
        };
        for node in &world.nodes {
            if !(is_due(world, node, id) || is_older(&id) && world.was_told_all(node)) {
                continue;
            }
            let held = node.store.rows.rows.get(key);
            let value = held.and_then(|(value, _)| *value);
            if value != row.value {
                return Err(format!(
                    "{key} is {:?} at the sender and {value:?} at {}",
                    row.value, node.name
                ));
            }
        }
        world.model.may_stand(id)?;
    }
    ledger::balances(world)?;
    for node in &world.nodes {
        let begins = world.store.outbox.begins(&node.name);
        if begins.is_empty() {
            continue; // it is no receiver
        }
        let keys = node.store.rows.rows.iter();
        for (key, (value, id)) in keys {
            let is_older = |begin: &Source| begin.lane == id.source.lane && id.source < *begin;
            let is_older = begins.iter().any(is_older) && !world.was_told_all(node);
            if value.is_some() && !is_older && !world.store.rows.0.contains_key(key) {
                return Err(format!("{} keeps a ghost of {key}: {id:?}", node.name));
            }
        }
        let own = begins[0].lane.store;
        let open =
            |(lane, inbox): (&Lane, &Inbox)| inbox.epochs.len() == usize::from(lane.store == own);
        if !world.damaged && !node.store.received.inboxes.iter().all(open) {
            return Err(format!("{} does not close old epochs", node.name));
        }
    }
    Ok(())
}
