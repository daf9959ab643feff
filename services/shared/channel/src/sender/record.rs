//! Receipts and hello's answers, recorded in the store: one transaction at a time, however many come.

use std::sync::Arc;

use duet_protocol::receipt::{Receipt, ReceiverName};
use duet_protocol::record::{self, Asked, Health, HelloAnswer, Recorded};
use duet_protocol::rules::Rules;

use super::{SharedCalls, lock};
use crate::store::{Store, StoreError};

/// Records receipts; what each changed. Receipts that could not be recorded come again.
pub(super) async fn record<S: Store, V: Send + 'static>(
    store: S,
    calls: SharedCalls<V>,
    rules: Arc<Rules>,
    receipts: Vec<Receipt>,
) -> Result<Vec<(ReceiverName, Recorded)>, StoreError> {
    let recorded = store
        .write(move |tx| {
            let each = receipts.iter().map(|receipt| {
                Ok((
                    receipt.receiver.clone(),
                    record::record(tx, receipt, &rules)?,
                ))
            });
            each.collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    cover(&calls, recorded.iter().map(|(_, recorded)| recorded));
    Ok(recorded)
}

/// Judges a hello's answer.
pub(super) async fn judge<S: Store, V: Send + 'static>(
    store: S,
    calls: SharedCalls<V>,
    rules: Arc<Rules>,
    asked: Asked,
    answer: HelloAnswer,
) -> Result<Option<(Health, Vec<Recorded>)>, StoreError> {
    let judged = store
        .write(move |tx| record::judge(tx, &asked, &answer, &rules))
        .await?;
    cover(&calls, judged.iter().flat_map(|(_, recorded)| recorded));
    Ok(judged)
}

fn cover<'a, V>(calls: &SharedCalls<V>, recorded: impl Iterator<Item = &'a Recorded>) {
    let mut calls = lock(calls);
    for (source, mark) in recorded.flat_map(|recorded| &recorded.marks) {
        calls.cover(*source, mark);
    }
}
