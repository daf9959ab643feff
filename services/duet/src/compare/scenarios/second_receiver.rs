//! Another receiver joins: a fast one, then a slow one.

use super::Taken;
use crate::{
    compare::{
        brief,
        ground::Ground,
        load_on::load,
        measured::{Figure, SecondReceiver, Traffic},
        stage::Stage,
        wanted::{Faults, Wanted},
    },
    failure::Failure,
};
use duet_crd::Mode;
use std::time::Duration;

/// What is added to the second receiver's time for a batch.
pub(super) const SLOW_BY: Duration = Duration::from_millis(200);

pub(super) async fn run(
    stage: &Stage,
    ground: &mut Ground,
    mode: Mode,
) -> Result<Taken<SecondReceiver>, Failure> {
    let second = ground.second_receiver().await?;
    let others = ground.receivers().into_iter();
    let alone: Vec<_> = others.filter(|name| *name != second).collect();
    let both: Vec<_> = alone.iter().cloned().chain([second.clone()]).collect();
    let wanted = |to: &[String], faults| Wanted {
        to: Some(to.to_vec()),
        ..Wanted::with(mode, faults)
    };
    let slow = Faults {
        delay: SLOW_BY,
        receiver: Some(second),
        ..Faults::default()
    };
    let alone = traffic(stage, ground, &wanted(&alone, Faults::default())).await?;
    let with_fast = traffic(stage, ground, &wanted(&both, Faults::default())).await;
    let with_slow = traffic(stage, ground, &wanted(&both, slow)).await;
    let figure =
        |it: Result<Traffic, Failure>| Figure::from(it.map_err(|why| why.what().to_owned()));
    let with_slow = figure(with_slow);
    Ok(Taken {
        told: with_slow.get().map(brief::traffic).unwrap_or_default(),
        figure: SecondReceiver {
            alone,
            with_fast: figure(with_fast),
            slow_by: SLOW_BY,
            with_slow,
        },
    })
}

async fn traffic(stage: &Stage, ground: &mut Ground, wanted: &Wanted) -> Result<Traffic, Failure> {
    ground.apply(wanted).await?;
    let length = stage.plan.traffic;
    let rates = stage.steady(length);
    let (seen, ()) = load(stage, ground, &rates, async |_, clock| {
        clock.at(length).await;
        Ok(())
    })
    .await?;
    seen.traffic(&(Duration::ZERO..length), stage.plan.per_second)
}
