//! What this process tells of the channel: `GET /v1/channel`, and the outbox in its metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web;
use duet_channel::clock::Clock;
use duet_channel::failing::{Failing, Reason};
use duet_channel::sender::{AcceptedByMode, Achieved};
use duet_channel::store::Store;
use duet_protocol::receipt::ReceiverName;
use duet_protocol::record::Health;
use duet_protocol::sender::Standing;
use duet_protocol::settings::Settings;
use duet_protocol::time::Timestamp;
use duet_telemetry::Instruments;
use duet_telemetry::instruments::Outbox;
use duet_web::channel::{Canary, Condition, Observed};
use duet_web::time;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::service::Sending;

/// How old what the metrics tell of the outbox may be.
const EVERY: Duration = Duration::from_secs(1);

/// `GET /v1/channel`.
pub(crate) async fn channel(sending: web::Data<Sending>) -> web::Json<Observed> {
    let state = sending.settings();
    let (standing, oldest) = tokio::join!(sending.standing(), sending.store().oldest());
    let mut observed = Observed {
        retransmissions: Some(sending.retransmissions()),
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
        let degraded = degraded(state.settings(), &standing, sending.failing());
        observed.unacknowledged = Some(standing.unacknowledged);
        observed.oldest_age = oldest.map(|oldest| age(oldest.accepted));
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

/// What keeps events from their receivers.
fn degraded(
    settings: Option<&Arc<Settings>>,
    standing: &Standing,
    failing: BTreeMap<ReceiverName, Failing>,
) -> Option<(&'static str, String)> {
    let is_known = |to: &ReceiverName| standing.health.iter().any(|(name, _)| name == to);
    let to = settings.map_or(&[][..], |settings| &settings.to);
    if let Some(to) = to.iter().find(|to| !is_known(to)) {
        let message = format!(
            "the Channel is to {to}, and this process has no address for it: start it with --receiver {to}=URL"
        );
        return Some((Reason::NoWay.as_str(), message));
    }
    let unsound = |(_, health): &&(ReceiverName, Health)| *health != Health::Sound;
    match standing.health.iter().find(unsound) {
        Some((receiver, Health::SenderRegressed(_))) => {
            let message = format!(
                "{receiver} holds what this store never sent: this store was restored from an older copy"
            );
            return Some(("SenderRegressed", message));
        }
        Some((receiver, _)) => {
            let message = format!(
                "{receiver} lacks what this store has forgotten: its store was restored or lost"
            );
            return Some(("ReceiverRegressed", message));
        }
        None => {}
    }
    // What failed last is no matter once nothing waits.
    let mut failing = failing.into_iter().filter(|_| standing.unacknowledged > 0);
    if let Some((receiver, failing)) = failing.next() {
        let since = time::text(failing.since);
        let message = format!(
            "nothing gets to {receiver} since {since}: {}",
            failing.cause
        );
        return Some((failing.reason.as_str(), message));
    }
    standing.undelivered.then(|| {
        let message = "some event was sent often and is still not received".to_owned();
        ("Undelivered", message)
    })
}

/// Keeps what the metrics tell of the outbox up to date, until `stop`.
pub(crate) async fn measure(
    sending: Sending,
    receivers: Vec<ReceiverName>,
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
    let receivers: Vec<Arc<str>> = receivers.iter().map(|name| name.as_str().into()).collect();
    while !stop.is_cancelled() {
        let (standing, oldest) = tokio::join!(sending.standing(), sending.store().oldest());
        if let (Some(standing), Ok(oldest)) = (standing, oldest) {
            let oldest_age =
                oldest.map_or(Duration::ZERO, |oldest| clock.wall().since(oldest.accepted));
            let outbox = |receiver: &Arc<str>| Outbox {
                receiver: Arc::clone(receiver),
                unacknowledged: standing.unacknowledged,
                oldest_age,
            };
            *known.lock().unwrap_or_else(PoisonError::into_inner) =
                receivers.iter().map(outbox).collect();
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(EVERY) => {}
        }
    }
}
