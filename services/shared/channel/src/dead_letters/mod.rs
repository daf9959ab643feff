//! What could not be applied: listed, grouped by cause, previewed, redriven and discarded.
//!
//! A redrive is the store's: it is kept there with what it has done, event by event in the same transaction, so that a restart goes on
//! with it and nothing is tried twice. [`ParkedTask`](crate::receiver::ParkedTask) carries it out.

mod filter; // which letters
mod letter; // what is told of them
mod progress; // what is told of a redrive

use std::num::NonZeroU32;

use duet_protocol::event::EventId;
use duet_telemetry::instruments::Letters;

pub use filter::{Filter, Only};
pub use letter::{Cause, Cursor, Letter, Page, Preview, Would};
pub use progress::{Progress, Redrive, Redriving};

use crate::receiver::{Receiver, ReceivingService};
use crate::store::{Store, StoreError, Transaction};

/// How many letters one transaction touches at most.
pub(crate) const AT_ONCE: usize = 64;

/// A receiver's letters. Cheap to clone.
pub struct DeadLetters<S: Store, A: ReceivingService<S::Connection>>(pub(crate) Receiver<S, A>);

impl<S: Store, A: ReceivingService<S::Connection>> Clone for DeadLetters<S, A> {
    fn clone(&self) -> Self {
        DeadLetters(self.0.clone())
    }
}

/// Why a redrive does not begin.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RedriveError {
    /// Another is under way: one at a time.
    #[error("a redrive is under way")]
    UnderWay,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: Store, A: ReceivingService<S::Connection>> DeadLetters<S, A> {
    /// The most letters that a page has and that a preview tries; more are not asked for.
    pub const MOST: usize = 1_000;

    /// The letters that match after a place, at most `limit`, in the order in which they were parked.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let limit = limit.min(Self::MOST);
        self.0
            .store()
            .letters(filter.clone(), after.unwrap_or_default(), limit)
            .await
    }

    /// The causes of the letters that match, those of most letters first: at most 100.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn causes(&self, filter: &Filter) -> Result<Vec<Cause>, StoreError> {
        self.0.store().causes(filter.clone()).await
    }

    /// One letter; none if the event is not in the parked table.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn show(&self, id: EventId) -> Result<Option<Letter>, StoreError> {
        let page = self.list(&Filter::of([id]), None, 1).await?;
        Ok(page.letters.into_iter().next())
    }

    /// What a redrive would do now with the first `limit` that match: each is applied, one after the other, in a transaction that is
    /// rolled back. The store writes nothing else meanwhile.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn preview(&self, filter: &Filter, limit: usize) -> Result<Preview, StoreError> {
        let (receiver, filter) = (self.0.clone(), filter.clone());
        let limit = limit.min(Self::MOST);
        let decides_by = receiver.decides_by();
        let job = move |tx: &mut S::Tx<'_>| {
            let page = tx.letters(&filter, Cursor::default(), None, limit)?;
            let mut preview = Preview {
                letters: Vec::with_capacity(page.letters.len()),
                matching: tx.matching(&filter)?,
            };
            let named = !filter.ids.is_empty();
            tx.rolled_back(|tx| {
                for letter in &page.letters {
                    let would = receiver.would(tx, letter, named, &decides_by)?;
                    preview.letters.push((letter.id, would));
                }
                Ok(())
            })?;
            Ok(preview)
        };
        self.0.store().write(job).await
    }

    /// Begins a redrive of what matches now, at most `rate` a second, and returns as soon as that is durable. Each is tried with its
    /// attempts begun anew; what fails waits for its next attempt as if it had just been parked.
    ///
    /// # Errors
    /// [`RedriveError`].
    pub async fn redrive(
        &self,
        filter: Filter,
        rate: Option<NonZeroU32>,
    ) -> Result<(), RedriveError> {
        let clock = self.0.clock();
        let job = move |tx: &mut S::Tx<'_>| {
            let running = |redrive: &Redrive| redrive.progress.state == Redriving::Running;
            if tx.redrive()?.as_ref().is_some_and(running) {
                return Ok(false);
            }
            let progress = Progress {
                state: Redriving::Running,
                filter: filter.clone(),
                rate,
                started: clock.wall().micros(),
                ended: None,
                matching: tx.matching(&filter)?,
                tried: 0,
                applied: 0,
                superseded: 0,
                failed_again: 0,
                queued: 0,
                passed_over: 0,
            };
            let (at, up_to) = (Cursor::default(), tx.newest_letter()?);
            tx.put_redrive(&Redrive {
                progress,
                at,
                up_to,
            })?;
            Ok(true)
        };
        match self.0.store().write(job).await? {
            true => self.0.redrive_begun(),
            false => return Err(RedriveError::UnderWay),
        }
        Ok(())
    }

    /// How far the redrive under way has come, or how the last one ended; none if there never was one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn progress(&self) -> Result<Option<Progress>, StoreError> {
        let redrive = self.0.store().redrive().await?;
        Ok(redrive.map(|redrive| redrive.progress))
    }

    /// Ends the redrive under way, if there is one: what it has not come to stays as it was. Whether there was one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn cancel(&self) -> Result<bool, StoreError> {
        let clock = self.0.clock();
        let job = move |tx: &mut S::Tx<'_>| {
            let running = |redrive: &Redrive| redrive.progress.state == Redriving::Running;
            let Some(mut redrive) = tx.redrive()?.filter(running) else {
                return Ok(false);
            };
            redrive.progress.state = Redriving::Cancelled;
            redrive.progress.ended = Some(clock.wall().micros());
            tx.put_redrive(&redrive)?;
            Ok(true)
        };
        self.0.store().write(job).await
    }

    /// Takes what matches out of the table for ever; how many. They are never applied.
    ///
    /// # Errors
    /// Those of the store; then some of them may be gone.
    pub async fn discard(&self, filter: &Filter) -> Result<u64, StoreError> {
        let mut discarded = 0;
        let up_to = self
            .0
            .store()
            .write(|tx: &mut S::Tx<'_>| tx.newest_letter())
            .await?;
        loop {
            let (receiver, filter) = (self.0.clone(), filter.clone());
            let decides_by = receiver.decides_by();
            let job = move |tx: &mut S::Tx<'_>| {
                let page = tx.letters(&filter, Cursor::default(), Some(up_to), AT_ONCE)?;
                for letter in &page.letters {
                    receiver.discard(tx, letter, &decides_by)?;
                }
                Ok(page.letters.len())
            };
            let gone = self.0.store().write(job).await?;
            self.0.told(Letters::Discarded, gone);
            discarded += gone as u64;
            if gone < AT_ONCE {
                return Ok(discarded);
            }
        }
    }
}
