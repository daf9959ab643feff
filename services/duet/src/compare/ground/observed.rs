//! What waits, as the services tell it on their internal ports.

use crate::{
    failure::{Failure, Kind},
    internal::{self, Observed},
    place::Pair,
};
use futures::future::join_all;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a receiver may take to say that it has faults.
const ACT: Duration = Duration::from_secs(3);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// What was accepted and is not done with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::compare) struct Waiting {
    /// Events that a receiver isn't known to hold; none where no sender tells.
    pub(in crate::compare) unacknowledged: Option<u64>,
    /// Events that are kept for another attempt; none where no receiver tells.
    pub(in crate::compare) parked: Option<u64>,
}

impl Waiting {
    /// Whether all is known and done with.
    pub(in crate::compare) fn is_none(self) -> bool {
        (self.unacknowledged, self.parked) == (Some(0), Some(0))
    }

    fn add(&mut self, told: &Observed) {
        let sum = |all: &mut Option<u64>, one: Option<u64>| {
            if let Some(one) = one {
                *all.get_or_insert(0) += one;
            }
        };
        sum(&mut self.unacknowledged, told.unacknowledged);
        sum(&mut self.parked, told.parked);
    }
}

/// Waits until a receiver says that it has the faults that the Channel asks for, and nobody that it doesn't allow them: without that a
/// figure would be one of a pair that nothing is wrong with.
pub(super) async fn faults_act(http: &reqwest::Client, pair: &Pair) -> Result<(), Failure> {
    let deadline = Instant::now() + ACT;
    loop {
        let told = told(http, pair).await;
        let conditions: Vec<_> = told
            .iter()
            .flat_map(|it| &it.conditions)
            .filter(|it| it.r#type == "Faults")
            .collect();
        if let Some(refused) = conditions.iter().find(|it| it.reason == "NotAllowed") {
            let what = format!(
                "a receiver obeys no faults: {} (in the chart: faults.allowed=true)",
                refused.message
            );
            return Err(Failure::new(Kind::Failed, what));
        }
        if conditions.iter().any(|it| it.status == "True") {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let what = "no receiver says that it has the Channel's faults";
            return Err(Failure::new(Kind::Late, what));
        }
        sleep(PAUSE).await;
    }
}

/// Asks every process of the pair. Who doesn't answer is left out.
pub(in crate::compare) async fn waiting(http: &reqwest::Client, pair: &Pair) -> Waiting {
    let mut all = Waiting::default();
    told(http, pair).await.iter().for_each(|it| all.add(it));
    all
}

async fn told(http: &reqwest::Client, pair: &Pair) -> Vec<Observed> {
    let reached = pair
        .participants
        .iter()
        .filter_map(|it| it.internal.as_ref().ok());
    let told = join_all(reached.map(|at| internal::observed(http, at))).await;
    told.into_iter().flatten().collect()
}
