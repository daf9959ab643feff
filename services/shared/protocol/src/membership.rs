//! Who receives: receivers join and leave in a transaction, while traffic runs.
//!
//! One that joins starts at now: the transaction opens a new epoch in every partition, whose first event names those who begin with it,
//! and older epochs are none of their business. So what was accepted in the transactions before is never sent to them, and what is
//! accepted later always is. One that leaves is forgotten, and what the outbox only kept for it is free.

use crate::outbox::{self, OutboxTables};
use crate::receipt::ReceiverName;
use crate::resync::{self, Resync};
use crate::rules::{Rule, Rules};
use crate::sequence::{Epoch, Incarnation, Source};
use crate::settings::Generation;
use crate::time::Timestamp;

/// What the epochs that a transaction may open are made from.
#[derive(Clone, Copy, Debug)]
pub struct NewEpochs {
    /// The wall clock's time.
    pub wall: Timestamp,
    /// Random bits.
    pub random: u32,
    /// The generation in force.
    pub generation: Generation,
}

/// Who joined and who left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Those who joined.
    pub joined: Vec<ReceiverName>,
    /// The source of each partition that they begin with.
    pub begin: Vec<Source>,
    /// Those who left.
    pub left: Vec<ReceiverName>,
    /// All receivers begin there, and not only those who joined: a resync (see [`crate::resync`]) began.
    pub resync: bool,
}

impl Changed {
    /// Whether all begin after a source: a resync overtook it.
    pub fn overtook(&self, source: Source) -> bool {
        let mut begin = self.begin.iter();
        self.resync && begin.any(|begin| begin.lane == source.lane && source.epoch < begin.epoch)
    }

    /// Whether nobody joined or left, and all begin where they did.
    pub fn is_nothing(&self) -> bool {
        self.joined.is_empty() && self.left.is_empty() && !self.resync
    }
}

/// Opens the store with these receivers; with those that it knows, if none are given. Every partition takes a new epoch.
///
/// To be committed before the store accepts anything.
///
/// # Errors
/// Those of the tables; then nothing may be committed.
pub fn open<T: OutboxTables>(
    tables: &mut T,
    receivers: Option<&[ReceiverName]>,
    new: NewEpochs,
    rules: &Rules,
) -> Result<Changed, T::Error> {
    let mut changed = match receivers {
        Some(receivers) => changes(tables, receivers)?,
        None => Changed::default(),
    };
    changed.resync = !changed.joined.is_empty() && resync::begins_anew(tables, rules)?;
    changed.begin = outbox::open(tables, &changed.joined, new, rules)?;
    put(tables, &changed, new.wall, rules)?;
    Ok(changed)
}

/// Makes these the receivers, if they are not. To be called in the transaction that accepts an event, before it is numbered: then an
/// event goes to those that its own generation names.
///
/// # Errors
/// Those of the tables; then nothing may be committed.
pub fn follow<T: OutboxTables>(
    tables: &mut T,
    receivers: &[ReceiverName],
    new: impl FnOnce() -> NewEpochs,
    rules: &Rules,
) -> Result<Changed, T::Error> {
    if tables.are_receivers(receivers)? {
        return Ok(Changed::default());
    }
    let mut changed = changes(tables, receivers)?;
    let new = new();
    if !changed.joined.is_empty() {
        changed.resync = resync::begins_anew(tables, rules)?;
        changed.begin = outbox::open(tables, &changed.joined, new, rules)?;
    }
    put(tables, &changed, new.wall, rules)?;
    if !changed.is_nothing() {
        tables.changed(&changed)?;
    }
    Ok(changed)
}

fn changes<T: OutboxTables>(
    tables: &mut T,
    receivers: &[ReceiverName],
) -> Result<Changed, T::Error> {
    let known = tables.receivers()?;
    let but = |these: &[ReceiverName], those: &[ReceiverName]| {
        let others = these.iter().filter(|name| !those.contains(name));
        others.cloned().collect::<Vec<_>>()
    };
    Ok(Changed {
        joined: but(receivers, &known),
        left: but(&known, receivers),
        ..Changed::default()
    })
}

pub(crate) fn put<T: OutboxTables>(
    tables: &mut T,
    changed: &Changed,
    at: Timestamp,
    rules: &Rules,
) -> Result<(), T::Error> {
    for name in &changed.left {
        tables.remove_receiver(name)?;
    }
    for name in &changed.joined {
        tables.add_receiver(name)?;
    }
    let begin = match changed.resync {
        true => tables.receivers()?,
        false => changed.joined.clone(),
    };
    for name in &begin {
        for source in &changed.begin {
            // A resync tells all rows anew.
            let rows_since = if changed.resync {
                Epoch::ZERO
            } else {
                source.epoch
            };
            tables.put_begin(name, *source, rows_since)?;
        }
    }
    if changed.resync {
        // One that was restored with its clock set back speaks under an older one for good.
        for name in begin
            .iter()
            .filter(|_| rules.holds(Rule::ResyncForgetsIncarnations))
        {
            tables.put_incarnation(name, Incarnation::ZERO)?;
        }
        tables.put_resync(&Resync {
            begun: at,
            sources: changed.begin.clone(),
            after: None,
            announced: 0,
            sweeps: Vec::new(),
        })?;
    }
    if changed.is_nothing() {
        return Ok(());
    }
    // Those who begin hold all that is older, and those who left are not asked.
    for partition in 0..tables.partitions()? {
        let lane = outbox::lane(tables, crate::sequence::Partition(partition))?;
        for epoch in tables.unforgotten(lane, Epoch(u64::MAX))? {
            outbox::forget_what_all_hold(tables, lane.source(epoch), rules)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::{Epoch, Lane, Partition};

    #[test]
    fn only_a_resync_overtakes_and_only_what_is_older_of_its_own_lanes() {
        let lane = |partition| Lane {
            partitions: 2,
            partition: Partition(partition),
            ..Lane::default()
        };
        let resync = Changed {
            begin: vec![lane(0).source(Epoch(5)), lane(1).source(Epoch(7))],
            resync: true,
            ..Changed::default()
        };
        let overtaken = [(0, 4), (0, 5), (1, 6), (1, 7), (0, 8)]
            .map(|(at, epoch)| resync.overtook(lane(at).source(Epoch(epoch))));
        assert_eq!(overtaken, [true, false, true, false, false]);
        let joins = Changed {
            resync: false,
            ..resync.clone()
        };
        assert!(!joins.overtook(lane(0).source(Epoch(4))));
        let elsewhere = Lane::default().source(Epoch(4));
        assert!(!resync.overtook(elsewhere));
    }

    #[test]
    fn nothing_changed_where_nobody_joined_or_left_and_no_resync_began() {
        let someone = || vec![ReceiverName::new("notification").unwrap()];
        assert!(Changed::default().is_nothing());
        let changes = [
            Changed {
                joined: someone(),
                ..Changed::default()
            },
            Changed {
                left: someone(),
                ..Changed::default()
            },
            Changed {
                resync: true,
                ..Changed::default()
            },
        ];
        assert!(changes.iter().all(|changed| !changed.is_nothing()));
    }
}
