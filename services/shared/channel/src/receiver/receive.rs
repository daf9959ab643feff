//! Receiving a batch, and answering a hello.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use duet_protocol::event::{Event, EventId};
use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::receive::{self, Apply, Arrival, InboxTables, Outcome, Receiving};
use duet_protocol::record::HelloAnswer;
use duet_protocol::sequence::{Incarnation, Lane, StoreId};
use duet_protocol::time::Moment;

use super::faults::{Faulty, Struck};
use super::{Receiver, ReceivingService};
use crate::store::{Store, StoreError, Transaction};
use crate::transport::{Position, Undecodable, Urgency};

/// What came of a batch, durable.
#[derive(Clone, Debug)]
pub struct Received {
    /// One for each event, in order.
    pub outcomes: Vec<Outcome>,
    /// What is now held of the batch's sources.
    pub receipts: Vec<Receipt>,
    /// When applying began, and when it was durable.
    pub span: (SystemTime, SystemTime),
}

/// Where a batch from a broker ends, and what of it made no sense.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) path: String,
    pub(super) position: Position,
    pub(super) undecodable: Vec<Undecodable>,
}

/// What of a batch is received where the parked table has not room for all that is to be parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// Nothing: all of it is received, or none.
    ForAll,
    /// What can be applied, and of the rest the first that fit.
    ForSome,
}

impl<S: Store, A: ReceivingService<S::Connection>> Receiver<S, A> {
    /// Receives a batch that was delivered by a call. After `deadline` nothing of it is applied: nobody waits for it. What there is no room
    /// for is [`Outcome::Dropped`].
    ///
    /// # Errors
    /// Those of the store; then nothing of it was received, but for [`StoreError::Unknown`].
    pub async fn receive(
        &self,
        events: impl Into<Arc<[Event]>>,
        urgency: Urgency,
        deadline: Moment,
    ) -> Result<Received, StoreError> {
        let events = events.into();
        let struck = self.struck(&events, Some(deadline));
        if let Some(struck) = &struck {
            struck.waits_or_hangs(deadline).await;
        }
        self.receive_batch(events, urgency, Some(deadline), None, struck.as_ref())
            .await
    }

    /// Receives a batch, all in one job of the store's. Where the parked table has no room for what of it can't be applied, a second one
    /// receives the rest all the same. A call hears of each event which it was; a broker's batch is then given back whole, and what comes
    /// again is a copy, or fits.
    pub(super) async fn receive_batch(
        &self,
        events: Arc<[Event]>,
        urgency: Urgency,
        deadline: Option<Moment>,
        taken: Option<Taken>,
        struck: Option<&Struck<'_>>,
    ) -> Result<Received, StoreError> {
        let taking = |room| {
            let taken = taken.clone();
            self.receive_at_once(events.clone(), urgency, deadline, taken, struck, room)
        };
        match taking(Room::ForAll).await {
            Err(StoreError::ParkedFull) if events.len() > 1 => taking(Room::ForSome).await,
            received => received,
        }
    }

