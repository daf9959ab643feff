//! `duet audit`: whether what both ends store balances, and what differs.

use super::{on_one_thread, print, print_json};
use crate::{
    audit::{self, Store},
    failure::{Failure, Kind},
    place::{Pair, Place},
};
use duet_channel::store::sqlite::audit::AuditRows;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// Ask the services, which must run, instead of reading their files; in a cluster they always are
    #[arg(long)]
    ask: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The services whose stores may be in a data directory, by name, and how their rows are read.
const RECEIVERS: [(&str, &dyn AuditRows); 2] = [
    (
        "notification",
        &duet_notification::store::audit::Notifications,
    ),
    ("trending", &duet_trending::AUDIT),
];

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let report = on_one_thread(async {
        let asks = options.ask || options.place.cluster().is_some();
        if !asks {
            let (sender, receivers) = files(&options.place)?;
            return audit::audit(&sender, &receivers).await;
        }
        // Kept until all is asked: it holds what leads there.
        let pair = options.place.pair().await?;
        let (sender, receivers) = services(&pair).await?;
        audit::audit(&sender, &receivers).await
    })?;
    if options.json {
        print_json(&report)?;
    } else {
        print(&report);
    }
    report.verdict()
}

/// The files of a data directory: they are read as they are, whether the services run or not.
fn files(place: &Place) -> Result<(Store, Vec<Store>), Failure> {
    let path = |name: &str| place.data.of(name).join(format!("{name}.sqlite"));
    let reaction = path("reaction");
    if !reaction.exists() {
        let what = format!("there is no store in {}", reaction.display());
        let hint = "`duet up` makes one. If the pair is in a Kubernetes cluster, say where with --namespace.";
        return Err(Failure::new(Kind::NotRunning, what).hint(hint));
    }
    let sender = Store::file(
        "reaction",
        &reaction,
        &duet_reaction::store::audit::Reactions,
    )?;
    let there = RECEIVERS.iter().filter(|(name, _)| path(name).exists());
    let receivers = there.map(|(name, rows)| Store::file(name, &path(name), *rows));
    Ok((sender, receivers.collect::<Result<_, _>>()?))
}

/// The services of a pair that runs, at their internal ports.
async fn services(pair: &Pair) -> Result<(Store, Vec<Store>), Failure> {
    let mut sender = None;
    let mut receivers = Vec::new();
    for participant in &pair.participants {
        let internal = participant.internal.as_ref().map_err(|down| {
            let what = format!(
                "can't tell whether it balances: {} is down: {down}",
                participant.name
            );
            Failure::new(Kind::Untold, what)
        })?;
        let mut store = Store::service(&participant.service, internal);
        if participant.service == "reaction" {
            sender = Some(store);
            continue;
        }
        // In a cluster the Channel calls it as its Service is called, which the release names.
        if let Some(name) = store.receiver().await?.name {
            store.name = name;
        }
        receivers.push(store);
    }
    let sender = sender.ok_or_else(|| Failure::new(Kind::NotRunning, "Reaction does not run"))?;
    Ok((sender, receivers))
}
