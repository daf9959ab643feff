//! A part is hung, away, or replaced, under load.

use super::Taken;
use crate::{
    compare::{
        brief,
        ground::{Ground, Upset},
        load_on::{Seen, load},
        measured::{Figure, Millis, Outage},
        reads,
        stage::Stage,
    },
    failure::Failure,
    load::Rate,
};
use duet_crd::Mode;
use std::time::Duration;
use tokio::time::sleep;

/// When the part was away, since the load began, until when callers may have noticed, and how long it took from its return until
/// nothing waited any more.
struct Away {
    from: Duration,
    until: Duration,
    noticed: Duration,
    caught_up: Result<Duration, Failure>,
}

/// A part is upset for a while, and given back.
pub(super) async fn run(
    stage: &Stage,
    ground: &mut Ground,
    _: Mode,
    what: Upset,
) -> Result<Taken<Outage>, Failure> {
    let away = match what {
        Upset::Hung => stage.plan.hung(stage.deadline),
        _ => stage.plan.away,
    };
    let rates = [usual(stage)];
    let (seen, away) = load(stage, ground, &rates, async |ground, clock| {
        clock.at(stage.plan.before).await;
        let from = clock.now();
        ground.upset(what).await?;
        sleep(away).await;
        ground.mend().await?;
        let until = clock.now();
        clock.over();
        let caught_up = stage.drained(ground).await;
        Ok(Away {
            from,
            until,
            noticed: until,
            caught_up,
        })
    })
    .await?;
    outage(&seen, away, stage.plan.per_second)
}

/// The receiver is replaced by a new process.
pub(super) async fn redeployed(
    stage: &Stage,
    ground: &mut Ground,
    _: Mode,
) -> Result<Taken<Outage>, Failure> {
    let rates = [usual(stage)];
    let (seen, away) = load(stage, ground, &rates, async |ground, clock| {
        clock.at(stage.plan.before).await;
        let from = clock.now();
        ground.redeploy().await?;
        let until = clock.now();
        // It is ready; who calls it may not know yet.
        sleep(stage.plan.before).await;
        clock.over();
        let noticed = clock.now();
        let caught_up = stage.drained(ground).await;
        Ok(Away {
            from,
            until,
            noticed,
            caught_up,
        })
    })
    .await?;
    outage(&seen, away, stage.plan.per_second)
}

fn usual(stage: &Stage) -> Rate {
    Rate {
        per_second: stage.plan.per_second,
        lasts: stage.plan.longest,
    }
}

fn outage(seen: &Seen, away: Away, per_second: u32) -> Result<Taken<Outage>, Failure> {
    let during = away.from..away.noticed;
    let traffic = seen.traffic(&during, per_second)?;
    let (reads_before, _) = reads::told(&seen.reads, &(Duration::ZERO..away.from))?;
    let (reads_during, failed) = reads::told(&seen.reads, &during)?;
    let caught_up = away.caught_up.map(|time| Millis { time });
    let told = brief::traffic(&traffic) + &brief::p99("reads", &reads_during);
    Ok(Taken {
        told,
        figure: Outage {
            away: away.until - away.from,
            traffic,
            reads_before,
            reads_during,
            reads_failed: Figure::Measured(failed),
            caught_up_after: Figure::from(caught_up.map_err(|why| why.what().to_owned())),
        },
    })
}
