//! The outbox over SQLite: epochs, events, receivers and what each of them said.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use duet_protocol::accept::Dispatch;
use duet_protocol::event::{Event, RollingHash};
use duet_protocol::membership::Changed;
use duet_protocol::outbox::{EpochState, Mark, OutboxTables};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::resync::Resync;
use duet_protocol::sequence::{Epoch, Incarnation, Lane, Partition, Sequence, Source, StoreId};
use rusqlite::{Connection, OptionalExtension, params};

use super::codec::{self, signed, unsigned};
use super::error::refused;
use super::ledger;
use super::standing;
use super::transaction::{Receiver, SqliteTx};
use crate::store::StoreError;

/// The row of an epoch, which names its events' rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EpochRow(pub(super) i64);

impl EpochRow {
    const SEQUENCE_BITS: u32 = 40;
    const LAST: u64 = (1 << Self::SEQUENCE_BITS) - 1;

    /// The row of an event; those of an epoch stand together, by sequence. What lies beyond any row is the last one.
    pub(super) const fn event(self, sequence: Sequence) -> i64 {
        let Sequence(mut sequence) = sequence;
        if sequence > Self::LAST {
            sequence = Self::LAST;
        }
        self.0 << Self::SEQUENCE_BITS | sequence.cast_signed()
    }

    /// The row of an epoch's last possible event.
    pub(super) const fn end(self) -> i64 {
        self.event(Sequence(Self::LAST))
    }

    /// The sequence of an event in the row `event`.
    pub(super) const fn sequence(event: i64) -> Sequence {
        Sequence(event.cast_unsigned() & Self::LAST)
    }
}

/// What the writer knows of the outbox.
#[derive(Default)]
pub(super) struct Memory {
    heads: BTreeMap<Partition, Epoch>,
    epochs: BTreeMap<(Partition, Epoch), Known>,
    /// The sums of the digests of a partition's epochs from one on.
    pub(super) digests: BTreeMap<(Partition, Epoch), RollingHash>,
}

/// An epoch as it is, and as its row has it.
pub(super) struct Known {
    row: EpochRow,
    pub(super) now: EpochState,
    written: EpochState,
    /// The sums of the hashes up to where receivers have come, beyond what is forgotten: else each receipt of one would have all
    /// summed up anew that is kept for another.
    sums: BTreeMap<Sequence, RollingHash>,
    /// The hashes of the newest events: a receipt comes soon, and then need not be looked up.
    recent: Recent,
}

/// The hashes of the events after one, in order.
#[derive(Debug, Default)]
struct Recent {
    after: Sequence,
    hashes: VecDeque<RollingHash>,
}

impl Recent {
    /// Half a megabyte.
    const MOST: usize = 65_536;

    /// The next event's.
    fn push(&mut self, sequence: Sequence, hash: RollingHash) {
        if self.hashes.is_empty() {
            self.after = sequence.previous();
        }
        self.hashes.push_back(hash);
        if self.hashes.len() > Self::MOST {
            self.forget(self.after.next());
        }
    }

    /// Those of the events up to one are of no more use.
    fn forget(&mut self, up_to: Sequence) {
        while self.after < up_to && self.hashes.pop_front().is_some() {
            self.after = self.after.next();
        }
    }

    /// The sum over what lies after one event up to another; `None` if some of it is not known.
    fn sum(&self, after: Sequence, up_to: Sequence) -> Option<RollingHash> {
        let from = usize::try_from(after.0.checked_sub(self.after.0)?).ok()?;
        let until = usize::try_from(up_to.0.checked_sub(self.after.0)?).ok()?;
        if until > self.hashes.len() {
            return None;
        }
        let hashes = self.hashes.range(from..until);
        Some(hashes.fold(RollingHash::default(), |sum, hash| sum + *hash))
    }
}

impl Known {
    /// More than there are receivers.
    const SUMS: usize = 32;

