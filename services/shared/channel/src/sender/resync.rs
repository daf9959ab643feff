//! A resync: what every receiver holds is made what this store holds. It is begun by hand, and goes on from the store after a restart.

use duet_protocol::accept::Rows;
use duet_protocol::membership::NewEpochs;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::resync::{self, Page, Resync, Stage};
use duet_protocol::sequence::StoreId;

use super::task::{Done, SenderTask, follow};
use super::{Sender, SendingService};
use crate::store::{Store, StoreError, Transaction};

/// How many rows one transaction looks at: what is accepted waits for it.
const PAGE: usize = 256;
/// Rows are told anew only while less than this is unacknowledged: traffic does not wait behind all of them.
const MOST_UNACKNOWLEDGED: u64 = 4_096;

/// What a resync that is begun now would come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResyncPreview {
    /// The store that the receivers would be made to follow.
    pub store: StoreId,
    /// How many rows stand in it: all would be told anew. None, and the receivers are swept empty.
    pub rows: u64,
    /// Who receives.
    pub receivers: Vec<ReceiverName>,
    /// How many events of the outbox would be dropped, since the rows tell what they told.
    pub dropped: u64,
}

/// How the last resync stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResyncState {
    /// The resync.
    pub resync: Resync,
    /// How far it is.
    pub stage: Stage,
}

/// Why no resync was begun.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BeginResyncError {
    /// The Channel names no receiver that this store knows.
    #[error("there is no receiver to resync")]
    NoReceivers,
    /// The store could not begin it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: Store, V: SendingService<S::Connection>> Sender<S, V> {
    /// What a resync would come to. Counts all rows: for a person who asks, not for every request.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn resync_preview(&self) -> Result<ResyncPreview, StoreError> {
        let service = self.service.clone();
        let rows = self
            .store
            .read(move |connection| service.count(connection))
            .await?;
        let counts = self.store.counts().await?.unacknowledged;
        Ok(ResyncPreview {
            store: self.store.identity().store,
            rows,
            dropped: counts.iter().map(|(_, count)| *count).max().unwrap_or(0),
            receivers: counts.into_iter().map(|(name, _)| name).collect(),
        })
    }

    /// Begins a resync, which goes on in the background while traffic runs; if one is under way, it begins anew.
    ///
    /// # Errors
    /// [`BeginResyncError`].
    pub async fn begin_resync(&self) -> Result<(), BeginResyncError> {
        let (settings, clock) = (self.settings.clone(), self.clock);
        let rules = self.rules.clone();
        let job = move |tx: &mut S::Tx<'_>| {
            let settings = settings.borrow().settings().cloned();
            let generation = settings.as_ref().map(|settings| settings.generation);
            if let Some(settings) = &settings {
                follow(tx, settings, clock, &rules)?;
            }
            let new = NewEpochs {
                wall: clock.wall(),
                random: rand::random(),
                generation: generation.unwrap_or_default(),
            };
            resync::begin(tx, new, &rules)
        };
        match self.store.write(job).await? {
            Some(_) => Ok(()),
            None => Err(BeginResyncError::NoReceivers),
        }
    }

    /// How the last resync stands; `None` if there never was one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn resync_state(&self) -> Result<Option<ResyncState>, StoreError> {
        let standing = self.store.resync().await?;
        Ok(standing.map(|(resync, stage)| ResyncState { resync, stage }))
    }
}

/// What there is to do of telling rows anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announcing {
    /// Nothing.
    Nothing,
    /// The next page.
    Next,
    /// A page is under way.
    UnderWay,
    /// The last page failed: it is tried again a little later.
    Failed,
}

impl<S: Store, V: SendingService<S::Connection>> SenderTask<S, V> {
    /// Tells the next page, if there is room for it.
    pub(super) fn announce(&mut self) {
        if self.announcing != Announcing::Next
            || self.machine.unacknowledged() >= MOST_UNACKNOWLEDGED
        {
            return;
        }
        self.announcing = Announcing::UnderWay;
        let (store, service, clock) = (self.store.clone(), self.service.clone(), self.clock);
        let settings = self.settings.clone();
        self.tasks.spawn(async move {
            let job = move |tx: &mut S::Tx<'_>| {
                let generation = settings.borrow().settings().map(|it| it.generation);
                let page = Page {
                    rows: PAGE,
                    at: clock.wall(),
                    generation: generation.unwrap_or_default(),
                };
                let mut rows = service.rows(tx.connection());
                resync::announce(tx, &mut rows, page)
            };
            Done::Announced(store.write(job).await)
        });
    }

    pub(super) fn announced(&mut self, announced: Result<Option<Stage>, StoreError>) {
        self.announcing = match announced {
            Ok(Some(Stage::Announcing)) => Announcing::Next,
            // Another resync may have begun since that page: its own is still to come.
            Ok(_) if self.announcing == Announcing::Next => Announcing::Next,
            Ok(_) => Announcing::Nothing,
            Err(error) => {
                tracing::warn!(%error, "rows could not be told anew; trying again");
                Announcing::Failed
            }
        };
    }
}

/// Counts the rows that stand, by looking at all.
pub(super) fn count<R: Rows>(rows: &mut R) -> Result<u64, R::Error> {
    const AT_ONCE: usize = 1_024;
    let (mut count, mut after) = (0, None);
    loop {
        let page = rows.page(after.as_ref(), AT_ONCE)?;
        let stand = page.iter().filter(|(_, row)| row.value.is_some());
        count += stand.count() as u64;
        let is_last = page.len() < AT_ONCE;
        after = page.into_iter().next_back().map(|(key, _)| key);
        if is_last {
            return Ok(count);
        }
    }
}