    async fn receive_at_once(
        &self,
        events: Arc<[Event]>,
        urgency: Urgency,
        deadline: Option<Moment>,
        taken: Option<Taken>,
        struck: Option<&Struck<'_>>,
        room: Room,
    ) -> Result<Received, StoreError> {
        let this = self.clone();
        let inner = &self.0;
        let arrival = match urgency {
            Urgency::Inline => Arrival::Inline,
            Urgency::Background => Arrival::Background,
        };
        let lanes: Vec<Lane> = events
            .iter()
            .map(|event| event.source.lane)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let told = lanes.clone();
        let incarnation = inner.store.identity().incarnation;
        let batch = events.clone();
        let answered = taken.is_none();
        let decides_by = self.decides_by();
        let fails = struck.map_or_else(BTreeSet::new, |struck| struck.fails.clone());
        let job = move |tx: &mut S::Tx<'_>| {
            let inner = &this.0;
            let mut tried = 0;
            let parked_before = tx.parked_rows()?;
            let begun = SystemTime::now();
            let late = deadline.is_some_and(|deadline| inner.clock.now() >= deadline);
            let (outcomes, left_out) = if late {
                (vec![Outcome::Late; events.len()], 0)
            } else {
                let mut rows = Faulty {
                    rows: inner.service.rows(tx.connection()),
                    fails: |event: &Event| fails.contains(&event.id()),
                    tried: 0,
                };
                let mut receiving = this.receiving(tx, &mut rows, &decides_by);
                let received = match room {
                    Room::ForAll => (receiving.receive(&events, arrival)?, 0),
                    Room::ForSome => what_fits(&mut receiving, &events, arrival)?,
                };
                tried = rows.tried;
                received
            };
            if let Some(taken) = taken.as_ref().filter(|_| left_out == 0) {
                tx.put_position(&taken.path, &taken.position)?;
                for undecodable in &taken.undecodable {
                    tx.put_undecodable(&taken.path, undecodable)?;
                }
            }
            let receipts = receipts(tx, &lanes, &inner.name, incarnation)?;
            let sweeps = !tx.sweeping()?.is_empty();
            let parked = tx.parked_rows()?.saturating_sub(parked_before) as usize;
            Ok((outcomes, left_out, receipts, begun, tried, sweeps, parked))
        };
        let (outcomes, left_out, receipts, begun, tried, sweeps, parked) =
            inner.store.write(job).await?;
        let given_back = match answered {
            true => left_out == batch.len(),
            false => left_out > 0,
        };
        self.told_parked(parked, &outcomes);
        if sweeps {
            inner.sweeps.notify_one();
        }
        if let Some(struck) = struck {
            struck.tried(tried);
        }
        self.note(&told, &outcomes, answered && !given_back);
        inner.waiters.wake(done(batch.iter().zip(&outcomes)));
        inner.service.received(&batch, &outcomes);
        if given_back {
            return Err(StoreError::ParkedFull);
        }
        Ok(Received {
            outcomes,
            receipts,
            span: (begun, SystemTime::now()),
        })
    }

    /// Wakes those who tell receipts and try what is parked. A call's answer carries its receipts itself.
    fn note(&self, lanes: &[Lane], outcomes: &[Outcome], answered: bool) {
        let received = outcomes.iter().filter(|outcome| outcome.is_final()).count();
        let now = self.0.clock.now();
        for lane in lanes {
            match answered {
                true => self.receipts().told(*lane, now),
                false => self.receipts().advanced(*lane, received, now),
            }
        }
        self.0.advanced.notify_one();
        if outcomes.contains(&Outcome::Parked) {
            self.has_parked();
        }
    }

    /// Answers a hello: what is held of a store's sources, and of others.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn hello(&self, store: StoreId) -> Result<HelloAnswer, StoreError> {
        let (receiver, incarnation) = (self.0.name.clone(), self.0.store.identity().incarnation);
        let job =
            move |tx: &mut S::Tx<'_>| HelloAnswer::from_tables(tx, store, &receiver, incarnation);
        self.0.store.write(job).await
    }
}

/// Receives a batch event by event; what there is no room for is dropped, and counted.
fn what_fits<I, R>(
    receiving: &mut Receiving<'_, I, R>,
    events: &[Event],
    arrival: Arrival,
) -> Result<(Vec<Outcome>, usize), StoreError>
where
    I: InboxTables<Error = StoreError>,
    R: Apply<Error = StoreError>,
{
    let mut outcomes = Vec::with_capacity(events.len());
    let mut left_out = 0;
    for event in events {
        match receiving.receive(std::slice::from_ref(event), arrival) {
            Ok(outcome) => outcomes.extend(outcome),
            // Nothing of it is written: not by an apply that failed, and the inbox comes after the parked table.
            Err(StoreError::ParkedFull) => {
                outcomes.push(Outcome::Dropped);
                left_out += 1;
            }
            Err(error) => return Err(error),
        }
    }
    Ok((outcomes, left_out))
}

/// What is now received and not parked.
pub(super) fn done<'e>(
    tried: impl Iterator<Item = (&'e Event, &'e Outcome)>,
) -> impl Iterator<Item = EventId> {
    tried
        .filter(|(_, outcome)| outcome.is_delivered())
        .map(|(event, _)| event.id())
}

/// What is held of some lanes, as this transaction sees it.
pub(super) fn receipts<T: InboxTables>(
    tx: &mut T,
    lanes: &[Lane],
    name: &ReceiverName,
    incarnation: Incarnation,
) -> Result<Vec<Receipt>, T::Error> {
    let mut receipts = Vec::new();
    for lane in lanes {
        receipts.extend(receive::receipts(tx, *lane, name, incarnation)?);
    }
    Ok(receipts)
}
