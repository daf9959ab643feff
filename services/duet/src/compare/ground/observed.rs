//! What waits, as the services tell it on their internal ports.

use crate::{
    internal::{self, Observed},
    place::Pair,
};
use futures::future::join_all;

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

/// Asks every process of the pair. Who doesn't answer is left out.
pub(in crate::compare) async fn waiting(http: &reqwest::Client, pair: &Pair) -> Waiting {
    let told = pair
        .participants
        .iter()
        .filter_map(|it| it.internal.as_ref().ok());
    let told = join_all(told.map(|at| internal::observed(http, at))).await;
    let mut all = Waiting::default();
    for told in told.iter().flatten() {
        all.add(told);
    }
    all
}
