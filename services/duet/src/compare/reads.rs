//! Reads at the sender that need nobody else, beside the load: do they suffer with what does?

use super::{
    clock::Clock,
    measured::{Figure, Quantiles},
};
use crate::{
    failure::{Doing, Failure},
    load::Services,
    waits::Waits,
};
use std::{ops::Range, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// One read.
#[derive(Debug, Clone)]
pub(super) struct Read {
    /// When it was due, after the load began.
    due: Duration,
    /// From then until it was answered.
    took: Duration,
    answered: Result<(), String>,
}

/// One is due every so often until the load is over, whatever became of those before.
pub(super) async fn run(
    at: &Services,
    clock: &Clock,
    every: Duration,
) -> Result<Vec<Read>, Failure> {
    let began = clock.began().await;
    let over = clock.token();
    let mut under_way = JoinSet::new();
    for number in 0.. {
        let due = began + every * number;
        tokio::select! {
            () = sleep_until(due) => {}
            () = over.cancelled() => break,
        }
        let at = at.clone();
        under_way.spawn(async move {
            let answered = at.read_posts().await;
            Read {
                due: due - began,
                took: Instant::now() - due,
                answered,
            }
        });
    }
    let mut reads = Vec::new();
    while let Some(read) = under_way.join_next().await {
        reads.push(read.doing(|| "read posts".to_owned())?);
    }
    Ok(reads)
}

/// How long those took that were due in that stretch and answered, and how many were not.
pub(super) fn told(
    reads: &[Read],
    within: &Range<Duration>,
) -> Result<(Figure<Quantiles>, u64), Failure> {
    let mut waits = Waits::new()?;
    let (mut failed, mut why) = (0, None);
    for read in reads.iter().filter(|it| within.contains(&it.due)) {
        match &read.answered {
            Ok(()) => waits.record(read.took),
            Err(error) => (failed, why) = (failed + 1, Some(error)),
        }
    }
    Ok(match (waits.count(), why) {
        (0, Some(why)) => (Figure::missing(why.as_str()), failed),
        _ => (Figure::from(&waits), failed),
    })
}
