//! What a receiver tells a source: which of its events it durably holds.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::event::RollingHash;
use crate::ledger::Closed;
use crate::sequence::{Epoch, Incarnation, Sequence, Source};

/// A receiver's name, as the Channel's `to` has it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiverName(Arc<str>);

impl ReceiverName {
    /// The most bytes a name has: a DNS label's.
    pub const MAX: usize = 63;

    /// A name of 1 to [`ReceiverName::MAX`] bytes; `None` for other lengths.
    pub fn new(name: &str) -> Option<Self> {
        (1..=Self::MAX)
            .contains(&name.len())
            .then(|| ReceiverName(name.into()))
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ReceiverName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ReceiverName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What one receiver durably holds of one source, as a QUIC ACK frame has it: a watermark, and the runs above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Whose events.
    pub source: Source,
    /// Of the source's lane, everything under epochs below this one is held.
    pub lowest_open: Epoch,
    /// Who holds them.
    pub receiver: ReceiverName,
    /// Which opening of the receiver's store says so.
    pub incarnation: Incarnation,
    /// All up to here are held.
    pub watermark: Sequence,
    /// The sum of the hashes of all up to the watermark.
    pub hash: RollingHash,
    /// The lowest runs above the watermark, ascending, at most [`Receipt::MAX_RUNS`].
    pub runs: Vec<RangeInclusive<u64>>,
    /// What proves that everything under the lowest open epoch is held.
    pub closed: Closed,
    /// The digest of the state that the lane's events came to; none while any of them is parked, dead or being swept, or if the service
    /// keeps none.
    pub digest: Option<RollingHash>,
}

impl Receipt {
    /// The most runs a receipt carries.
    pub const MAX_RUNS: usize = 32;

    /// Whether it says that the event at `sequence` is held.
    pub fn covers(&self, sequence: Sequence) -> bool {
        sequence <= self.watermark || self.runs.iter().any(|run| run.contains(&sequence.0))
    }

    /// The highest sequence it says is held.
    pub fn highest(&self) -> Sequence {
        self.runs
            .last()
            .map_or(self.watermark, |run| Sequence(*run.end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_covers_what_is_up_to_its_watermark_and_in_its_runs() {
        let receipt = Receipt {
            source: Source::default(),
            lowest_open: Epoch::ZERO,
            receiver: ReceiverName::new("notification").unwrap(),
            incarnation: Epoch(1),
            watermark: Sequence(3),
            hash: RollingHash::default(),
            runs: vec![5..=6, 9..=9],
            closed: Closed::default(),
            digest: None,
        };
        let covered = (1..=10).filter(|at| receipt.covers(Sequence(*at)));
        assert_eq!(covered.collect::<Vec<_>>(), [1, 2, 3, 5, 6, 9]);
        assert_eq!(receipt.highest(), Sequence(9));
        assert_eq!(receipt.receiver.to_string(), "notification");
        assert_eq!(receipt.receiver.as_str(), "notification");
    }

    #[test]
    fn a_name_is_as_long_as_a_dns_label() {
        for (length, is_name) in [(0, false), (1, true), (63, true), (64, false)] {
            let name = ReceiverName::new(&"n".repeat(length));
            assert_eq!(name.is_some(), is_name, "{length}");
        }
    }
}
