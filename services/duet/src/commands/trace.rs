//! `duet trace ID|--last`: one trace as a tree, from Jaeger's query API.

use super::{on_one_thread, print, print_json};
use crate::{
    failure::{Failure, Kind},
    jaeger::{FIRST, Jaeger, Trace, TraceId, Tree},
    place::{JaegerAt, Place},
};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(150);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The trace's id, 32 hex digits; an answer's `traceresponse` header has it
    #[arg(required_unless_present = "last", conflicts_with = "last")]
    id: Option<TraceId>,
    /// The latest request to Reaction, instead of an id
    #[arg(long)]
    last: bool,
    #[command(flatten)]
    place: Place,
    /// Jaeger's address, if it isn't that of `duet up` or of the release
    #[arg(long, value_name = "URL", env = "DUET_JAEGER")]
    jaeger: Option<String>,
    /// Seconds to wait for spans that are under way
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=600))]
    wait: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The tree, and where a person sees it.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    tree: Tree,
    page: String,
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let (trace, at) = on_one_thread(async {
        let (at, _way) = match &options.jaeger {
            Some(base) => (JaegerAt::named(base), None),
            None => {
                let pair = options.place.pair().await?;
                (
                    pair.jaeger
                        .clone()
                        .ok_or_else(|| no_jaeger(&options.place))?,
                    Some(pair),
                )
            }
        };
        let trace = settled(
            &at,
            options.id.as_ref(),
            Duration::from_secs(options.wait.into()),
        )
        .await?;
        Ok((trace, at))
    })?;
    let page = format!("{}/trace/{}", at.page, trace.trace_id);
    let tree = Tree::of(&trace);
    if options.json {
        return print_json(&Shown { tree, page });
    }
    print(format_args!("trace {}\n{tree}", trace.trace_id));
    let missing = trace.missing(FIRST);
    if !missing.is_empty() {
        print(format_args!("Not complete yet:\n{missing}"));
    }
    match &at.way {
        Some(way) => print(format_args!("{page} (after: {way})\n")),
        None => print(format_args!("{page}\n")),
    }
    Ok(())
}

fn no_jaeger(place: &Place) -> Failure {
    let (what, hint) = match place.cluster() {
        Some(_) => (
            "this release has no Jaeger",
            "Its traces go where the chart's otlp.endpoint says, or nowhere. Name a Jaeger with --jaeger URL.",
        ),
        None => (
            "this `duet up` has no Jaeger",
            "Build with the feature `jaeger` (`make run` does), or name one with --jaeger URL.",
        ),
    };
    Failure::new(Kind::NotRunning, what).hint(hint)
}

/// The trace once nothing is missing, or as it is when `patience` is over.
async fn settled(
    at: &JaegerAt,
    id: Option<&TraceId>,
    patience: Duration,
) -> Result<Trace, Failure> {
    let jaeger = Jaeger::at(&at.query);
    let since = Instant::now();
    loop {
        let found = match id {
            Some(id) => jaeger.trace(id).await,
            None => jaeger.latest_request(FIRST).await,
        };
        let found = found.map_err(|error| Failure::new(Kind::NotRunning, error))?;
        // The latest that is known is the latest only once all that was made has arrived.
        let arrived = id.is_some() || since.elapsed() >= at.exported.min(patience);
        match found {
            Some(trace) if arrived && trace.missing(FIRST).is_empty() => return Ok(trace),
            Some(trace) if since.elapsed() >= patience => return Ok(trace),
            None if since.elapsed() >= patience => {
                let what = match id {
                    Some(id) => format!("no trace {id}"),
                    None => format!("no request to {FIRST} was traced yet"),
                };
                let hint =
                    "It may not have been sampled, or be too old; or no span of it was sent yet.";
                return Err(Failure::new(Kind::NotFound, what).hint(hint));
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}
