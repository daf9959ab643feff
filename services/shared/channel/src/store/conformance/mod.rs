//! The suite that every store passes, written against the trait alone.
//!
//! A store says how it is opened ([`Subject`]) and takes the whole suite with [`store_conformance!`](crate::store_conformance).
#![allow(clippy::unwrap_used)]

pub mod inbox;
pub mod outbox;
pub mod resync;
pub mod writing;

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc as blocking;

use duet_protocol::accept::Dispatch;
use duet_protocol::event::{Body, Data, Event, EventId, Key, TraceContext};
use duet_protocol::outbox::OutboxTables;
use duet_protocol::sequence::{Lane, Partition};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;
use tokio::sync::mpsc;

use crate::store::{Committed, CommittedGroup, Store, StoreError};

/// A store to be tested: always the same one, empty at first, open once at a time.
pub trait Subject: 'static {
    /// What it is.
    type Store: Store;

    /// Opens it as a sender's, and hands over what it commits.
    fn open(
        &self,
        opening: Opening,
    ) -> impl Future<Output = (Self::Store, mpsc::UnboundedReceiver<CommittedGroup>)> + Send;

    /// Writes a row of the service's own.
    fn put(connection: &<Self::Store as Store>::Connection, row: u32) -> Result<(), StoreError>;

    /// The service's own rows, ascending.
    fn rows(connection: &<Self::Store as Store>::Connection) -> Result<Vec<u32>, StoreError>;
}

/// How a test wants the store opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The Channel's receivers.
    pub receivers: &'static [&'static str],
    /// How many jobs wait at most.
    pub jobs_waiting: usize,
}

impl Default for Opening {
    fn default() -> Self {
        Opening {
            receivers: &["notification"],
            jobs_waiting: 1024,
        }
    }
}

/// Runs the suite over the [`Subject`]s that an expression makes, one for each test.
#[macro_export]
macro_rules! store_conformance {
    ($subject:expr) => {
        $crate::store_conformance! { $subject =>
            writing {
                events_are_handed_over_in_order_and_once
                jobs_that_wait_share_commits
                a_job_that_fails_harms_no_other_of_its_group
                what_is_answered_survives_reopening
                readers_see_only_what_is_committed
                a_job_whose_caller_has_left_is_still_done
                a_job_too_many_is_told_so
                closing_finishes_what_waits
            }
            outbox {
                reopening_seals_the_epoch_before
                an_event_survives_as_it_was
                what_is_forgotten_leaves_its_hash_and_its_last
                an_event_out_of_order_is_refused
                each_receiver_has_marks_of_its_own
                what_only_runs_said_can_be_dropped
                a_receiver_that_joins_starts_at_now
                receivers_join_and_leave_in_the_order_of_what_is_appended
                a_receiver_that_leaves_frees_the_outbox
                who_holds_an_event_is_known_as_long_as_the_store_is
            }
            inbox {
                an_inbox_survives_as_it_was
                an_epoch_that_closes_goes
                parked_events_are_due_in_order
                a_parked_event_does_not_wait_for_a_clock_that_was_set_back
                a_parked_event_is_found_by_name_and_by_key
                an_event_is_done_once_it_is_received_and_not_parked
                a_position_is_the_last_one_put
                an_undecodable_message_is_kept_once
            }
            resync {
                a_resync_survives_as_far_as_it_had_come
                a_sweep_survives_as_far_as_it_had_come
                a_sweep_takes_what_is_parked_of_older_epochs
            }
        }
    };
    ($subject:expr => $($module:ident { $($test:ident)* })*) => {$(
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test]
                async fn $test() {
                    $crate::store::conformance::$module::$test($subject).await;
                }
            )*
        }
    )*};
}

/// A job of the store's, so that several can wait side by side.
type Waiting<'s, R> = Pin<Box<dyn Future<Output = Result<R, StoreError>> + Send + 's>>;

/// Numbers an event of `key` and puts it into the outbox, as accepting does.
fn append<T: OutboxTables>(tx: &mut T, key: &str) -> Result<EventId, T::Error> {
    let key = Key::new(key).unwrap();
    let lane = Lane {
        store: tx.store()?,
        partitions: tx.partitions()?,
        partition: key.partition(tx.partitions()?),
    };
    let source = lane.source(tx.head(lane.partition)?.unwrap());
    let sequence = tx.epoch(source)?.unwrap().last.next();
    let event = data(EventId { source, sequence }, key);
    let id = event.id();
    tx.append(event, Dispatch::Background)?;
    Ok(id)
}

fn data(EventId { source, sequence }: EventId, key: Key) -> Event {
    Event {
        source,
        sequence,
        time: Timestamp::from_micros(1_700_000_000_000_001),
        body: Body::Data(Data {
            kind: "dev.duet.tested".into(),
            key,
            json: br#"{"tested": "\u00e4"}"#.as_slice().into(),
        }),
        trace: TraceContext {
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
            tracestate: "vendor=1".into(),
        },
        generation: Generation(3),
    }
}

/// The first partition's lane of a store.
fn lane<S: Store>(store: &S) -> Lane {
    let identity = store.identity();
    Lane {
        store: identity.store,
        partitions: identity.partitions,
        partition: Partition(0),
    }
}

/// What has been handed over so far.
fn handed_over(commits: &mut mpsc::UnboundedReceiver<CommittedGroup>) -> Vec<Vec<Committed>> {
    let groups = std::iter::from_fn(|| commits.try_recv().ok());
    groups.map(|group| group.events).collect()
}

/// Holds the writer in a job until told to go on, so that what is submitted meanwhile waits together.
struct Gate<'s> {
    go: blocking::Sender<()>,
    job: Waiting<'s, ()>,
}

impl<'s> Gate<'s> {
    async fn close<S: Store>(store: &'s S) -> Self {
        Self::close_with(store, |_| Ok(())).await
    }

    /// The same after doing something in the job.
    async fn close_with<S: Store>(
        store: &'s S,
        first: impl for<'t> Fn(&mut S::Tx<'t>) -> Result<(), StoreError> + Send + 'static,
    ) -> Self {
        let (go, gate) = blocking::channel();
        let (holding, mut held) = mpsc::unbounded_channel();
        let mut job: Waiting<'s, ()> = Box::pin(store.write(move |tx: &mut S::Tx<'_>| {
            first(tx)?;
            let _ = holding.send(());
            let _ = gate.recv(); // fails when it is run again: then it was open
            Ok(())
        }));
        assert!(futures::poll!(&mut job).is_pending());
        held.recv().await.unwrap();
        Gate { go, job }
    }

    async fn open(self) {
        self.go.send(()).unwrap();
        self.job.await.unwrap();
    }
}

/// Submits a job without waiting for it.
async fn submit<R>(job: &mut Waiting<'_, R>) {
    assert!(futures::poll!(job).is_pending(), "the writer is held");
}
