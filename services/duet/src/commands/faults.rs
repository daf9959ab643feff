//! `duet faults [NAME=VALUE…|off]`: makes a receiver slow or faulty on purpose, for a while or until it is told to stop. On a laptop that
//! edits the Channel document, in a cluster it patches the Channel.

mod asked;

use super::{
    following::{Followed, Goal, followed, told},
    on_one_thread, print, print_json,
};
use crate::{
    channel_file::ChannelFile,
    cluster::{self, Cluster},
    failure::{Failure, Kind},
    internal::{Condition, Observed, client},
    place::{Pair, Participant, Place},
    running::SENDER,
    signals::Signals,
};
use asked::Asked;
use duet_crd::{FaultsSpec, duration::Duration as Text, names::ServiceName, time::Time};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Who changed the Channel's faults, as the object's managed fields tell it: another than who switches the mode.
const MANAGER: &str = "duet-faults";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What goes wrong: delay=200ms, jitter=50ms, errorPercent=5, hangPercent=1, maxPerSecond=500; or `off`. Without it, what is set is shown
    #[arg(value_name = "NAME=VALUE|off")]
    words: Vec<String>,
    /// End by itself after this time, also if this command is killed; it waits that long, and Ctrl-C ends the faults sooner
    #[arg(long = "for", value_name = "DURATION", value_parser = lasting)]
    lasting: Option<Text>,
    /// Only at this receiver; without it at all of them
    #[arg(long, value_name = "NAME", value_parser = service)]
    receiver: Option<ServiceName>,
    #[command(flatten)]
    place: Place,
    /// The Channel document, if it isn't the one that the data directory names
    #[arg(long, value_name = "FILE", conflicts_with_all = ["context", "namespace", "release"])]
    channel: Option<PathBuf>,
    /// Seconds to wait until each service follows
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=600))]
    wait: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn lasting(text: &str) -> Result<Text, String> {
    let lasting: Text = text.parse().map_err(|error| format!("it {error}"))?;
    match lasting.as_millis() {
        1.. => Ok(lasting),
        0 => Err("it must be longer than nothing".to_owned()),
    }
}

