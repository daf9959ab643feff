//! What is done with what is in the parked table: it is tried again, redriven, discarded, and a job is run.

use super::{Apply, Failure, InboxTables, Outcome, Receiving, stands};
use crate::delivery::{Parked, State};
use crate::event::{Data, Event};
use crate::ledger::Ending;

/// What a redrive did with one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redriven {
    /// It was tried: applied, superseded, or it stands as parked or dead again.
    Tried(Outcome),
    /// It is a job: it is run in its turn.
    Queued,
    /// It died of the same cause time after time: passed over.
    PassedOver,
    /// It is not in the parked table any more.
    Gone,
}

/// What is to be done with a job that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobTurn {
    /// It is to be run. The attempt is counted.
    Run {
        /// A person said so: it was redriven, and this is its first attempt since.
        redriven: bool,
    },
    /// Something newer of its key is stored: it is not run, and is out of the table.
    Superseded,
    /// Its attempts were all cut short: it is a dead letter.
    Dead,
    /// It is not in the parked table any more, is dead, or is no job.
    None,
}

impl<I: InboxTables, A: Apply<Error = I::Error>> Receiving<'_, I, A> {
    /// Tries a parked event once more. What is stored newer in the meantime supersedes it; a dead letter and a job stay as they are.
    ///
    /// # Errors
    /// Those of the tables; then nothing may be committed.
    pub fn retry_parked(&mut self, event: &Event) -> Result<Outcome, I::Error> {
        match self.inbox.parked(event.id())? {
            Some(parked) if parked.is_dead() => Ok(Outcome::Dead),
            Some(_) if self.rows.is_job(event) => Ok(Outcome::Parked),
            Some(parked) => self.try_again(event, parked),
            None => self.second_copy(event),
        }
    }

    fn try_again(&mut self, event: &Event, parked: Parked) -> Result<Outcome, I::Error> {
        let tried = match event.data() {
            Some(data) => self.apply_if_newer(event, data)?,
            None => Ok(Outcome::Applied(None)),
        };
        match tried {
            Ok(outcome) => {
                self.ended(event, Ending::after(&outcome))?;
                Ok(outcome)
            }
            Err(failure) => self.failed_again(event, &failure, parked),
        }
    }

    fn failed_again(
        &mut self,
        event: &Event,
        failure: &Failure,
        before: Parked,
    ) -> Result<Outcome, I::Error> {
        let parked = self.delivery().failed(event, failure, Some(before));
        self.inbox.park_again(event.id(), Some(failure), parked)?;
        Ok(stands(parked))
    }

    /// Redrives an event of the parked table, dead or not: its attempts begin anew, the first of them now. Unless it is `named`, one
    /// that died of the same cause time after time is passed over.
    ///
    /// # Errors
    /// Those of the tables; then nothing may be committed.
    pub fn redrive(&mut self, event: &Event, named: bool) -> Result<Redriven, I::Error> {
        let Some(parked) = self.inbox.parked(event.id())? else {
            return Ok(Redriven::Gone);
        };
        if !named && parked.is_futile(self.rules) {
            return Ok(Redriven::PassedOver);
        }
        let again = parked.redriven(self.now, self.rules);
        if self.rows.is_job(event) {
            self.inbox.park_again(event.id(), None, again)?;
            return Ok(Redriven::Queued);
        }
        self.try_again(event, again).map(Redriven::Tried)
    }

    /// What a redrive of this event would do: the rows are changed, so the caller rolls the transaction back.
    ///
    /// # Errors
    /// Those of the tables.
    pub fn preview(
        &mut self,
        event: &Event,
        data: &Data,
    ) -> Result<Result<Outcome, Failure>, I::Error> {
        self.apply_if_newer(event, data)
    }

    /// Takes an event out of the parked table for ever; whether it was in it.
    ///
    /// # Errors
    /// Those of the tables; then nothing may be committed.
    pub fn discard(&mut self, event: &Event) -> Result<bool, I::Error> {
        let is_there = self.inbox.parked(event.id())?.is_some();
        if is_there {
            self.ended(event, Ending::Discarded)?;
        }
        Ok(is_there)
    }

    pub(super) fn park_job(&mut self, event: &Event, data: &Data) -> Result<Outcome, I::Error> {
        if self.is_superseded(event, data)? {
            return Ok(Outcome::Superseded);
        }
        self.inbox.park(event, None, Parked::job(self.now))?;
        Ok(Outcome::Parked)
    }

    /// A job is due: what is to be done with it. To run it is an attempt, counted before it begins, so that one that ends the process
    /// each time is a dead letter in the end.
    ///
    /// # Errors
    /// Those of the tables; then nothing may be committed.
    pub fn begin_job(&mut self, event: &Event) -> Result<JobTurn, I::Error> {
        let (Some(parked), Some(data)) = (self.inbox.parked(event.id())?, event.data()) else {
            return Ok(JobTurn::None);
        };
        if parked.is_dead() || !self.rows.is_job(event) {
            return Ok(JobTurn::None);
        }
        if self.is_superseded(event, data)? {
            self.ended(event, Ending::Superseded)?;
            return Ok(JobTurn::Superseded);
        }
        if self.delivery().is_spent(parked.attempts) {
            let cause = Failure::new("each time it ran, its process ended before it did");
            let attempts = parked.attempts.saturating_sub(1);
            self.failed_again(event, &cause, Parked { attempts, ..parked })?;
            return Ok(JobTurn::Dead);
        }
        let begun = self.delivery().begun(event, parked);
        self.inbox.park_again(event.id(), None, begun)?;
        let redriven = parked.redrives > 0 && parked.attempts == 0;
        Ok(JobTurn::Run { redriven })
    }

    /// A job that was run ended: with the data to apply in its event's place, or with a failure. What is stored newer in the meantime
    /// supersedes it.
    ///
    /// # Errors
    /// Those of the tables; then nothing may be committed.
    pub fn end_job(
        &mut self,
        event: &Event,
        done: &Result<Data, Failure>,
    ) -> Result<Outcome, I::Error> {
        let Some(parked) = self.inbox.parked(event.id())? else {
            return self.second_copy(event);
        };
        let tried = match done {
            Ok(data) => self.apply_if_newer(event, data)?,
            Err(failure) => Err(failure.clone()),
        };
        match tried {
            Ok(outcome) => {
                self.ended(event, Ending::after(&outcome))?;
                Ok(outcome)
            }
            // Counted when it began.
            Err(failure) => {
                let attempts = parked.attempts.saturating_sub(1);
                self.failed_again(event, &failure, Parked { attempts, ..parked })
            }
        }
    }

    /// A job that was begun was stopped before it ended, in good order: the attempt does not count, and it is due at once.
    ///
    /// # Errors
    /// Those of the tables; then nothing may be committed.
    pub fn give_back_job(&mut self, event: &Event) -> Result<(), I::Error> {
        if let Some(parked) = self.inbox.parked(event.id())?
            && !parked.is_dead()
        {
            let attempts = parked.attempts.saturating_sub(1);
            let state = State::Parked {
                next_attempt: self.now,
            };
            self.inbox.park_again(
                event.id(),
                None,
                Parked {
                    state,
                    attempts,
                    ..parked
                },
            )?;
        }
        Ok(())
    }
}
