//! Two runs to judge in tests: a quick one on a laptop, and one in a cluster where much could not be done. No test asks a machine for
//! figures.

use super::{
    measured::Measured,
    recommend::Answers,
    report::{Report, kept},
};

const LAPTOP: &str = include_str!("testdata/laptop-quick.json");
const CLUSTER: &str = include_str!("testdata/cluster.json");

pub(super) fn laptop() -> Measured {
    kept(LAPTOP).expect("the laptop's run").measured
}

pub(super) fn cluster() -> Measured {
    kept(CLUSTER).expect("the cluster's run").measured
}

/// By name, as the snapshots are.
pub(super) fn reports() -> [(&'static str, Report); 2] {
    [("laptop-quick", laptop()), ("cluster", cluster())].map(|(name, measured)| {
        (
            name,
            Report::of(measured, Answers::default()).expect("a report"),
        )
    })
}