    /// The sum of the hashes from the epoch's beginning up to an event, or to what is forgotten if that is later.
    fn sum(&mut self, connection: &Connection, up_to: Sequence) -> Result<RollingHash, StoreError> {
        let EpochState {
            last,
            forgotten,
            hash,
            ..
        } = self.now;
        let up_to = up_to.min(last);
        if up_to <= forgotten {
            return Ok(hash);
        }
        self.sums = self.sums.split_off(&forgotten.next());
        let below = self.sums.range(..=up_to).next_back();
        let (at, before) = below.map_or((forgotten, hash), |(at, sum)| (*at, *sum));
        if at == up_to {
            return Ok(before);
        }
        let more = match self.recent.sum(at, up_to) {
            Some(more) => more,
            None => {
                // Not SQLite's sum(), which fails where ours wraps around.
                let mut select = connection.prepare_cached(HASHES)?;
                sum(select.query((self.row.event(at), self.row.event(up_to)))?)?
            }
        };
        // Whoever had come there has come further.
        self.sums.remove(&at);
        self.sums.insert(up_to, before + more);
        if self.sums.len() > Self::SUMS {
            self.sums.pop_first();
        }
        Ok(before + more)
    }
}

pub(super) const HASHES: &str = "SELECT hash FROM outbox WHERE id > ?1 AND id <= ?2";

impl Memory {
    /// Writes what is only in memory yet.
    pub(super) fn write_back(&mut self, connection: &Connection) -> Result<(), StoreError> {
        for known in self.epochs.values_mut() {
            if known.now == known.written {
                continue;
            }
            let EpochState {
                last,
                forgotten,
                hash,
                own,
                digest,
            } = known.now;
            let mut update = connection.prepare_cached(
                "UPDATE epochs SET last = ?2, forgotten = ?3, hash = ?4, own = ?5, digest = ?6 WHERE id = ?1",
            )?;
            update.execute(params![
                known.row.0,
                signed(last.0),
                signed(forgotten.0),
                signed(hash.0),
                signed(own),
                signed(digest.0),
            ])?;
            known.written = known.now;
        }
        Ok(())
    }
}

impl SqliteTx<'_> {
    /// What is known of an epoch; `None` if it never was this store's.
    pub(super) fn known(&mut self, source: Source) -> Result<Option<&mut Known>, StoreError> {
        let Lane {
            store,
            partitions,
            partition,
        } = source.lane;
        let identity = self.memory.identity;
        if store != identity.store || partitions != identity.partitions {
            return Ok(None);
        }
        let unknown = match self.memory.outbox.epochs.entry((partition, source.epoch)) {
            Entry::Occupied(known) => return Ok(Some(known.into_mut())),
            Entry::Vacant(unknown) => unknown,
        };
        let mut select = self.connection.prepare_cached(
            "SELECT id, last, forgotten, hash, own, digest FROM epochs WHERE partition = ?1 AND epoch = ?2",
        )?;
        let found = select
            .query_row((partition.0, signed(source.epoch.0)), |row| {
                Ok((EpochRow(row.get(0)?), standing::epoch_state(row, 1)?))
            })
            .optional()?;
        Ok(found.map(|(row, state)| {
            unknown.insert(Known {
                row,
                now: state,
                written: state,
                sums: BTreeMap::new(),
                recent: Recent::default(),
            })
        }))
    }

    /// As [`SqliteTx::known`], where the protocol never asks for another's.
    fn own(&mut self, source: Source) -> Result<&mut Known, StoreError> {
        self.known(source)?
            .ok_or_else(|| refused(format_args!("{source} is no epoch of this store")))
    }

    /// The Channel's receivers.
    fn known_receivers(&mut self) -> Result<&mut Vec<Receiver>, StoreError> {
        let receivers = &mut self.memory.receivers;
        if receivers.is_none() {
            *receivers = Some(standing::receivers(self.connection)?);
        }
        Ok(receivers.get_or_insert_default())
    }

    fn receiver(&mut self, name: &ReceiverName) -> Result<Option<&mut Receiver>, StoreError> {
        let mut receivers = self.known_receivers()?.iter_mut();
        Ok(receivers.find(|receiver| receiver.name == *name))
    }

    fn own_receiver(&mut self, name: &ReceiverName) -> Result<i64, StoreError> {
        let found = self.receiver(name)?.map(|receiver| receiver.id);
        found.ok_or_else(|| refused(format_args!("{name} is no receiver of this channel")))
    }
}

