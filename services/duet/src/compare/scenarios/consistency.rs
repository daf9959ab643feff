//! Reading what one has written: right after the answer, with the position of the write, and after a write that waited.

use super::Taken;
use crate::{
    compare::{
        ground::Ground,
        measured::{Consistency, Figure, PreferWait, Quantiles, Reads},
        stage::Stage,
    },
    failure::{Failure, Kind},
    load::{End, Heard, Services},
    waits::Waits,
};
use duet_crd::Mode;
use duet_reaction::domain::Kind as Reaction;
use futures::{StreamExt, stream};
use std::time::Duration;
use tokio::time::Instant;

/// Writers side by side.
const AT_ONCE: usize = 5;
/// How long such a write is willing to wait.
const WAIT: Duration = Duration::from_millis(500);

pub(super) async fn run(
    stage: &Stage,
    ground: &mut Ground,
    _: Mode,
) -> Result<Taken<Consistency>, Failure> {
    let pair = ground.pair_now().await?;
    let writer = Writer {
        at: Services::at(&pair.reaction, &pair.notification),
        run: format!("{:05x}", rand::random_range(0..0x10_0000)),
        times: stage.plan.reads,
    };
    let at_once = writer.reads("at-once", |_| Ok(None)).await?;
    let with_position = writer
        .reads("position", |heard| {
            let position = heard.position.clone();
            position
                .map(Some)
                .ok_or_else(|| failed("answers have no Duet-Position"))
        })
        .await;
    let prefer_wait = writer.waiting().await;
    let told = format!(
        "{} of {} reads right after the answer were stale",
        at_once.stale, at_once.reads
    );
    Ok(Taken {
        told,
        figure: Consistency {
            at_once,
            with_position: Figure::from(with_position.map_err(|why| why.what().to_owned())),
            prefer_wait: Figure::from(prefer_wait.map_err(|why| why.what().to_owned())),
        },
    })
}

fn failed(what: impl Into<String>) -> Failure {
    Failure::new(Kind::Failed, what)
}

/// Writes a reaction to a post of its own, again and again.
struct Writer {
    at: Services,
    run: String,
    times: u32,
}

impl Writer {
    /// The post is its owner's only one.
    async fn write(&self, name: &str, prefer: Option<&str>) -> Result<Heard, Failure> {
        self.at
            .post(name, name, "Consistency")
            .await
            .map_err(failed)?;
        let heard = self
            .at
            .react(name, "ana", Some(Reaction::Like), prefer)
            .await;
        match heard.end {
            End::Stands { .. } => Ok(heard),
            end => Err(failed(format!("a reaction ended with {end}"))),
        }
    }

    async fn reads(
        &self,
        sort: &str,
        position: impl Fn(&Heard) -> Result<Option<String>, Failure>,
    ) -> Result<Reads, Failure> {
        let read = async |number: u32| {
            let name = format!("{sort}-{}-{number}", self.run);
            let heard = self.write(&name, None).await?;
            let position = position(&heard)?;
            let began = Instant::now();
            let shown = self.at.shows(&name, position.as_deref()).await;
            Ok((began.elapsed(), shown.map_err(failed)?))
        };
        let (stale, took) = self.each(read).await?;
        Ok(Reads {
            reads: self.times.into(),
            stale,
            took,
        })
    }

    async fn waiting(&self) -> Result<PreferWait, Failure> {
        let prefer = format!("wait={}", WAIT.as_secs_f64());
        let write = async |number: u32| {
            let name = format!("wait-{}-{number}", self.run);
            let began = Instant::now();
            let heard = self.write(&name, Some(&prefer)).await?;
            let delivered = matches!(
                heard.end,
                End::Stands {
                    delivered: true,
                    ..
                }
            );
            Ok((began.elapsed(), delivered))
        };
        let (late, took) = self.each(write).await?;
        let writes = self.times.into();
        Ok(PreferWait {
            asked: WAIT,
            writes,
            delivered: writes - late,
            took,
        })
    }

    /// Does it so many times, a few at once; how often it was not so, and how long each took.
    async fn each(
        &self,
        it: impl AsyncFn(u32) -> Result<(Duration, bool), Failure>,
    ) -> Result<(u64, Figure<Quantiles>), Failure> {
        let (mut not, mut waits) = (0, Waits::new()?);
        let mut done = stream::iter(0..self.times)
            .map(|number| it(number))
            .buffer_unordered(AT_ONCE);
        while let Some(done) = done.next().await {
            let (took, is_so) = done?;
            waits.record(took);
            not += u64::from(!is_so);
        }
        Ok((not, Figure::from(&waits)))
    }
}
