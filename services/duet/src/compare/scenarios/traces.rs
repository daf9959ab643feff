//! What a trace shows, and what it says of the receiver's own time.

use super::Taken;
use crate::{
    compare::{
        ground::Ground,
        measured::{Figure, Quantiles, Traces},
        stage::Stage,
    },
    failure::{Failure, Kind},
    jaeger::{FIRST, Jaeger, SpanKind, Trace, TraceId, Tree},
    load::{End, Services},
    place::JaegerAt,
    waits::Waits,
};
use duet_crd::Mode;
use duet_reaction::domain::Kind as Reaction;
use futures::future::try_join_all;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a trace may take to be whole.
const WHOLE: Duration = Duration::from_secs(5);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(100);
/// Traces of a load that are asked for.
const ASKED: usize = 40;

pub(super) async fn run(
    stage: &Stage,
    ground: &mut Ground,
    _: Mode,
) -> Result<Taken<Traces>, Failure> {
    let pair = ground.pair_now().await?;
    let jaeger = pair.jaeger.clone().ok_or_else(no_jaeger)?;
    let at = Services::at(&pair.reaction, &pair.notification);
    let run = format!("{:05x}", rand::random_range(0..0x10_0000));
    let react = async |number: u32| {
        let name = format!("traced-{run}-{number}");
        let failed = |why| Failure::new(Kind::Failed, why);
        at.post(&name, &name, "Traced").await.map_err(failed)?;
        let heard = at.react(&name, "ana", Some(Reaction::Like), None).await;
        match heard.end {
            End::Stands { .. } => Ok(heard.trace),
            end => Err(failed(format!("a reaction ended with {end}"))),
        }
    };
    // One after the other: those that a request carries together have other spans.
    let mut ids = Vec::new();
    for number in 0..stage.plan.traces {
        ids.extend(react(number).await?);
    }
    let settled = ids.iter().map(|id| settled(&jaeger, id, WHOLE));
    let traces: Vec<_> = try_join_all(settled).await?.into_iter().flatten().collect();
    let whole = traces.len() as u64;
    let last = traces.last();
    let spans = last.map(|trace| trace.spans.len() as u64);
    let spans = Figure::from(spans.ok_or("no trace was whole"));
    let tree = last.map(|trace| Tree::of(trace).to_string());
    let asked = u64::from(stage.plan.traces);
    let told = match spans.get() {
        Ok(spans) => format!("{whole} of {asked} whole, {spans} spans each"),
        Err(why) => why.to_owned(),
    };
    Ok(Taken {
        told,
        figure: Traces {
            asked,
            whole,
            spans,
            tree,
        },
    })
}

/// The receiver's own time for a request or a message, from the spans of these traces.
pub(super) async fn receiver_took(ground: &Ground, traces: &[TraceId]) -> Figure<Quantiles> {
    let took = async {
        let pair = ground.pair_now().await?;
        let jaeger = pair.jaeger.as_ref().ok_or_else(no_jaeger)?;
        let mut waits = Waits::new()?;
        // The last ones are surely still there; they may be on their way.
        sleep(jaeger.exported).await;
        for id in traces.iter().rev().take(ASKED) {
            let Some(trace) = asked(jaeger, id).await? else {
                continue;
            };
            for span in &trace.spans {
                let receives = matches!(span.kind(), SpanKind::Server | SpanKind::Consumer);
                if receives && trace.service(span) != FIRST {
                    waits.record(Duration::from_micros(span.duration));
                }
            }
        }
        Ok::<_, Failure>(waits)
    };
    match took.await {
        Ok(waits) => Figure::from(&waits),
        Err(failure) => Figure::missing(failure.what()),
    }
}

/// The trace once nothing of it is missing; none if that doesn't come to be.
async fn settled(
    at: &JaegerAt,
    id: &TraceId,
    patience: Duration,
) -> Result<Option<Trace>, Failure> {
    let began = Instant::now();
    while began.elapsed() < patience {
        let found = asked(at, id).await?;
        if let Some(trace) = found.filter(|it| it.missing(FIRST).is_empty() && reaches(it)) {
            return Ok(Some(trace));
        }
        sleep(PAUSE).await;
    }
    Ok(None)
}

async fn asked(at: &JaegerAt, id: &TraceId) -> Result<Option<Trace>, Failure> {
    let found = Jaeger::at(&at.query).trace(id).await;
    found.map_err(|why| Failure::new(Kind::NotRunning, why))
}

/// From the caller's request to what another service did with it.
fn reaches(trace: &Trace) -> bool {
    let commits = |span: &&_| trace.service(span) != FIRST;
    trace.request().is_some() && trace.spans.iter().any(|span| commits(&span))
}

fn no_jaeger() -> Failure {
    Failure::new(Kind::NotRunning, "the pair has no Jaeger")
}
