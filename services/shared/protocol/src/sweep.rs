//! The end of a resync at a receiver: what it has of older epochs goes, a page at a time, while it goes on receiving.
//!
//! A [`Body::Sweep`](crate::event::Body::Sweep) is received as any event. Once everything from its epoch up to it is received, the older
//! epochs and other stores' lanes are closed in that transaction ([`Inbox::carry_out`]), so that nothing of them
//! can come any more; and a [`Sweeping`] is kept until all that they left is gone.

use crate::event::Key;
use crate::inbox::Inbox;
use crate::receive::{Apply, InboxTables, Receiving};
use crate::rules::Rule;
use crate::sequence::{Epoch, Lane};

/// What a sweep takes: of the keys of a lane, whichever store wrote them, what is of an older epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The lane whose keys it is about.
    pub lane: Lane,
    /// What is below goes.
    pub below: Epoch,
}

impl Sweep {
    /// Whether it takes what a key has of an epoch.
    pub fn takes(&self, key: &Key, epoch: Epoch) -> bool {
        epoch < self.below && key.partition(self.lane.partitions) == self.lane.partition
    }
}

/// A sweep under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweeping {
    /// What it takes.
    pub sweep: Sweep,
    /// The row that was looked at last; none before the first.
    pub after: Option<Key>,
    /// How many rows it took, tombstones included.
    pub rows: u64,
    /// How many parked and dead events.
    pub parked: u64,
}

/// What a page of a service's rows came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The row that was looked at last; none if there are no more.
    pub last: Option<Key>,
    /// How many went.
    pub removed: u64,
}

impl<I: InboxTables, A: Apply<Error = I::Error>> Receiving<'_, I, A> {
    /// What has been received of a lane. One that was never heard of is closed as the others were.
    pub(crate) fn inbox_of(&mut self, lane: Lane) -> Result<Inbox, I::Error> {
        let mut inbox = self.inbox.inbox(lane)?;
        if inbox != Inbox::default() {
            return Ok(inbox);
        }
        for other in self.inbox.lanes(None)? {
            let swept = self.inbox.inbox(other)?.swept;
            if other.store != lane.store
                && swept > inbox.floor
                && self.rules.holds(Rule::SweepClosesOthers)
            {
                inbox.close_below(swept);
            }
        }
        Ok(inbox)
    }

    /// Carries out the sweep that an inbox waits for, if that is due: closes what is older, and notes what is to go.
    pub(crate) fn begin_sweep(&mut self, lane: Lane, inbox: &mut Inbox) -> Result<(), I::Error> {
        let Some(below) = inbox.carry_out(self.rules) else {
            return Ok(());
        };
        self.put_inbox(lane, inbox)?;
        for other in self.inbox.lanes(None)? {
            let is_own = other.store == lane.store && other.partitions == lane.partitions;
            if !is_own && self.rules.holds(Rule::SweepClosesOthers) {
                let mut closed = self.inbox.inbox(other)?;
                closed.close_below(below);
                self.put_inbox(other, &mut closed)?;
            }
        }
        self.inbox.put_sweeping(&Sweeping {
            sweep: Sweep { lane, below },
            after: None,
            rows: 0,
            parked: 0,
        })
    }

    /// Does some of what sweeps have left to do: at most `limit` parked events or rows are looked at. Whether there is more.
    ///
    /// # Errors
    /// Those of the tables; then nothing may be committed.
    pub fn sweep(&mut self, limit: usize) -> Result<bool, I::Error> {
        let Some(mut sweeping) = self.inbox.sweeping()?.into_iter().next() else {
            return Ok(false);
        };
        // Else what is tried again could put back what the rows were just freed of.
        if self.rules.holds(Rule::SweepParkedFirst) {
            let parked = self.inbox.drop_parked(&sweeping.sweep, limit)?;
            if parked > 0 {
                sweeping.parked += parked;
                self.inbox.put_sweeping(&sweeping)?;
                return Ok(true);
            }
        }
        let after = sweeping.after.take();
        let Swept { last, removed } = self.rows.sweep(&sweeping.sweep, after.as_ref(), limit)?;
        self.rows_changed()?;
        sweeping.rows += removed;
        sweeping.after = last;
        match sweeping.after {
            Some(_) => self.inbox.put_sweeping(&sweeping)?,
            None => self.inbox.end_sweeping(&sweeping)?,
        }
        Ok(!self.inbox.sweeping()?.is_empty())
    }
}
