//! Figures in a few words, for the line that a scenario ends with.

use super::measured::{Figure, Quantiles, Traffic};
use crate::took::Took;

/// Of a stretch of load.
pub(super) fn traffic(it: &Traffic) -> String {
    let (sent, failed) = (it.sent, it.failures());
    let mut text = format!("{sent} sent");
    if failed > 0 {
        text += &format!(", {failed} failed");
    }
    text += &match it.waits_of_all.get() {
        Ok(waits) => format!(", callers p50 {} p99 {}", Took(waits.p50), Took(waits.p99)),
        Err(_) => String::new(),
    };
    text += &match it.freshness.get() {
        Ok(fresh) => format!(", owner after {}", Took(fresh.took.p50)),
        Err(_) => String::new(),
    };
    for (name, number) in [("lost", &it.lost), ("surplus", &it.surplus)] {
        match number.get() {
            Ok(0) => {}
            Ok(number) => text += &format!(", {number} {name}"),
            Err(why) => text += &format!(", {name}: {why}"),
        }
    }
    text
}

/// Of reads, if there were some.
pub(super) fn p99(name: &str, it: &Figure<Quantiles>) -> String {
    it.get()
        .map(|it| format!(", {name} p99 {}", Took(it.p99)))
        .unwrap_or_default()
}
