//! Nothing is wrong.

use super::Taken;
use crate::{
    bench::cpu,
    compare::{
        brief,
        ground::Ground,
        load_on::load,
        measured::{Baseline, Figure, Micros},
        stage::Stage,
    },
    failure::{Failure, Kind},
    load::Rate,
};
use duet_crd::Mode;
use std::{collections::BTreeMap, time::Duration};

pub(super) async fn run(
    stage: &Stage,
    ground: &mut Ground,
    _: Mode,
) -> Result<Taken<Baseline>, Failure> {
    let length = stage.plan.baseline;
    let before = used(ground);
    let rates = [Rate {
        per_second: stage.plan.per_second,
        lasts: length,
    }];
    let (seen, ()) = load(stage, ground, &rates, async |_, clock| {
        clock.at(length).await;
        Ok(())
    })
    .await?;
    let cpu = before.and_then(|before| Ok(used(ground)?.saturating_sub(before)));
    let mut outcomes = BTreeMap::new();
    for outcome in seen.calls.iter().filter_map(|it| it.heard.outcome.clone()) {
        *outcomes.entry(outcome).or_default() += 1;
    }
    let reactions = seen.calls.len() + seen.probes.len();
    let cpu_each = cpu.map(|cpu| Micros {
        time: cpu / u32::try_from(reactions.max(1)).unwrap_or(u32::MAX),
    });
    let traffic = seen.traffic(&(Duration::ZERO..length))?;
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
            cpu_each: Figure::from(cpu_each.map_err(|why| why.what().to_owned())),
        },
    })
}

/// CPU time of all processes of the pair.
fn used(ground: &Ground) -> Result<Duration, Failure> {
    let Some(children) = ground.processes()? else {
        let what = "processes in a cluster can't be asked from here";
        return Err(Failure::new(Kind::Failed, what));
    };
    children
        .iter()
        .map(|(name, process)| cpu::of(name, process))
        .sum()
}
