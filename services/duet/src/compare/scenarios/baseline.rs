//! Nothing is wrong.

use super::Taken;
use crate::{
    compare::{
        brief,
        ground::Ground,
        load_on::load,
        measured::{Baseline, Figure},
        stage::Stage,
    },
    failure::Failure,
};
use duet_crd::Mode;
use std::{collections::BTreeMap, time::Duration};

pub(super) async fn run(
    stage: &Stage,
    ground: &mut Ground,
    _: Mode,
) -> Result<Taken<Baseline>, Failure> {
    let length = stage.plan.baseline;
    let rates = stage.steady(length);
    let (seen, ()) = load(stage, ground, &rates, async |_, clock| {
        clock.at(length).await;
        Ok(())
    })
    .await?;
    let mut outcomes = BTreeMap::new();
    for outcome in seen.calls.iter().filter_map(|it| it.heard.outcome.clone()) {
        *outcomes.entry(outcome).or_default() += 1;
    }
    let traffic = seen.traffic(&(Duration::ZERO..length), stage.plan.per_second)?;
    let sampled: Vec<_> = seen
        .calls
        .into_iter()
        .filter_map(|it| it.heard.trace)
        .collect();
    Ok(Taken {
        told: brief::traffic(&traffic),
        figure: Baseline {
            traffic,
            receiver_took: super::traces::receiver_took(ground, &sampled).await,
            outcomes,
            // At a modest rate most of it would be what processes do anyway.
            cpu_each: Figure::missing("`duet bench throughput` measures it, at full rate"),
        },
    })
}
