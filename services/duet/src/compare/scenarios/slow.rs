//! A receiver that takes longer.

use super::Taken;
use crate::{
    compare::{
        brief,
        ground::Ground,
        load_on::load,
        measured::{Slow, SlowStep},
        stage::Stage,
        wanted::{Faults, Wanted},
    },
    failure::Failure,
};
use duet_crd::Mode;
use std::time::Duration;

pub(super) async fn run(
    stage: &Stage,
    ground: &mut Ground,
    mode: Mode,
) -> Result<Taken<Slow>, Failure> {
    let length = stage.plan.traffic;
    let mut steps = Vec::new();
    for delay in stage.plan.delays {
        let faults = Faults {
            delay,
            ..Faults::default()
        };
        ground.apply(&Wanted::with(mode, faults)).await?;
        let rates = stage.steady(length);
        let (seen, ()) = load(stage, ground, &rates, async |_, clock| {
            clock.at(length).await;
            Ok(())
        })
        .await?;
        let traffic = seen.traffic(&(Duration::ZERO..length), stage.plan.per_second)?;
        steps.push(SlowStep { delay, traffic });
    }
    let told = steps.last().map(|it| brief::traffic(&it.traffic));
    Ok(Taken {
        told: told.unwrap_or_default(),
        figure: Slow { steps },
    })
}
