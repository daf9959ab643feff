//! Reactions whose way to the owner is watched, beside the load: from the request until the owner's inbox shows it.

use super::{
    clock::Clock,
    measured::{Figure, Freshness, Quantiles},
};
use crate::{
    failure::{Doing, Failure},
    load::{End, Services},
    waits::Waits,
};
use duet_reaction::domain::Kind;
use std::{ops::Range, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

/// The shortest time between two looks at an inbox. While it is empty it grows to a part of what has passed, so that those that wait
/// for long together ask no more than one that doesn't.
const LOOK: Duration = Duration::from_millis(2);
const PART: u32 = 32;

/// One that was watched.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// When it was asked for, after the load began.
    pub(super) asked: Duration,
    /// Whether its caller was told that it stands.
    stands: bool,
    /// From then until the owner was shown it; none if that was not seen.
    shown: Option<Duration>,
    /// The time between the last two looks.
    every: Duration,
}

/// Watches one every so often until the load is over, and then waits for those under way.
pub(super) async fn run(
    at: &Services,
    clock: &Clock,
    every: Duration,
    patience: Duration,
) -> Result<Vec<Probe>, Failure> {
    let began = clock.began().await;
    let run = format!("{:05x}", rand::random_range(0..0x10_0000));
    let mut under_way = JoinSet::new();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let over = clock.token();
    for number in 0.. {
        tokio::select! {
            _ = ticks.tick() => {}
            () = over.cancelled() => break,
        }
        let (at, name) = (at.clone(), format!("probe-{run}-{number}"));
        under_way.spawn(async move {
            // A post that can't be made is no reaction that is late.
            at.post(&name, &name, "Probe").await.ok()?;
            Some(watched(&at, &name, began, patience).await)
        });
    }
    let mut probes = Vec::new();
    while let Some(probe) = under_way.join_next().await {
        probes.extend(probe.doing(|| "watch a reaction".to_owned())?);
    }
    Ok(probes)
}

/// One post, its owner of the same name, and a reaction.
async fn watched(at: &Services, name: &str, began: Instant, patience: Duration) -> Probe {
    let asked = Instant::now();
    let answer = async {
        let heard = at.react(name, "ana", Some(Kind::Like), None).await;
        matches!(heard.end, End::Stands { .. })
    };
    let seen = async {
        loop {
            let every = LOOK.max(asked.elapsed() / PART);
            if at.shows(name, None).await == Ok(true) {
                return (asked.elapsed(), every);
            }
            sleep(every).await;
        }
    };
    tokio::pin!(answer, seen);
    // It may be shown before its caller is answered.
    let mut stands = None;
    let shown = loop {
        tokio::select! {
            answered = &mut answer, if stands.is_none() => {
                stands = Some(answered);
                if !answered {
                    break None;
                }
            }
            shown = &mut seen => break Some(shown),
            () = sleep(patience.saturating_sub(asked.elapsed())) => break None,
        }
    };
    let stands = match stands {
        Some(stands) => stands,
        None => answer.await,
    };
    Probe {
        asked: asked - began,
        stands,
        shown: shown.map(|(after, _)| after),
        every: shown.map_or(LOOK, |(_, every)| every),
    }
}

/// How fresh the inboxes were for those that were asked for in that stretch.
pub(super) fn freshness(
    probes: &[Probe],
    within: &Range<Duration>,
) -> Result<Figure<Freshness>, Failure> {
    let probes = probes
        .iter()
        .filter(|it| within.contains(&it.asked) && it.stands);
    let (mut waits, mut every, mut unseen) = (Waits::new()?, LOOK, 0u64);
    for probe in probes {
        match probe.shown {
            Some(after) => waits.record(after),
            None => unseen += 1,
        }
        every = every.max(probe.every);
    }
    if unseen > 0 {
        let why = format!("{unseen} accepted reactions were not shown to their owner in time");
        return Ok(Figure::missing(why));
    }
    let took: Figure<Quantiles> = Figure::from(&waits);
    Ok(match took {
        Figure::Measured(took) => Figure::Measured(Freshness { took, every }),
        Figure::Missing { missing } => Figure::Missing { missing },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(asked: u64, stands: bool, shown: Option<u64>) -> Probe {
        Probe {
            asked: Duration::from_millis(asked),
            stands,
            shown: shown.map(Duration::from_millis),
            every: LOOK,
        }
    }

    #[test]
    fn only_what_stands_and_was_asked_for_then_counts_and_what_was_never_shown_leaves_no_figure() {
        let within = Duration::ZERO..Duration::from_millis(100);
        let told = |probes: &[Probe]| freshness(probes, &within).unwrap();
        let good = [
            probe(0, true, Some(3)),
            probe(50, false, None),
            probe(99, true, Some(5)),
            probe(100, true, Some(9_000)),
        ];
        let fresh = told(&good);
        let fresh = fresh.get().unwrap();
        assert_eq!(fresh.took.samples, 2);
        assert_eq!(fresh.took.longest.as_millis(), 5);
        let never = told(&[probe(0, true, None), probe(1, true, Some(3))]);
        assert!(
            never.get().unwrap_err().starts_with("1 accepted"),
            "{never:?}"
        );
        assert!(told(&[]).get().is_err());
    }
}
