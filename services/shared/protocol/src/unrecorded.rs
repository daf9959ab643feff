//! Receipts that wait to be recorded while a transaction is under way: many come, and few say anything new.

use std::collections::BTreeMap;

use crate::receipt::{Receipt, ReceiverName};
use crate::sequence::Source;

/// See the module. Bounded for each receiver and source.
#[derive(Debug, Default)]
pub struct Unrecorded(BTreeMap<(ReceiverName, Source), Vec<Receipt>>);

impl Unrecorded {
    /// The most that one receiver's word on one source waits as; the oldest is dropped, since receipts repeat.
    pub const MAX_EACH: usize = 4;

    /// Receipts came.
    pub fn add(&mut self, receipts: impl IntoIterator<Item = Receipt>) {
        for receipt in receipts {
            let waiting = self
                .0
                .entry((receipt.receiver.clone(), receipt.source))
                .or_default();
            waiting.retain(|other| !says_all(&receipt, other));
            if waiting.len() >= Self::MAX_EACH {
                waiting.remove(0);
            }
            waiting.push(receipt);
        }
    }

    /// All that wait, to be recorded in one transaction; `None` if there is none.
    pub fn take(&mut self) -> Option<Vec<Receipt>> {
        let taken: Vec<Receipt> = std::mem::take(&mut self.0)
            .into_values()
            .flatten()
            .collect();
        (!taken.is_empty()).then_some(taken)
    }
}

/// Whether `newer` says all that `other` does.
fn says_all(newer: &Receipt, other: &Receipt) -> bool {
    other.incarnation == newer.incarnation
        && other.lowest_open <= newer.lowest_open
        && other.watermark <= newer.watermark
        && other.runs.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RollingHash;
    use crate::sequence::{Epoch, Sequence};

    fn receipt(watermark: u64) -> Receipt {
        Receipt {
            source: Source::default(),
            lowest_open: Epoch(1),
            receiver: ReceiverName::new("notification").unwrap(),
            incarnation: Epoch(1),
            watermark: Sequence(watermark),
            hash: RollingHash::default(),
            runs: Vec::new(),
            closed: Default::default(),
            digest: None,
        }
    }

    #[test]
    fn a_receipt_that_says_more_replaces_what_waits() {
        let mut unrecorded = Unrecorded::default();
        unrecorded.add([receipt(1), receipt(3)]);
        assert_eq!(unrecorded.take(), Some(vec![receipt(3)]));
        assert_eq!(unrecorded.take(), None);
    }

    #[test]
    fn another_incarnation_a_higher_epoch_and_runs_are_kept() {
        let other = [
            Receipt {
                incarnation: Epoch(2),
                ..receipt(1)
            },
            Receipt {
                lowest_open: Epoch(2),
                ..receipt(1)
            },
            Receipt {
                runs: vec![5..=6],
                ..receipt(1)
            },
        ];
        for other in other {
            let mut unrecorded = Unrecorded::default();
            unrecorded.add([other.clone(), receipt(3)]);
            assert_eq!(unrecorded.take(), Some(vec![other, receipt(3)]));
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut unrecorded = Unrecorded::default();
        unrecorded.add((1..100).rev().map(receipt));
        assert_eq!(
            unrecorded.take().map(|all| all.len()),
            Some(Unrecorded::MAX_EACH)
        );
    }
}
