//! What a reaction passes on its way: what stands between the services, the connections that carry it, and how many messages one takes.

use super::Taken;
use crate::{
    compare::{
        ground::Ground,
        load_on::load,
        measured::{Figure, Way},
        stage::Stage,
    },
    failure::{Failure, Kind},
    internal::{client, metric},
    place::Pair,
};
use duet_crd::Mode;
use std::collections::BTreeMap;

/// What the sender counts of its requests, and of its messages.
const REQUESTS: &str = "http_client_request_duration_seconds_count";
const MESSAGES: &str = "messaging_client_sent_messages_total";

pub(super) async fn run(
    stage: &Stage,
    ground: &mut Ground,
    mode: Mode,
) -> Result<Taken<Way>, Failure> {
    let pair = ground.pair_now().await?;
    let before = sent(&pair, mode).await;
    let length = stage.plan.traffic;
    let rates = stage.steady(length);
    let (seen, connections) = load(stage, ground, &rates, async |ground, clock| {
        clock.at(length / 2).await;
        let connections = ground.connections(mode);
        clock.at(length).await;
        Ok(connections)
    })
    .await?;
    let reactions = seen.calls.len() + seen.probes.len();
    let after = sent(&pair, mode).await;
    let messages_each = before.and_then(|before| Ok((after? - before) / reactions.max(1) as f64));
    let connections = Figure::from(connections.map_err(|why| why.what().to_owned()));
    let of = |it: Result<String, &str>| it.unwrap_or_else(|_| "unknown".to_owned());
    let told = format!(
        "{} connections, {} messages a reaction",
        of(connections.get().map(u64::to_string)),
        of(messages_each
            .as_ref()
            .map(|it| format!("{it:.2}"))
            .map_err(|_| "")),
    );
    Ok(Taken {
        told,
        figure: Way {
            between: ground.between(mode),
            connections,
            messages_each: Figure::from(messages_each.map_err(|why| why.what().to_owned())),
            // One process opens a service's store, so there is one to get all of it.
            shares: BTreeMap::new(),
        },
    })
}

/// What the senders have counted so far.
async fn sent(pair: &Pair, mode: Mode) -> Result<f64, Failure> {
    let name = match mode {
        Mode::Sync => REQUESTS,
        Mode::Async => MESSAGES,
    };
    let http = client();
    let (mut sum, mut why) = (None, "no process tells its metrics".to_owned());
    for it in pair
        .participants
        .iter()
        .filter(|it| it.name.contains("reaction"))
    {
        let told = match &it.internal {
            Ok(internal) => metric(&http, internal, name).await,
            Err(why) => Err(why.clone()),
        };
        match told {
            Ok(number) => *sum.get_or_insert(0.0) += number,
            Err(error) => why = error,
        }
    }
    sum.ok_or_else(|| Failure::new(Kind::NotRunning, why))
}
