//! That the ledger balances: at any cut, of each source and receiver.

use std::collections::BTreeMap;

use duet_protocol::ledger::{Account, Endings};
use duet_protocol::sequence::Source;

use crate::tables::Received;
use crate::world::World;

/// What a receiver holds of a source, and how that ended.
fn held(received: &Received, source: Source) -> (u64, Endings) {
    let inbox = received.inboxes.get(&source.lane);
    let open = inbox.and_then(|inbox| inbox.epochs.get(&source.epoch));
    let open = open.map(|inbox| (inbox.received(), inbox.endings));
    let closed = received.closed.get(&source).copied();
    open.or(closed).unwrap_or_default()
}

/// Of each source and receiver, everything that was sent since the receiver began is accounted for, each once. Nothing is said of what
/// was sent before a store was restored, or the resync since: that is what hellos are for.
pub(crate) fn balances(world: &World) -> Result<(), String> {
    if world.damaged && !world.is_being_healed() {
        return Ok(());
    }
    for node in &world.nodes {
        let received = &node.store.received;
        let mut waiting: BTreeMap<Source, (u64, u64)> = BTreeMap::new();
        for (id, (_, how)) in &received.parked {
            let (parked, dead) = waiting.entry(id.source).or_default();
            *(if how.is_dead() { dead } else { parked }) += 1;
        }
        let begins = world.store.outbox.begins(&node.name);
        for (source, state) in world.store.outbox.standing_of_all() {
            let mut begins = begins.iter();
            if !world.is_sound(*source)
                || !begins.any(|begin| begin.lane == source.lane && begin.epoch <= source.epoch)
            {
                continue;
            }
            let (held, endings) = held(received, *source);
            let (parked, dead) = waiting.get(source).copied().unwrap_or_default();
            let account = Account {
                sent: state.last,
                sent_own: state.own,
                received: held,
                endings,
                parked,
                dead,
            };
            if let Err(imbalance) = account.balance() {
                return Err(format!(
                    "{source} at {}: {imbalance:?} in {account:?}",
                    node.name
                ));
            }
        }
    }
    Ok(())
}
