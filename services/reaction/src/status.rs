//! What this process tells of the channel: `GET /v1/channel`, and the outbox in its metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web;
use duet_channel::clock::Clock;
use duet_channel::failing::Failing;
use duet_channel::sender::{AcceptedByMode, Achieved};
use duet_channel::store::Store;
use duet_channel::store::sqlite::audit::imbalance;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::sender::{ReceiverStanding, Standing, Undelivered};
use duet_protocol::time::Timestamp;
use duet_telemetry::Instruments;
use duet_telemetry::instruments::{Imbalances, Outbox};
use duet_web::channel::{Canary, Condition, Observed, Receiver, Repaired};
use duet_web::service::sending::{HEAL, regressed, under_way};
use duet_web::time;
use duet_web::words::counted;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::service::Sending;

/// How old what the metrics tell of the outbox may be.
const EVERY: Duration = Duration::from_secs(1);

/// `GET /v1/channel`.
pub(crate) async fn channel(sending: web::Data<Sending>) -> web::Json<Observed> {
    let state = sending.settings();
    let (standing, oldest, of_each, imbalances) = tokio::join!(
        sending.standing(),
        sending.store().oldest(),
        sending.store().oldest_of_each(),
        sending.store().read(imbalance::of_sender),
    );
    let mut observed = Observed {
        retransmissions: Some(sending.retransmissions()),
        repaired: sending.repaired().as_ref().map(Repaired::from),
        slowest_caller: sending.slowest_caller().map(millis),
        canary: sending.canary().map(|(canary, achieved)| Canary {
            mode: canary.mode.as_str(),
            percent: canary.percent.get(),
            achieved_percent: percent(achieved),
            requests: achieved.requests,
        }),
        ..Observed::of(&state)
    };
    // What the sender's end is to be, it does not tell any more.
    if let (Some(standing), Ok(oldest)) = (standing, oldest) {
        let oldest = oldest.filter(|_| standing.unacknowledged > 0);
        // People count what was accepted. What the channel says for itself only keeps it from being drained.
        let waits = |receiver: &&ReceiverStanding| receiver.accepted() > 0;
        let known = Known {
            failing: sending.failing(),
            imbalances: imbalances.unwrap_or_default(),
        };
        let of_each: BTreeMap<_, _> = of_each.unwrap_or_default().into_iter().collect();
        let receiver = |receiver: &ReceiverStanding| Receiver {
            name: receiver.name.to_string(),
            unacknowledged: receiver.accepted(),
            oldest_age: Some(receiver)
                .filter(waits)
                .and_then(|receiver| of_each.get(&receiver.name))
                .map(|accepted| age(*accepted)),
            failing: trouble(receiver, &known).map(|(_, sentence)| sentence),
        };
        observed.receivers = Some(standing.receivers.iter().map(receiver).collect());
        let resync = resync(&sending, &standing).await;
        let degraded = degraded(&standing, resync, &known);
        observed.unacknowledged = Some(standing.accepted());
        observed.opening = standing.is_opening();
        let lost: u64 = standing.receivers.iter().map(|it| it.lost).sum();
        observed.lost = Some(lost).filter(|lost| *lost > 0);
        let waiting = standing.receivers.iter().filter(waits);
        let oldest_of_all = waiting
            .filter_map(|receiver| of_each.get(&receiver.name))
            .min();
        observed.oldest_age = oldest_of_all.map(|accepted| age(*accepted));
        observed.drained = state
            .settings()
            .map(|settings| oldest.is_none_or(|oldest| oldest.generation >= settings.generation));
        observed.conditions.push(Condition::degraded(degraded));
    }
    web::Json(observed)
}

fn age(accepted: Timestamp) -> String {
    format!("{}s", Clock::start().wall().since(accepted).as_secs())
}

/// To the millisecond, upwards: who waited did wait.
fn millis(wait: Duration) -> String {
    format!("{}ms", wait.as_micros().div_ceil(1000))
}

