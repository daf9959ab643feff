//! Work that takes longer than a caller may wait.

use super::Taken;
use crate::{
    compare::{
        brief,
        ground::Ground,
        load_on::load,
        measured::LongJob,
        stage::Stage,
        wanted::{Faults, Wanted},
    },
    failure::Failure,
};
use duet_crd::Mode;
use std::time::Duration;

/// Of the job, over the deadline.
const OVER: Duration = Duration::from_millis(500);

/// How long the job takes.
pub(super) fn takes(stage: &Stage) -> Duration {
    stage.deadline + OVER
}

pub(super) async fn run(
    stage: &Stage,
    ground: &mut Ground,
    mode: Mode,
) -> Result<Taken<LongJob>, Failure> {
    let (job, length) = (takes(stage), stage.plan.traffic);
    let faults = Faults {
        delay: job,
        ..Faults::default()
    };
    ground.apply(&Wanted::with(mode, faults)).await?;
    let rates = stage.steady(length);
    let (seen, ()) = load(stage, ground, &rates, async |ground, clock| {
        clock.at(length).await;
        clock.over();
        // The first job is done, and each caller has an answer; then it need not go on for what is left.
        clock.at(length + job).await;
        ground.apply(&Wanted::calm(mode)).await
    })
    .await?;
    let traffic = seen.traffic(&(Duration::ZERO..length), stage.plan.per_second)?;
    Ok(Taken {
        told: brief::traffic(&traffic),
        figure: LongJob {
            job,
            deadline: stage.deadline,
            traffic,
        },
    })
}
