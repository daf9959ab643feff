//! A receiver that can't apply some of what it gets.

use super::Taken;
use crate::{
    compare::{
        brief,
        ground::{Ground, waiting},
        load_on::load,
        measured::{Failing, Figure},
        stage::Stage,
        wanted::{Faults, Wanted},
    },
    failure::Failure,
    internal::client,
};
use duet_crd::Mode;
use std::time::Duration;

/// Of the events.
pub(super) const PERCENT: u8 = 30;

pub(super) async fn run(
    stage: &Stage,
    ground: &mut Ground,
    mode: Mode,
) -> Result<Taken<Failing>, Failure> {
    let length = stage.plan.traffic;
    let faults = Faults {
        error_percent: PERCENT,
        ..Faults::default()
    };
    ground.apply(&Wanted::with(mode, faults)).await?;
    let rates = stage.steady(length);
    let (seen, ()) = load(stage, ground, &rates, async |ground, clock| {
        clock.at(length).await;
        clock.over();
        ground.apply(&Wanted::calm(mode)).await?;
        // Attempts are seconds apart.
        let _ = stage.drained(ground).await;
        Ok(())
    })
    .await?;
    let traffic = seen.traffic(&(Duration::ZERO..length), stage.plan.per_second)?;
    let left = waiting(&client(), &ground.pair_now().await?).await;
    Ok(Taken {
        told: brief::traffic(&traffic),
        figure: Failing {
            error_percent: PERCENT,
            traffic,
            parked: seen.most(&(Duration::ZERO..Duration::MAX), |it| it.parked),
            left: Figure::from(
                left.parked
                    .ok_or("Notification doesn't tell what is parked"),
            ),
        },
    })
}
