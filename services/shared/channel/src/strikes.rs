//! How often the protocol's rules decided something, as a metric.

use std::time::Duration;

use duet_protocol::rules::{Rule, Rules};
use duet_telemetry::Instruments;

/// How often what struck is told.
pub(crate) const EVERY: Duration = Duration::from_secs(2);

/// What was told so far.
#[derive(Debug)]
pub(crate) struct Strikes {
    instruments: Instruments,
    told: Vec<u64>,
}

impl Strikes {
    pub(crate) fn new(instruments: Instruments) -> Self {
        Strikes {
            instruments,
            told: vec![0; Rule::ALL.len()],
        }
    }

    /// Tells what struck since the last time.
    pub(crate) fn tell(&mut self, rules: &Rules) {
        for ((rule, struck), told) in rules.strikes().zip(&mut self.told) {
            if struck > *told {
                self.instruments.rule_struck(rule.label(), struck - *told);
                *told = struck;
            }
        }
    }
}