fn service(text: &str) -> Result<ServiceName, String> {
    ServiceName::try_from(text.to_owned()).map_err(|error| error.to_string())
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// As the Channel says; null where it says nothing.
    faults: Option<FaultsSpec>,
    /// Whether this command was to change them.
    #[serde(skip)]
    changes: bool,
    /// The document's path, or the resource in a cluster.
    channel: String,
    /// Who follows, and what it says of them; empty where nothing runs.
    followed: Vec<Follower>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Follower {
    service: String,
    /// None where nothing was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<u128>,
    /// Whether they act there: True, False, or nothing where events aren't received.
    #[serde(skip_serializing_if = "Option::is_none")]
    acts: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

/// Whether a service of the laptop is to have them: they are a receiver's.
fn concern(faults: &FaultsSpec, service: &str) -> bool {
    match &faults.receiver {
        Some(receiver) => receiver.as_str() == service,
        None => service != SENDER,
    }
}

/// What a service tells of its faults.
fn tells(told: &Observed) -> Option<&Condition> {
    told.conditions.iter().find(|it| it.r#type == "Faults")
}

/// Whether faults act at who tells this.
fn acts(told: &Observed) -> bool {
    tells(told).is_some_and(|it| it.status == "True")
}

impl Follower {
    fn of(service: String, took_ms: Option<u128>, told: &Observed) -> Self {
        let condition = tells(told);
        Self {
            service,
            took_ms,
            acts: condition.map(|it| it.status.clone()),
            message: condition.map_or_else(String::new, |it| it.message.clone()),
        }
    }
}

/// The Channel, wherever it is.
enum Channel {
    File(ChannelFile),
    Resource {
        cluster: Box<Cluster>,
        name: String,
        path: String,
    },
}

impl Channel {
    fn path(&self) -> String {
        match self {
            Self::File(file) => file.path().display().to_string(),
            Self::Resource { path, .. } => path.clone(),
        }
    }

    /// What it says now.
    async fn faults(&mut self) -> Result<Option<FaultsSpec>, Failure> {
        match self {
            Self::File(file) => {
                *file = ChannelFile::read(file.path())?;
                Ok(file.faults().cloned())
            }
            Self::Resource {
                cluster,
                name,
                path,
            } => {
                let (document, _) = cluster.document(name).await?;
                Option::deserialize(&document["spec"]["faults"]).map_err(|error| {
                    Failure::new(
                        Kind::Invalid,
                        format!("can't read spec.faults of {path}: {error}"),
                    )
                })
            }
        }
    }

    /// Has it say this; the generation that does, where the Channel is one that counts them for everybody.
    async fn set(&mut self, faults: Option<&FaultsSpec>) -> Result<Option<u64>, Failure> {
        match self {
            Self::File(file) => {
                file.set_faults(faults.map(asked::yaml).as_deref())?;
                Ok(None)
            }
            Self::Resource { cluster, name, .. } => {
                let patch = json!({ "spec": { "faults": patch(faults) } });
                let patched = cluster.patch_channel_as(MANAGER, name, &patch).await?;
                Ok(patched.generation.map(i64::cast_unsigned))
            }
        }
    }
}

/// As a merge patch, which leaves what it doesn't name as it is.
fn patch(faults: Option<&FaultsSpec>) -> Value {
    let Some(faults) = faults else {
        return Value::Null;
    };
    let all = [
        "delay",
        "jitter",
        "errorPercent",
        "hangPercent",
        "maxPerSecond",
        "receiver",
        "until",
    ];
    let fields = asked::fields(faults);
    let field = |name: &str| {
        (
            name.to_owned(),
            fields.get(name).cloned().unwrap_or_default(),
        )
    };
    Value::Object(all.map(field).into_iter().collect())
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    on_one_thread(set(&options))
}

async fn set(options: &Options) -> Result<(), Failure> {
    let until = options.lasting.map(ends_at);
    let asked = Asked::from_words(&options.words, options.receiver.clone(), until)
        .map_err(|why| Failure::new(Kind::Usage, why).hint("`duet faults --help` tells more."))?;
    // From here on Ctrl-C takes back what was set.
    let mut signals = Signals::listen()?;
    let (mut channel, pair) = options.open().await?;
    let report = match &asked {
        Asked::Show => show(&mut channel, pair.as_ref()).await?,
        Asked::Off => change(&mut channel, pair.as_ref(), None, options).await?,
        Asked::These(faults) => change(&mut channel, pair.as_ref(), Some(faults), options).await?,
    };
    if options.json {
        print_json(&report)?;
    } else {
        print(&report);
    }
    let (Asked::These(faults), Some(lasting)) = (&asked, options.lasting) else {
        return Ok(());
    };
    tokio::select! {
        () = tokio::time::sleep(lasting.into()) => {}
        () = signals.stop() => {}
    }
    let gone = take_away(&mut channel, faults).await.map_err(|failure| {
        failure.hint(
            "They end by themselves at that time; `duet faults off` takes them out of the Channel.",
        )
    })?;
    if !options.json {
        print(match gone {
            true => format!("over: taken out of {}\n", channel.path()),
            false => format!("over: {} says something else by now\n", channel.path()),
        });
    }
    Ok(())
}

/// Takes them away if they are still what the Channel says: what somebody else set meanwhile stays.
async fn take_away(channel: &mut Channel, faults: &FaultsSpec) -> Result<bool, Failure> {
    let ours = channel.faults().await?.as_ref() == Some(faults);
    if ours {
        channel.set(None).await?;
    }
    Ok(ours)
}

/// What is set, and what each participant says of it.
async fn show(channel: &mut Channel, pair: Option<&Pair>) -> Result<Report, Failure> {
    let http = client();
    let participants = pair.map_or(&[][..], |pair| &pair.participants);
    let says = async |it: &Participant| match told(&http, it).await {
        Ok(told) => Follower::of(it.name.clone(), None, &told),
        Err(why) => Follower {
            service: it.name.clone(),
            took_ms: None,
            acts: None,
            message: format!("down: {why}"),
        },
    };
    let followed = join_all(participants.iter().map(says)).await;
    Ok(Report {
        faults: channel.faults().await?,
        changes: false,
        channel: channel.path(),
        followed,
    })
}

/// Changes the Channel, and waits until each participant follows.
async fn change(
    channel: &mut Channel,
    pair: Option<&Pair>,
    faults: Option<&FaultsSpec>,
    options: &Options,
) -> Result<Report, Failure> {
    let http = client();
    let participants = pair.map_or(&[][..], |pair| &pair.participants);
    // The way to each pod is opened before the clock starts.
    let before = join_all(participants.iter().map(|it| told(&http, it))).await;
    let generation = |told: Result<Observed, String>| told.ok()?.observed_generation;
    let names = participants.iter().map(|it| it.name.clone());
    let before: BTreeMap<String, Option<u64>> =
        names.zip(before.into_iter().map(generation)).collect();
    let since = Instant::now();
    let is_news = channel.faults().await?.as_ref() != faults;
    let wanted = match is_news {
        true => channel.set(faults).await?,
        false => None,
    };
    let is_met = |name: &str, told: &Observed| match (is_news, wanted) {
        // What somebody else has just taken out may still act.
        (false, _) => faults.is_some() || !acts(told),
        (true, Some(wanted)) => told.observed_generation >= Some(wanted),
        // Services count their own generations: what is newer may be what was taken out just before.
        (true, None) => {
            told.observed_generation > before.get(name).copied().flatten()
                && faults.is_none_or(|faults| !concern(faults, name) || tells(told).is_some())
        }
    };
    let goal = Goal {
        is_met: &is_met,
        since,
        patience: Duration::from_secs(options.wait.into()),
    };
    let followed = followed(&http, participants, goal).await?;
    let follower = |it: Followed| Follower::of(it.service, Some(it.took_ms), &it.told);
    Ok(Report {
        faults: faults.cloned(),
        changes: true,
        channel: channel.path(),
        followed: followed.into_iter().map(follower).collect(),
    })
}

/// To the millisecond, as the Channel is written.
fn ends_at(lasting: Text) -> Time {
    let now = jiff::Timestamp::now().as_millisecond();
    let millis = now.saturating_add_unsigned(lasting.as_millis());
    duet_protocol::time::Timestamp::from_micros(millis.saturating_mul(1_000)).into()
}

impl Options {
    /// The Channel, and the pair that follows it, if one does.
    async fn open(&self) -> Result<(Channel, Option<Pair>), Failure> {
        match self.place.cluster() {
            Some(at) => self.in_cluster(at).await,
            None => self.here(),
        }
    }

    fn here(&self) -> Result<(Channel, Option<Pair>), Failure> {
        let (file, running) = self.place.channel_file(self.channel.as_deref())?;
        Ok((Channel::File(file), running.map(Pair::from)))
    }

    async fn in_cluster(&self, at: &cluster::Options) -> Result<(Channel, Option<Pair>), Failure> {
        let cluster = Cluster::connect(at).await?;
        let standing = cluster.channel().await?;
        let pair = cluster.pair().await?;
        let channel = Channel::Resource {
            cluster: Box::new(cluster),
            path: standing.path(),
            name: standing.name,
        };
        Ok((channel, Some(pair)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            faults,
            changes,
            channel,
            followed,
        } = self;
        match faults {
            Some(faults) => writeln!(f, "{} in {channel}", asked::told(faults))?,
            None => writeln!(f, "no faults in {channel}")?,
        }
        let acts_nowhere = |it: &Follower| it.acts.as_deref() == Some("False");
        for it in followed {
            // Where none are set, there is nothing to say of them.
            if !changes && faults.is_none() && it.message.is_empty() {
                continue;
            }
            f.write_str(&it.service)?;
            if let Some(took_ms) = it.took_ms {
                write!(f, " follows after {took_ms} ms")?;
            }
            match (it.acts.as_deref(), it.message.as_str()) {
                (None, "") if it.took_ms.is_some() => writeln!(f)?,
                (None, "") => writeln!(f, ": receives nothing that could go wrong")?,
                (Some("False"), why) => writeln!(f, ": nothing goes wrong there: {why}")?,
                (_, what) => writeln!(f, ": {what}")?,
            }
        }
        if *changes && followed.is_empty() {
            writeln!(f, "The pair isn't running; it will start with that.")?;
        }
        if *changes && faults.is_some() && followed.iter().any(acts_nowhere) {
            writeln!(
                f,
                "Start the service with --allow-faults; in a cluster: helm upgrade … --reuse-values --set faults.allowed=true"
            )?;
        }
        Ok(())
    }
}
