//! What is done to the pair, each in both modes, and what is measured meanwhile. One module for each.

mod baseline; // nothing is wrong
mod code; // the lines of a pair of one's own
mod consistency; // reading what one has written
mod failing; // a receiver that can't apply some of it
mod long_job; // work that takes longer than a caller may wait
mod name; // their names
mod outage; // a part is hung, away, or replaced
mod second_receiver; // another one joins
mod slow; // a receiver that takes longer
mod surge; // more and more comes
mod traces; // what a trace shows
mod way; // what a reaction passes on its way

use super::{
    ground::{Ground, Upset},
    measured::{Figure, Scenario, Scenarios},
    stage::Stage,
    wanted::Wanted,
};
use crate::failure::{Failure, Kind};
use duet_crd::Mode;
pub(crate) use name::Name;

/// A figure, and the same in a few words.
struct Taken<T> {
    figure: T,
    told: String,
}

/// Nothing has been done yet; `why` will be said of what never is.
pub(super) fn none(stage: &Stage, why: &str) -> Scenarios {
    let command = |name: Name| stage.command_of(name);
    Scenarios {
        baseline: Scenario::missing(command(Name::Baseline), why),
        slow: Scenario::missing(command(Name::Slow), why),
        long_job: Scenario::missing(command(Name::LongJob), why),
        surge: Scenario::missing(command(Name::Surge), why),
        hung: Scenario::missing(command(Name::Hung), why),
        absent: Scenario::missing(command(Name::Absent), why),
        redeployed: Scenario::missing(command(Name::Redeployed), why),
        failing: Scenario::missing(command(Name::Failing), why),
        broker_down: Scenario::missing(command(Name::BrokerDown), why),
        broker_wiped: Scenario::missing(command(Name::BrokerWiped), why),
        second_receiver: Scenario::missing(command(Name::SecondReceiver), why),
        consistency: Scenario::missing(command(Name::Consistency), why),
        traces: Scenario::missing(command(Name::Traces), why),
        way: Scenario::missing(command(Name::Way), why),
        code: code::lines(command(Name::Code)),
    }
}

/// Does what is named, one after the other. What fails is a figure that is missing; only a pair that can't be put right ends the run.
pub(super) async fn all(
    stage: &Stage,
    ground: &mut Ground,
    only: &[Name],
    into: &mut Scenarios,
) -> Result<(), Failure> {
    for name in Name::ALL {
        if !only.is_empty() && !only.contains(&name) {
            continue;
        }
        let outage = |what| {
            async move |stage: &Stage, ground: &mut Ground, mode| {
                outage::run(stage, ground, mode, what).await
            }
        };
        let mut act = Act {
            stage,
            ground,
            name,
        };
        match name {
            Name::Baseline => act.both(&mut into.baseline, baseline::run).await?,
            Name::Traces => act.both(&mut into.traces, traces::run).await?,
            Name::Way => act.both(&mut into.way, way::run).await?,
            Name::Consistency => act.both(&mut into.consistency, consistency::run).await?,
            Name::Slow => act.both(&mut into.slow, slow::run).await?,
            Name::LongJob => act.both(&mut into.long_job, long_job::run).await?,
            Name::Surge => act.both(&mut into.surge, surge::run).await?,
            Name::Hung => act.both(&mut into.hung, outage(Upset::Hung)).await?,
            Name::Absent => act.both(&mut into.absent, outage(Upset::Absent)).await?,
            Name::Redeployed => act.both(&mut into.redeployed, outage::redeployed).await?,
            Name::Failing => act.both(&mut into.failing, failing::run).await?,
            Name::BrokerDown => {
                act.both(&mut into.broker_down, outage(Upset::BrokerDown))
                    .await?
            }
            Name::BrokerWiped => {
                act.both(&mut into.broker_wiped, outage(Upset::BrokerWiped))
                    .await?
            }
            Name::SecondReceiver => {
                act.both(&mut into.second_receiver, second_receiver::run)
                    .await?
            }
            Name::Code => {}
        }
    }
    Ok(())
}

/// One scenario, on its pair.
struct Act<'a> {
    stage: &'a Stage,
    ground: &'a mut Ground,
    name: Name,
}

impl Act<'_> {
    /// In both modes, and puts everything right after each.
    async fn both<T>(
        &mut self,
        into: &mut Scenario<T>,
        run: impl AsyncFn(&Stage, &mut Ground, Mode) -> Result<Taken<T>, Failure>,
    ) -> Result<(), Failure> {
        into.done = self.name.done(self.stage, self.ground);
        for mode in [Mode::Sync, Mode::Async] {
            self.stage.shown.begin(self.name.as_str(), mode);
            let bounded = tokio::time::timeout(self.stage.plan.longest, async {
                self.ground.apply(&Wanted::calm(mode)).await?;
                run(self.stage, self.ground, mode).await
            });
            let outcome = bounded.await.unwrap_or_else(|_| {
                let longest = self.stage.plan.longest;
                Err(Failure::new(
                    Kind::Late,
                    format!("it took longer than {longest:?}"),
                ))
            });
            let calm = self.stage.calm(self.ground, mode).await;
            let (figure, told) = match outcome {
                Ok(taken) => (Figure::Measured(taken.figure), taken.told),
                Err(failure) => {
                    let why = failure.what().to_owned();
                    (Figure::missing(why.as_str()), format!("no figure: {why}"))
                }
            };
            self.stage.shown.end(&told);
            match mode {
                Mode::Sync => into.sync = figure,
                Mode::Async => into.r#async = figure,
            }
            match calm {
                Err(failure) if failure.kind() == Kind::Late => {
                    self.stage
                        .note(format!("after {}: {}", self.name.as_str(), failure.what()));
                }
                calm => drop(calm?),
            }
        }
        Ok(())
    }
}
