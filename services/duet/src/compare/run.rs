//! A run, from the first look at the pair to the last thing put back.

use super::{
    ground::Ground,
    measured::{Length, Machine, Measured, Terms, VERSION},
    plan::Plan,
    scenarios::{self, Name},
    stage::Stage,
};
use crate::{
    failure::{Failure, Kind},
    place::Place,
    signals::Signals,
};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// What to do.
pub(crate) struct Asked<'a> {
    pub(crate) place: &'a Place,
    pub(crate) length: Length,
    /// Seconds instead of minutes.
    pub(crate) tiny: bool,
    /// Only these; without any all.
    pub(crate) only: &'a [Name],
    /// The whole command line, and as much of it as leads to the same pair.
    pub(crate) command: String,
    pub(crate) command_here: String,
}

/// What was measured, and why it is not all, if it isn't.
pub(crate) struct Run {
    pub(crate) measured: Measured,
    pub(crate) cut_short: Option<Failure>,
}

/// `sync.deadline` and the consumer's `ackWait` where the document doesn't say.
const DEADLINE: Duration = Duration::from_secs(2);
const ACK_WAIT: Duration = Duration::from_secs(30);

/// Runs. The first signal ends it early; whatever happens, all is put back, which only a second signal gives up.
pub(crate) async fn run(asked: &Asked<'_>, signals: &mut Signals) -> Result<Run, Failure> {
    let began = (jiff::Timestamp::now(), Instant::now());
    let mut ground = tokio::select! {
        ground = Ground::take(asked.place) => ground?,
        () = signals.stop() => return Err(interrupted()),
    };
    let (channel, document) = ground.before();
    let spec = &document["spec"];
    let deadline = duration(&spec["sync"]["deadline"]).unwrap_or(DEADLINE);
    let ack_wait = duration(&spec["async"]["natsJetStream"]["consumer"]["ackWait"]);
    let channel = channel.to_owned();
    let plan = match (asked.tiny, asked.length) {
        (true, _) => Plan::tiny(),
        (false, Length::Quick) => Plan::quick(),
        (false, Length::Full) => Plan::full(),
    };
    let plan = plan.waiting_for(ack_wait.unwrap_or(ACK_WAIT));
    let stage = Stage::new(plan, deadline, asked.command_here.clone());
    let not_asked = "not run: --only named others";
    let mut done = scenarios::none(
        &stage,
        if asked.only.is_empty() {
            "not run"
        } else {
            not_asked
        },
    );
    let receivers = ground.receivers();
    let outcome = tokio::select! {
        outcome = async {
            let place = (ground.place().await?, ground.versions().await);
            scenarios::all(&stage, &mut ground, asked.only, &mut done).await?;
            Ok(place)
        } => outcome,
        () = signals.stop() => Err(interrupted()),
    };
    let place = match &outcome {
        Ok(place) => Ok(place.clone()),
        Err(_) => match ground.place().await {
            Ok(place) => Ok((place, ground.versions().await)),
            Err(failure) => Err(failure),
        },
    };
    stage.shown.say("putting everything back as it was");
    let put_back = tokio::select! {
        put_back = ground.put_back() => put_back,
        () = signals.stop() => {
            let what = "ended at once, before everything was put back";
            Err(Failure::new(Kind::Failed, what).hint("`duet compare --put-back` does, and so does a `duet up`."))
        }
    };
    // What was measured is told all the same.
    match &put_back {
        Ok(told) => stage.shown.say(told),
        Err(failure) => stage.note(format!("not everything was put back: {}", failure.what())),
    }
    if let Err(failure) = &outcome {
        stage.note(format!("the run was cut short: {}", failure.what()));
    }
    let cut_short = put_back.err().or(outcome.err());
    let (place, mut versions) = match place {
        Ok(found) => found,
        Err(why) => return Err(cut_short.unwrap_or(why)),
    };
    versions.insert("duet".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let terms = Terms {
        command: asked.command.clone(),
        began: began.0,
        took: began.1.elapsed(),
        length: stage.plan.length,
        place,
        machine: machine(),
        versions,
        per_second: stage.plan.per_second.into(),
        deadline,
        receivers,
    };
    let measured = Measured {
        version: VERSION,
        terms,
        channel,
        scenarios: done,
        notes: stage.take_notes(),
    };
    Ok(Run {
        measured,
        cut_short,
    })
}

/// Only puts back what a run left that was killed. Says what was done.
pub(crate) async fn put_back(place: &Place) -> Result<String, Failure> {
    Ground::put_back_what_was_left(place).await
}

fn interrupted() -> Failure {
    Failure::new(Kind::Failed, "interrupted")
}

fn duration(told: &Value) -> Option<Duration> {
    let told: duet_crd::duration::Duration = told.as_str()?.parse().ok()?;
    Some(told.into())
}

/// This one.
fn machine() -> Machine {
    let system = nix::sys::utsname::uname().ok();
    let system = system.map(|it| {
        let [name, release] = [it.sysname(), it.release()].map(|it| it.to_string_lossy());
        format!("{name} {release}")
    });
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Machine {
        system: system.unwrap_or_else(|| std::env::consts::OS.to_owned()),
        processor: model.map(|(_, name)| name.to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    }
}
