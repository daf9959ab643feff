//! A pair over new stores, which are counted at the end: what was accepted is in both, or nothing is reported.

use super::{
    count::Stored,
    load::{Load, Posts, Reactions, Requests, Tally, Users},
    options::Common,
    pair::{Pair, Setup},
};
use crate::{
    channel_file::name,
    failure::{Doing, Failure},
};
use duet_crd::Mode;
use futures::FutureExt;
use std::{convert::Infallible, num::NonZeroU32, path::Path};
use tokio::sync::oneshot;

/// Posts that are reacted to where their number is not the question.
const POSTS: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// A pair that runs, and what it has accepted.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) pair: Pair,
    requests: Requests,
    accepted: u64,
}

impl Stage {
    /// Runs the load: reactions of which none came before.
    pub(super) async fn run(&mut self, load: Load) -> Result<Tally, Failure> {
        let tally = load.run(self.requests.clone()).await?;
        self.accepted += tally.accepted();
        Ok(tally)
    }

    /// The same, while something else happens, and no longer.
    pub(super) async fn run_while<T>(
        &mut self,
        load: Load,
        what: impl AsyncFnOnce(&Pair) -> Result<T, Failure>,
    ) -> Result<(Tally, T), Failure> {
        let (over, is_over) = oneshot::channel::<Infallible>();
        let asking = load.run_until(self.requests.clone(), is_over.map(drop));
        let doing = async {
            let done = what(&self.pair).await;
            drop(over);
            done
        };
        let (tally, done) = tokio::try_join!(asking, doing)?;
        self.accepted += tally.accepted();
        Ok((tally, done))
    }
}

/// Starts a pair, measures, waits until all is delivered, stops it, and counts both stores.
pub(super) async fn over_new_stores<T>(
    common: &Common,
    home: &Path,
    mode: Mode,
    measure: impl AsyncFnOnce(&mut Stage) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let dir = home.join(name(mode));
    std::fs::create_dir(&dir).doing(|| format!("make the directory {}", dir.display()))?;
    let posts = Posts(POSTS);
    let mut stage = Stage {
        pair: Pair::start(&dir, &Setup::of(common, mode, posts)).await?,
        requests: same(posts),
        accepted: 0,
    };
    let measured = measure(&mut stage).await?;
    stage.pair.drained().await?;
    stage.pair.stop().await?;
    Stored::under(&dir)?.must_be(stage.accepted)?;
    std::fs::remove_dir_all(&dir).doing(|| format!("remove {}", dir.display()))?;
    Ok(measured)
}

/// What the baseline that is asked the same is asked.
pub(super) fn reactions() -> Requests {
    same(Posts(POSTS))
}

fn same(posts: Posts) -> Requests {
    Requests::Reactions(Reactions::to(posts, Users::Ordered))
}
