//! More and more comes, and the receiver takes so many a second.

use super::Taken;
use crate::{
    compare::{
        brief,
        ground::Ground,
        load_on::load,
        measured::{Backlog, Figure, Millis, Surge, SurgeStep},
        stage::Stage,
        wanted::{Faults, Wanted},
    },
    failure::Failure,
    load::Rate,
};
use duet_crd::Mode;

pub(super) async fn run(
    stage: &Stage,
    ground: &mut Ground,
    mode: Mode,
) -> Result<Taken<Surge>, Failure> {
    let plan = &stage.plan;
    let cap_per_second = plan.per_second * plan.cap;
    let faults = Faults {
        max_per_second: cap_per_second,
        ..Faults::default()
    };
    ground.apply(&Wanted::with(mode, faults)).await?;
    let rates: Vec<_> = plan
        .surge
        .iter()
        .map(|times| Rate {
            per_second: plan.per_second * times,
            lasts: plan.surge_step,
        })
        .collect();
    let length = rates.iter().map(|it| it.lasts).sum();
    let (seen, drained) = load(stage, ground, &rates, async |ground, clock| {
        clock.at(length).await;
        clock.over();
        Ok(stage.drained(ground).await)
    })
    .await?;
    let mut steps = Vec::new();
    for (nth, rate) in (0u32..).zip(&rates) {
        let within = plan.surge_step * nth..plan.surge_step * (nth + 1);
        steps.push(SurgeStep {
            traffic: seen.traffic(&within, rate.per_second)?,
            most_waiting: seen.most(&within, |it| it.unacknowledged),
        });
    }
    let backlog: Vec<_> = seen
        .waiting
        .iter()
        .filter_map(|(at, it)| {
            Some(Backlog {
                at: *at,
                waiting: it.unacknowledged?,
            })
        })
        .collect();
    let told = steps.last().map(|it| brief::traffic(&it.traffic));
    let drained = drained.map(|time| Millis { time });
    Ok(Taken {
        told: format!(
            "at {} a second: {}",
            plan.per_second * plan.surge.last().copied().unwrap_or(1),
            told.unwrap_or_default()
        ),
        figure: Surge {
            cap_per_second,
            steps,
            backlog,
            drained_after: Figure::from(drained.map_err(|why| why.what().to_owned())),
        },
    })
}