/// A lane's epochs below one of which not all is forgotten, as they were written back.
pub(super) fn unforgotten(
    connection: &Connection,
    lane: Lane,
    before: Epoch,
) -> Result<Vec<Epoch>, StoreError> {
    let mut select = connection.prepare_cached(UNFORGOTTEN)?;
    let mut rows = select.query([lane.partition.0])?;
    let mut epochs = Vec::new();
    while let Some(row) = rows.next()? {
        epochs.push(Epoch(unsigned(row.get(0)?)));
    }
    epochs.retain(|epoch| *epoch < before);
    Ok(epochs)
}

pub(super) const UNFORGOTTEN: &str =
    "SELECT epoch FROM epochs WHERE partition = ?1 AND forgotten < last ORDER BY id";

impl OutboxTables for SqliteTx<'_> {
    type Error = StoreError;

    fn store(&mut self) -> Result<StoreId, StoreError> {
        Ok(self.memory.identity.store)
    }

    fn partitions(&mut self) -> Result<u16, StoreError> {
        Ok(self.memory.identity.partitions)
    }

    fn head(&mut self, partition: Partition) -> Result<Option<Epoch>, StoreError> {
        if let Some(&head) = self.memory.outbox.heads.get(&partition) {
            return Ok(Some(head));
        }
        let mut select = self.connection.prepare_cached(
            "SELECT epoch FROM epochs WHERE partition = ?1 ORDER BY id DESC LIMIT 1",
        )?;
        let head = select.query_row([partition.0], |row| row.get(0));
        let head = head.optional()?.map(|epoch| Epoch(unsigned(epoch)));
        if let Some(head) = head {
            self.memory.outbox.heads.insert(partition, head);
        }
        Ok(head)
    }

    fn epoch(&mut self, source: Source) -> Result<Option<EpochState>, StoreError> {
        Ok(self.known(source)?.map(|known| known.now))
    }

    fn unforgotten(&mut self, lane: Lane, before: Epoch) -> Result<Vec<Epoch>, StoreError> {
        self.memory.outbox.write_back(self.connection)?;
        unforgotten(self.connection, lane, before)
    }

    fn open_epoch(&mut self, source: Source) -> Result<(), StoreError> {
        let partition = source.lane.partition;
        if self
            .head(partition)?
            .is_some_and(|head| source.epoch <= head)
        {
            return Err(refused(format_args!(
                "{source} is not above its partition's epochs"
            )));
        }
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO epochs (partition, epoch, last, forgotten, hash) VALUES (?1, ?2, 0, 0, 0)",
        )?;
        insert.execute((partition.0, signed(source.epoch.0)))?;
        self.memory.outbox.heads.insert(partition, source.epoch);
        Ok(())
    }

    fn append(&mut self, event: Event, dispatch: Dispatch) -> Result<(), StoreError> {
        let known = self.own(event.source)?;
        if event.sequence != known.now.last.next() || event.sequence.0 > EpochRow::LAST {
            let id = event.id();
            return Err(refused(format_args!(
                "{id:?} is not its source's next event"
            )));
        }
        known.now.last = event.sequence;
        known.now.own += u64::from(event.data().is_none());
        let (id, hash) = (known.row.event(event.sequence), event.hash());
        known.recent.push(event.sequence, hash);
        let codec::BodyColumns { kind, key, data } = codec::body(&event.body)?;
        let mut insert = self.connection.prepare_cached(concat!(
            "INSERT INTO outbox (id, hash, ",
            codec::event_columns!(),
            ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        ))?;
        insert.execute(params![
            id,
            signed(hash.0),
            event.time.micros(),
            kind,
            key,
            &*data,
            &*event.trace.traceparent,
            &*event.trace.tracestate,
            signed(event.generation.0),
        ])?;
        drop(data);
        self.appended(event, dispatch);
        Ok(())
    }

    fn hash_between(
        &mut self,
        source: Source,
        after: Sequence,
        up_to: Sequence,
    ) -> Result<RollingHash, StoreError> {
        let connection = self.connection;
        let known = self.own(source)?;
        let before = known.sum(connection, after)?;
        Ok(known.sum(connection, up_to)? - before)
    }

    fn hash_of_epochs(
        &mut self,
        lane: Lane,
        from: Epoch,
        below: Epoch,
    ) -> Result<RollingHash, StoreError> {
        self.memory.outbox.write_back(self.connection)?;
        ledger::hash_of_epochs(self.connection, lane.partition, from, below)
    }

    fn has_epochs(&mut self, lane: Lane, from: Epoch, below: Epoch) -> Result<bool, StoreError> {
        ledger::has_epochs(self.connection, lane.partition, from, below)
    }

    fn add_to_digest(&mut self, source: Source, change: RollingHash) -> Result<(), StoreError> {
        self.digest_changed(source, change)
    }

    fn digest(&mut self, lane: Lane, from: Epoch) -> Result<RollingHash, StoreError> {
        self.digest_since(lane.partition, from)
    }

    fn forget(&mut self, source: Source, up_to: Sequence) -> Result<(), StoreError> {
        let connection = self.connection;
        let known = self.own(source)?;
        if up_to > known.now.last {
            return Err(refused(format_args!(
                "{source} has nothing at {up_to} to forget"
            )));
        }
        let rows = (known.row.event(known.now.forgotten), known.row.event(up_to));
        known.now.hash = known.sum(connection, up_to)?;
        let delete = "DELETE FROM outbox WHERE id > ?1 AND id <= ?2";
        connection.prepare_cached(delete)?.execute(rows)?;
        known.now.forgotten = known.now.forgotten.max(up_to);
        known.recent.forget(known.now.forgotten);
        Ok(())
    }

    fn seen(&mut self) -> Result<Epoch, StoreError> {
        self.seen_epoch()
    }

    fn put_seen(&mut self, seen: Epoch) -> Result<(), StoreError> {
        self.put_seen_epoch(seen)
    }

    fn resync(&mut self) -> Result<Option<Resync>, StoreError> {
        self.last_resync()
    }

    fn put_resync(&mut self, resync: &Resync) -> Result<(), StoreError> {
        self.put_last_resync(resync)
    }

    fn receivers(&mut self) -> Result<Vec<ReceiverName>, StoreError> {
        let receivers = self.known_receivers()?.iter();
        Ok(receivers.map(|known| known.name.clone()).collect())
    }

    fn are_receivers(&mut self, names: &[ReceiverName]) -> Result<bool, StoreError> {
        let known = self.known_receivers()?;
        let is_named = |known: &Receiver| names.contains(&known.name);
        Ok(known.len() == names.len() && known.iter().all(is_named))
    }

    fn add_receiver(&mut self, name: &ReceiverName) -> Result<(), StoreError> {
        let insert = "INSERT INTO receivers (name, incarnation) VALUES (?1, 0)";
        let mut insert = self.connection.prepare_cached(insert)?;
        insert.execute([name.as_str()])?;
        let id = self.connection.last_insert_rowid();
        self.known_receivers()?.retain(|known| known.id != id);
        self.known_receivers()?.push(Receiver {
            id,
            name: name.clone(),
            begins: BTreeMap::new(),
        });
        Ok(())
    }

    fn remove_receiver(&mut self, name: &ReceiverName) -> Result<(), StoreError> {
        let id = self.own_receiver(name)?;
        let delete = "DELETE FROM receivers WHERE id = ?1";
        self.connection.prepare_cached(delete)?.execute([id])?;
        self.known_receivers()?.retain(|known| known.id != id);
        Ok(())
    }

    fn begin(
        &mut self,
        receiver: &ReceiverName,
        partition: Partition,
    ) -> Result<Epoch, StoreError> {
        let begin = self.receiver(receiver)?;
        let begin = begin.and_then(|known| known.begins.get(&partition));
        Ok(begin.copied().unwrap_or_default())
    }

    fn put_begin(
        &mut self,
        receiver: &ReceiverName,
        source: Source,
        rows_since: Epoch,
    ) -> Result<(), StoreError> {
        let (id, partition) = (self.own_receiver(receiver)?, source.lane.partition);
        let put = "INSERT OR REPLACE INTO begins (receiver, partition, epoch, rows_since) VALUES (?1, ?2, ?3, ?4)";
        let mut put = self.connection.prepare_cached(put)?;
        let epochs = (signed(source.epoch.0), signed(rows_since.0));
        put.execute((id, partition.0, epochs.0, epochs.1))?;
        if let Some(known) = self.receiver(receiver)? {
            known.begins.insert(partition, source.epoch);
        }
        Ok(())
    }

    fn rows_since(
        &mut self,
        receiver: &ReceiverName,
        partition: Partition,
    ) -> Result<Epoch, StoreError> {
        ledger::rows_since(self.connection, receiver, partition)
    }

    fn changed(&mut self, changed: &Changed) -> Result<(), StoreError> {
        self.receivers_changed(changed);
        Ok(())
    }

    fn incarnation(&mut self, receiver: &ReceiverName) -> Result<Incarnation, StoreError> {
        let Some(id) = self.receiver(receiver)?.map(|known| known.id) else {
            return Ok(Incarnation::ZERO);
        };
        let mut select = self
            .connection
            .prepare_cached("SELECT incarnation FROM receivers WHERE id = ?1")?;
        let incarnation: i64 = select.query_row([id], |row| row.get(0))?;
        Ok(Epoch(unsigned(incarnation)))
    }

    fn put_incarnation(
        &mut self,
        receiver: &ReceiverName,
        incarnation: Incarnation,
    ) -> Result<(), StoreError> {
        let id = self.own_receiver(receiver)?;
        let mut update = self
            .connection
            .prepare_cached("UPDATE receivers SET incarnation = ?2 WHERE id = ?1")?;
        update.execute((id, signed(incarnation.0)))?;
        Ok(())
    }

    fn drop_runs(&mut self, receiver: &ReceiverName) -> Result<(), StoreError> {
        let id = self.own_receiver(receiver)?;
        // Without a mark, what is forgotten is what it holds.
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM marks WHERE receiver = ?1")?;
        delete.execute([id])?;
        Ok(())
    }

    fn mark(&mut self, receiver: &ReceiverName, source: Source) -> Result<Mark, StoreError> {
        let id = self.own_receiver(receiver)?;
        match self.known(source)? {
            None => Ok(Mark::default()),
            Some(Known { row, now, .. }) => {
                let (row, forgotten) = (*row, now.forgotten);
                standing::mark(self.connection, id, row, forgotten)
            }
        }
    }

    fn put_mark(
        &mut self,
        receiver: &ReceiverName,
        source: Source,
        mark: &Mark,
    ) -> Result<(), StoreError> {
        let receiver = self.own_receiver(receiver)?;
        let epoch = self.own(source)?.row;
        let mut put = self.connection.prepare_cached(
            "INSERT INTO marks (receiver, epoch, watermark, runs) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET watermark = excluded.watermark, runs = excluded.runs",
        )?;
        put.execute(params![
            receiver,
            epoch.0,
            signed(mark.watermark.0),
            codec::ranges_to_blob(&mark.runs)
        ])?;
        Ok(())
    }
}

pub(super) fn sum(mut hashes: rusqlite::Rows<'_>) -> Result<RollingHash, StoreError> {
    let mut sum = RollingHash::default();
    while let Some(row) = hashes.next()? {
        sum += RollingHash(unsigned(row.get(0)?));
    }
    Ok(sum)
}