/// The share that the canary has, to a tenth; none where there was no request.
fn percent(achieved: Achieved) -> Option<f64> {
    let share = achieved.canary as f64 / achieved.requests as f64;
    (achieved.requests > 0).then(|| (share * 1_000.0).round() / 10.0)
}

/// What is known of receivers beside how they stand.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// To whom something failed last.
    pub(crate) failing: BTreeMap<ReceiverName, Failing>,
    /// By how many events the outbox does not balance.
    pub(crate) imbalances: BTreeMap<ReceiverName, u64>,
}

/// What keeps events from their receivers, or should be looked at: a reason and a sentence for each. A regression comes first: only a
/// person can heal it.
fn degraded(
    standing: &Standing,
    resync: Option<String>,
    known: &Known,
) -> Vec<(&'static str, String)> {
    let receivers = || standing.receivers.iter();
    let regressed: Vec<_> = receivers()
        .filter_map(|it| regressed(&it.name, it.health))
        .collect();
    let reason = regressed.first().map(|(reason, _)| *reason);
    let heal = reason.map(|reason| (reason, HEAL.to_owned()));
    let failing = receivers().filter_map(|it| fails(it, known));
    let resync = resync.map(|sentence| ("Resyncing", sentence));
    let regressed = regressed.into_iter().chain(heal);
    regressed.chain(resync).chain(failing).collect()
}

/// How far the resync is that is under way; none if none is.
async fn resync(sending: &Sending, standing: &Standing) -> Option<String> {
    if !standing.is_resyncing {
        return None;
    }
    let state = sending.resync_state().await.ok().flatten()?;
    Some(under_way(&state, standing))
}

/// What keeps events from a receiver.
pub(crate) fn trouble(
    receiver: &ReceiverStanding,
    known: &Known,
) -> Option<(&'static str, String)> {
    regressed(&receiver.name, receiver.health).or_else(|| fails(receiver, known))
}

/// Why nothing, or not all, gets to a receiver.
fn fails(receiver: &ReceiverStanding, known: &Known) -> Option<(&'static str, String)> {
    let name = &receiver.name;
    // What failed last is no matter once nothing waits.
    let failing = known
        .failing
        .get(name)
        .filter(|_| receiver.unacknowledged > 0);
    if let Some(failing) = failing {
        let since = time::text(failing.since);
        let message = format!("nothing gets to {name} since {since}: {}", failing.cause);
        return Some((failing.reason.as_str(), message));
    }
    if let Some(undelivered) = receiver.undelivered {
        let Undelivered {
            events,
            first,
            sends,
        } = undelivered;
        let message = format!(
            "{} sent to {name} again and again without a receipt, the most sent {sends} times; the first is {} of {}. It goes on ever \
             more rarely, until a receipt comes: see whether {name} runs, and what it says",
            counted(events, "event"),
            first.sequence,
            first.source
        );
        return Some(("Undelivered", message));
    }
    if let Some(events) = known.imbalances.get(name).filter(|events| **events > 0) {
        let message = format!(
            "of what {name} is not known to hold the outbox lacks {}, or has more than was accepted: `duet audit` names it",
            counted(*events, "event")
        );
        return Some(("LedgerDiffers", message));
    }
    receiver.ledger_differs.then(|| {
        let message = format!(
            "{name} holds every event, and its rows are not what they came to: `duet audit` names the rows"
        );
        ("LedgerDiffers", message)
    })
}

/// By how many events the ledger of each receiver does not balance: at least one where both ends' rows differ.
fn imbalances(standing: &Standing, of_outbox: &BTreeMap<ReceiverName, u64>) -> Imbalances {
    let of = |it: &ReceiverStanding| {
        let events = of_outbox.get(&it.name).copied().unwrap_or_default();
        (
            it.name.as_str().into(),
            events.max(it.ledger_differs.into()),
        )
    };
    standing.receivers.iter().map(of).collect()
}

