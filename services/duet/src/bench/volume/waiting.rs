//! An outbox that is full: the broker is away while callers go on.

use super::{Options, POSTS};
use crate::{
    bench::{
        count::Stored,
        load::{Reactions, Requests, Users, When},
        pair::{Pair, Setup},
        report::{Bound, Figure, Goal, Rows, Spread, in_micros},
        resident,
    },
    failure::{Doing, Failure},
};
use duet_crd::Mode;
use std::{path::Path, time::Instant};

/// The outbox is filled in so many steps, of which the first and the last are compared.
const STEPS: u32 = 5;
/// Reactions before the first step, so that it finds a pair that has begun.
const WARM_UP: u64 = 20_000;

pub(super) async fn measure(
    options: &Options,
    home: &Path,
    rows: &mut Rows,
) -> Result<Vec<Goal>, Failure> {
    let dir = home.join("waiting");
    std::fs::create_dir(&dir).doing(|| format!("make the directory {}", dir.display()))?;
    let setup = Setup::of(&options.common, Mode::Async, POSTS);
    let pair = Pair::start(&dir, &setup).await?;
    let requests = Requests::Reactions(Reactions::to(POSTS, Users::Ordered));
    let down = pair.take_down("nats").await?;
    let each = u64::from(options.waiting.get().div_ceil(STEPS));
    let warm_up = options.load(&pair, When::Made(each.min(WARM_UP)));
    let mut held = warm_up.run(requests.clone()).await?.accepted();
    let mut rates = Vec::new();
    for _ in 0..STEPS {
        let tally = options
            .load(&pair, When::Made(each))
            .run(requests.clone())
            .await?;
        held += tally.accepted();
        let rate = tally.accepted() as f64 / tally.took.as_secs_f64();
        rates.push(rate);
        let mut figures = vec![
            (Figure::PER_SECOND, rate),
            (Figure::P50, in_micros(tally.wait(0.5))),
            (Figure::P99, in_micros(tally.wait(0.99))),
        ];
        if let Some(reaction) = pair.processes().get("reaction") {
            let bytes = resident::of("reaction", reaction)?.now;
            figures.push((Figure::LOADED, bytes as f64));
        }
        rows.add(&format!("broker away, {held} wait"), figures);
    }
    pair.bring_back(down).await?;
    let back = Instant::now();
    pair.drained().await?;
    rows.add(
        "broker back",
        [(Figure::DRAIN, back.elapsed().as_secs_f64())],
    );
    pair.stop().await?;
    Stored::under(&dir)?.must_be(held)?;
    std::fs::remove_dir_all(&dir).doing(|| format!("remove {}", dir.display()))?;
    let grown = rates
        .last()
        .zip(rates.first())
        .map(|(last, first)| last / first);
    let goal = grown.map(|grown| {
        let of = format!("rate once {held} wait to that before");
        Goal::new(of, Spread::of([grown]), Bound::AtLeast(0.6))
    });
    Ok(goal.into_iter().collect())
}
