//! Waiting at a receiver for an event to come.

use std::time::Duration;

use duet_protocol::event::EventId;

use crate::store::{Store, StoreError};
use crate::waiters::{TooMany, Waiters};

/// How to wait for what comes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Arrivals<S> {
    pub(super) store: S,
    pub(super) waiters: Waiters,
}

impl<S: Store> Arrivals<S> {
    /// Waits until an event is received and not parked, at most so long; whether it is. One of a store never heard of is waited for
    /// too.
    ///
    /// # Errors
    /// Those of the store; [`StoreError::Overloaded`] also if too many wait.
    pub async fn has_come(&self, event: EventId, within: Duration) -> Result<bool, StoreError> {
        let waiter = self.waiters.begin(event);
        let waiter = waiter.map_err(|TooMany| StoreError::Overloaded)?;
        Ok(self.store.is_done(event).await? || waiter.woken(within).await)
    }
}