/// Keeps what the metrics tell of the outbox up to date, until `stop`.
pub(crate) async fn measure(
    sending: Sending,
    instruments: Instruments,
    clock: Clock,
    stop: CancellationToken,
) {
    let accepted = sending.clone();
    instruments.observe_requests(move || {
        let AcceptedByMode { sync, asynchronous } = accepted.accepted_by_mode();
        [("sync", sync), ("async", asynchronous)]
    });
    let known = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&known);
    instruments
        .observe_outbox(move || asked.lock().unwrap_or_else(PoisonError::into_inner).clone());
    let unbalanced = Arc::new(Mutex::new(Imbalances::new()));
    let asked = Arc::clone(&unbalanced);
    instruments
        .observe_imbalance(move || asked.lock().unwrap_or_else(PoisonError::into_inner).clone());
    while !stop.is_cancelled() {
        let (standing, oldest, of_outbox) = tokio::join!(
            sending.standing(),
            sending.store().oldest_of_each(),
            sending.store().read(imbalance::of_sender),
        );
        if let (Some(standing), Ok(of_outbox)) = (&standing, of_outbox) {
            *unbalanced.lock().unwrap_or_else(PoisonError::into_inner) =
                imbalances(standing, &of_outbox);
        }
        if let (Some(standing), Ok(oldest)) = (standing, oldest) {
            let now = clock.wall();
            let outbox = |receiver: &ReceiverStanding| {
                let mut all = oldest.iter();
                let oldest = all.find(|(name, _)| *name == receiver.name);
                Outbox {
                    receiver: receiver.name.as_str().into(),
                    unacknowledged: receiver.accepted(),
                    oldest_age: oldest.map_or(Duration::ZERO, |(_, at)| now.since(*at)),
                }
            };
            *known.lock().unwrap_or_else(PoisonError::into_inner) =
                standing.receivers.iter().map(outbox).collect();
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use duet_channel::failing::Reason;
    use duet_protocol::record::{Health, Suspicion};

    use super::*;

    fn receiver(name: &str, health: Health) -> ReceiverStanding {
        ReceiverStanding {
            name: ReceiverName::new(name).unwrap(),
            unacknowledged: 1,
            openings: 0,
            health,
            lost: 0,
            ledger_differs: false,
            undelivered: None,
        }
    }

    #[test]
    fn a_regression_is_told_first_by_its_receivers_names_and_once_what_to_do() {
        let unreachable = Failing {
            since: Timestamp::default(),
            reason: Reason::NoAnswer,
            cause: "refused".into(),
        };
        let known = Known {
            failing: [(ReceiverName::new("first").unwrap(), unreachable)].into(),
            ..Known::default()
        };
        let standing = |healths: [Health; 3]| Standing {
            receivers: ["first", "second", "third"]
                .iter()
                .zip(healths)
                .map(|(name, health)| receiver(name, health))
                .collect(),
            ..Standing::default()
        };
        let restored = Health::SenderRegressed(Suspicion::BeyondEnd);
        let all = [Health::Sound, restored, Health::ReceiverRegressed];
        let told = |standing: &Standing, resync, known: &Known| {
            let condition = Condition::degraded(degraded(standing, resync, known));
            (condition.reason, condition.reasons, condition.message)
        };
        let (reason, reasons, said) = told(&standing(all), None, &known);
        assert_eq!(reason, "SenderRegressed");
        assert_eq!(
            reasons,
            ["SenderRegressed", "ReceiverRegressed", "NoAnswer"]
        );
        assert_eq!(
            said,
            "second holds what this store never sent: this store was restored from an older copy; \
             third lacks what this store has forgotten: its store was restored from an older copy, or lost; \
             heal it with `duet resync`; look first with `duet resync --preview`; \
             nothing gets to first since 1970-01-01T00:00:00Z: refused"
        );
        let (reason, _, said) = told(&standing([Health::Sound; 3]), None, &known);
        assert_eq!(reason, "NoAnswer");
        assert!(!said.contains("resync"), "{said}");
        let sound = standing([Health::Sound; 3]);
        assert_eq!(degraded(&sound, None, &Known::default()), []);
        let (reason, _, said) = told(&sound, Some("under way".to_owned()), &known);
        assert_eq!(reason, "Resyncing");
        assert!(
            said.starts_with("under way; nothing gets to first"),
            "{said}"
        );
    }
}
