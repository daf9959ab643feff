//! What this process tells of the channel: `GET /v1/channel`, and the parked table in its metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_web::web;
use duet_channel::clock::Clock;
use duet_channel::dead_letters::Filter;
use duet_channel::receiver::ConsumerStanding;
use duet_channel::settings::{SettingsState, Trouble};
use duet_channel::store::sqlite::SqliteStore;
use duet_channel::store::sqlite::audit::imbalance;
use duet_channel::store::{Counts, Store};
use duet_protocol::receipt::ReceiverName;
use duet_protocol::settings::Settings;
use duet_telemetry::Instruments;
use duet_telemetry::instruments::Held;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::channel::{Condition, Mended, Observed};
use crate::time;
use crate::words::counted;

/// How old what the metrics tell of the parked table may be, where looking takes next to nothing.
const EVERY: Duration = Duration::from_secs(1);
/// And where it takes long.
const RARELY: Duration = Duration::from_secs(15);

/// What is told of faults that the Channel asks for.
pub(super) struct FaultsCondition {
    pub(super) receiver: ReceiverName,
    pub(super) allowed: bool,
    pub(super) clock: Clock,
}

impl FaultsCondition {
    /// None where none are asked for here.
    fn of(&self, settings: &Settings) -> Option<Condition> {
        let faults = settings.faults.as_ref()?;
        let here = faults.receiver.as_ref();
        here.is_none_or(|receiver| *receiver == self.receiver)
            .then(|| Condition::faults(faults, self.allowed, self.clock.wall()))
    }
}

/// `GET /v1/channel`.
pub(super) async fn channel(
    states: web::Data<watch::Receiver<SettingsState>>,
    standing: web::Data<watch::Receiver<ConsumerStanding>>,
    faults: web::Data<FaultsCondition>,
    store: web::Data<SqliteStore>,
) -> web::Json<Observed> {
    let state = states.borrow().clone();
    let standing = standing.borrow().clone();
    let degraded = standing.failing.as_ref().map(|failing| {
        let what = match standing.consumes {
            true => "the broker is not as it should be",
            false => "nothing is consumed",
        };
        let since = time::text(failing.since);
        let message = format!("{what} since {since}: {}", failing.cause);
        (failing.reason.as_str(), message)
    });
    let mut observed = Observed::of(&state);
    let counts = store.counts().await.ok();
    observed.parked = counts.as_ref().map(|counts| counts.parked);
    observed.dead_letters = counts.as_ref().map(|counts| counts.dead);
    let full = counts.as_ref().and_then(parked_full);
    let differs = match store.read(imbalance::of_receiver).await {
        Ok(events) if events > 0 => Some(ledger_differs(events)),
        _ => None,
    };
    let dead = match counts {
        Some(counts) => dead_letters(&store, counts.dead).await,
        None => None,
    };
    observed.rebuilt = standing.rebuilt.as_ref().map(Mended::from);
    observed.corrected = standing.corrected.as_ref().map(Mended::from);
    let is_named = match state.settings() {
        Some(settings) => settings.to.contains(&faults.receiver),
        None => (state.problem.as_ref()).is_none_or(|it| it.trouble != Trouble::NotAReceiver),
    };
    let condition = if is_named {
        Condition::degraded([full, degraded, differs, dead].into_iter().flatten())
    } else {
        Condition::is_no_receiver(faults.receiver.as_str())
    };
    observed.conditions.push(condition);
    let faults = state.settings().and_then(|settings| faults.of(settings));
    observed.conditions.extend(faults);
    web::Json(observed)
}

/// What is told of a ledger that does not balance by itself.
fn ledger_differs(events: u64) -> (&'static str, String) {
    let events = counted(events, "event");
    let message = format!(
        "{events} held here were neither applied, superseded nor discarded, and are not parked or dead, or are so twice: `duet audit` names \
         what differs"
    );
    ("LedgerDiffers", message)
}

/// What is told of a parked table that is full.
fn parked_full(counts: &Counts) -> Option<(&'static str, String)> {
    let (parked, dead) = (counts.parked, counts.dead);
    (parked + dead >= counts.parked_limit).then(|| {
        let message = format!(
            "as many events are kept as may be that could not be applied ({parked} parked, {dead} dead letters): more of them are not \
             taken, and stay with their sender; `duet dead-letters` tries them again or discards them"
        );
        ("ParkedFull", message)
    })
}

/// What is told of dead letters: they wait for somebody, who may not know.
async fn dead_letters(store: &SqliteStore, dead: u64) -> Option<(&'static str, String)> {
    if dead == 0 {
        return None;
    }
    let causes = store.causes(Filter::dead()).await.ok()?;
    let main = causes.first()?;
    let how_many = match causes.len() {
        1 => String::new(),
        _ => format!(" ({} of them)", main.dead),
    };
    let message = format!(
        "{} could not be applied: {}{how_many}; `duet dead-letters` lists them, and tries them again",
        counted(dead, "event"),
        main.cause
    );
    Some(("DeadLetters", message))
}

/// Keeps what the metrics tell of the parked table and of the ledger up to date, until `stop`.
pub(super) async fn measure(
    receiver: ReceiverName,
    store: SqliteStore,
    instruments: Instruments,
    stop: CancellationToken,
) {
    let held = Arc::new([const { AtomicU64::new(0) }; 3]);
    let asked = Arc::clone(&held);
    instruments.observe_held(move || {
        let [parked, dead] = [0, 1].map(|it| asked[it].load(Ordering::Relaxed));
        Held { parked, dead }
    });
    let (asked, name) = (Arc::clone(&held), Arc::<str>::from(receiver.as_str()));
    instruments.observe_imbalance(move || vec![(name.clone(), asked[2].load(Ordering::Relaxed))]);
    while !stop.is_cancelled() {
        let began = Instant::now();
        if let Ok(counts) = store.counts().await {
            held[0].store(counts.parked, Ordering::Relaxed);
            held[1].store(counts.dead, Ordering::Relaxed);
        }
        if let Ok(events) = store.read(imbalance::of_receiver).await {
            held[2].store(events, Ordering::Relaxed);
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(pause(began.elapsed())) => {}
        }
    }
}

/// After a look that took so long. It goes through all that is parked and all epochs that ever were: that is to be a hundredth of the
/// time at most.
fn pause(took: Duration) -> Duration {
    (took * 100).clamp(EVERY, RARELY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_there_is_to_go_through_the_more_rarely_it_is_gone_through() {
        let millis = Duration::from_millis;
        let pauses = [0, 10, 50, 100, 10_000].map(|took| pause(millis(took)));
        let seconds = [1, 1, 5, 10, 15].map(Duration::from_secs);
        assert_eq!(pauses, seconds);
    }
}
