//! Which letters are meant: flags, as the filter that receivers take.

use duet_crd::duration::Duration as Text;
use duet_protocol::{delivery::Fingerprint, event::EventId, time::Timestamp};
use duet_web::dead_letters::{
    Filter, State,
    filter::{KeyPrefix, KindName, Text as AsText},
};

/// Which letters: those that fit all that is given.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Wanted {
    /// Only those that failed for this cause; `list` has it before each
    #[arg(long, value_name = "FINGERPRINT")]
    cause: Option<Fingerprint>,
    /// Only those that stand so
    #[arg(long, value_name = "parked|dead", value_parser = state)]
    state: Option<State>,
    /// Only events of this type, such as dev.duet.reaction.set
    #[arg(long, value_name = "TYPE")]
    kind: Option<KindName>,
    /// Only reactions to this post
    #[arg(long, value_name = "POST", conflicts_with = "key", value_parser = post)]
    post: Option<KeyPrefix>,
    /// Only those whose key begins so; a reaction's key is POST/USER
    #[arg(long, value_name = "PREFIX")]
    key: Option<KeyPrefix>,
    /// Only those that failed last longer ago than this, as 10m
    #[arg(long, value_name = "DURATION")]
    older_than: Option<Text>,
    /// Only these; may be given several times
    #[arg(long, value_name = "ID")]
    id: Vec<EventId>,
}

fn state(text: &str) -> Result<State, String> {
    match text {
        "parked" => Ok(State::Parked),
        "dead" => Ok(State::Dead),
        _ => Err("it is parked or dead".to_owned()),
    }
}

fn post(text: &str) -> Result<KeyPrefix, String> {
    format!("{text}/")
        .parse()
        .map_err(|error: duet_web::dead_letters::filter::NotWithin| error.to_string())
}

impl Wanted {
    /// Whether nothing is said of which: all of them.
    pub(super) fn is_all(&self) -> bool {
        self.filter(Timestamp::default()) == Filter::default()
    }

    /// As receivers take it.
    pub(super) fn filter(&self, now: Timestamp) -> Filter {
        let key = self.post.as_ref().or(self.key.as_ref());
        let before = self.older_than.map(|age| {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_micros(now.micros().saturating_sub(age.saturating_mul(1_000)))
        });
        Filter {
            ids: self.id.iter().copied().map(AsText).collect(),
            cause: self.cause.map(AsText),
            state: self.state,
            kind: self.kind.clone().map(AsText),
            key_prefix: key.cloned().map(AsText),
            before,
        }
    }
}

/// The wall clock of this machine.
pub(super) fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}
