//! The receiving service's rows.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use duet_protocol::decision::Decision;
use duet_protocol::event::{Data, Event, EventId, Key, RollingHash};
use duet_protocol::ledger::row_hash;
use duet_protocol::receive::{Apply, Failure};
use duet_protocol::sequence::{Lane, Source, Version};
use duet_protocol::sweep::{Sweep, Swept};
use duet_protocol::time::Timestamp;

use super::{Value, value, version};
use crate::witness::Witness;

/// The receiving service's rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct NotificationRows {
    pub(crate) rows: BTreeMap<Key, (Option<Value>, EventId)>,
    /// What can't be applied for now.
    pub(crate) failing: BTreeSet<Key>,
    /// What is of a type that is not known yet.
    pub(crate) unknown: BTreeSet<Key>,
    /// What ever was.
    pub(crate) was_unknown: BTreeSet<Key>,
    /// What is a job.
    pub(crate) jobs: BTreeSet<Key>,
    /// Sees what is applied, apart from the machines.
    pub(crate) witness: Witness,
    /// The next row is not written though its event counts as applied: as a service does that has a bug.
    pub(crate) loses_row: bool,
    /// Of which events it was not.
    pub(crate) lost: BTreeSet<EventId>,
    /// How the digest has changed since it was asked.
    changes: Vec<(Source, RollingHash)>,
}

impl Apply for NotificationRows {
    type Error = Infallible;

    fn held(&mut self, key: &Key) -> Result<Option<Version>, Infallible> {
        Ok(self.rows.get(key).map(|(_, id)| version(*id)))
    }

    fn applies_at(&mut self, _: Timestamp) {}

    fn is_job(&mut self, event: &Event) -> bool {
        let data = event.data();
        data.is_some_and(|data| self.jobs.contains(&data.key))
    }

    fn apply(
        &mut self,
        event: &Event,
        data: &Data,
    ) -> Result<Result<Option<Decision>, Failure>, Infallible> {
        if self.failing.contains(&data.key) {
            return Ok(Err(Failure::new("told to fail")));
        }
        if self.unknown.contains(&data.key) {
            return Ok(Err(Failure::unknown_type("dev.duet.newer")));
        }
        if std::mem::take(&mut self.loses_row) {
            self.lost.insert(event.id());
            return Ok(Ok(None));
        }
        self.witness.applied(event, data);
        let row = (value(data), event.id());
        let before = self.rows.insert(data.key.clone(), row);
        if let Some((Some(value), id)) = before {
            let hash = RollingHash::default() - row_hash(&data.key, &[value]);
            self.changes.push((id.source, hash));
        }
        if let Some(value) = value(data) {
            let hash = row_hash(&data.key, &[value]);
            self.changes.push((event.source, hash));
        }
        Ok(Ok(None))
    }

    fn state_changes(&mut self) -> Option<Vec<(Source, RollingHash)>> {
        Some(std::mem::take(&mut self.changes))
    }

    fn tombstones(
        &mut self,
        lane: Lane,
        up_to: Version,
        limit: usize,
    ) -> Result<Vec<Key>, Infallible> {
        let undone = self.rows.iter().filter(|(_, (value, id))| {
            value.is_none() && id.source.lane == lane && version(*id) <= up_to
        });
        Ok(undone.take(limit).map(|(key, _)| key.clone()).collect())
    }

    fn drop_tombstone(&mut self, key: &Key) -> Result<(), Infallible> {
        self.rows.remove(key);
        Ok(())
    }

    fn sweep(
        &mut self,
        sweep: &Sweep,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Swept, Infallible> {
        let keys = self.rows.keys().filter(|key| Some(*key) > after);
        let keys: Vec<Key> = keys.take(limit).cloned().collect();
        let mut swept = Swept::default();
        for key in keys {
            let epoch = self.rows.get(&key).map(|(_, id)| id.source.epoch);
            if epoch.is_some_and(|epoch| sweep.takes(&key, epoch)) {
                if let Some((Some(value), id)) = self.rows.remove(&key) {
                    let hash = RollingHash::default() - row_hash(&key, &[value]);
                    self.changes.push((id.source, hash));
                }
                swept.removed += 1;
            }
            swept.last = Some(key);
        }
        Ok(swept)
    }
}
