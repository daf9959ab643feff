//! Sees what a receiver applies, apart from the machines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duet_protocol::event::{Body, Data, Event, EventId, Key};
use duet_protocol::receive::Outcome;
use duet_protocol::sequence::{Sequence, Source, StoreId, Version};

use crate::tables::{value, version};

/// Sees every event that a receiver applies, inside its transaction: what is rolled back or restored was not seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness {
    applied: BTreeSet<EventId>,
    /// Of each key, by the store that wrote it: what another wrote is another's until a resync.
    newest: BTreeMap<(Key, StoreId), Newest>,
    /// Where epochs ended, as far as `opened` events tell.
    seals: BTreeMap<Source, Sequence>,
    /// What was received before it could be applied, perhaps before its epoch's end was known.
    parked: BTreeSet<EventId>,
    pub(crate) violation: Option<String>,
}

/// What a store wrote last.
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    version: Version,
    /// Another store has undone it since: the row may be gone, and with it what it held against older ones.
    is_gone: bool,
}

impl Witness {
    pub(crate) fn applied(&mut self, event: &Event, data: &Data) {
        let id = event.id();
        if !self.applied.insert(id) {
            self.violation = Some(format!("{id:?} is applied twice"));
        }
        let of = (data.key.clone(), id.source.lane.store);
        if value(data).is_none() {
            let others = self.newest.iter_mut();
            for (_, newest) in others.filter(|((key, store), _)| *key == of.0 && *store != of.1) {
                newest.is_gone = true;
            }
        }
        let newest = self.newest.entry(of).or_default();
        let ended = self.seals.get(&event.source);
        if ended.is_some_and(|last| event.sequence > *last) && !self.parked.contains(&id) {
            self.violation = Some(format!("{id:?} is from a store that is gone, and applied"));
        }
        if event.version() < newest.version && !newest.is_gone {
            self.violation = Some(format!(
                "{} is brought back: {id:?} is applied after {}",
                data.key, newest.version
            ));
        }
        *newest = Newest {
            version: event.version(),
            is_gone: false,
        };
    }

    /// Sees what was received, for where epochs end.
    pub(crate) fn received(&mut self, events: &[Arc<Event>], outcomes: &[Outcome]) {
        for (event, outcome) in events.iter().zip(outcomes) {
            if matches!(outcome, Outcome::Parked | Outcome::Dead) {
                self.parked.insert(event.id());
            }
            if let Body::Opened {
                previous: Some(seal),
                ..
            } = &event.body
                && matches!(outcome, Outcome::Applied(_))
            {
                self.seals
                    .insert(event.source.lane.source(seal.epoch), seal.last);
            }
        }
    }

    /// Whether the event, or something newer of its key, is applied.
    pub(crate) fn has(&self, key: &Key, id: EventId) -> bool {
        self.newest
            .get(&(key.clone(), id.source.lane.store))
            .is_some_and(|newest| newest.version >= version(id))
    }
}
