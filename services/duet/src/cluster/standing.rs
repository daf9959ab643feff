//! How far a Channel is followed.

use crate::{
    failure::{Failure, Kind},
    internal::Condition,
};
use duet_crd::{
    CanarySpec, Mode,
    kubernetes::{Participants, Status, StatusMode},
};
use kube::{ResourceExt, api::DynamicObject};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A Channel: what it asks for, and what the operator observed of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Standing {
    pub(crate) name: String,
    pub(crate) namespace: String,
    /// The mode that it asks for.
    pub(crate) mode: Mode,
    /// The share that it asks to take another; none too where this version can't read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) canary: Option<CanarySpec>,
    /// Of the spec.
    pub(crate) generation: Option<i64>,
    pub(crate) status: Option<Status>,
}

/// Why a Channel isn't followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotYet {
    /// Something asks for another mode again.
    TakenBack(Mode),
    /// The status is about an older generation, or there is none.
    NotObserved {
        observed: Option<i64>,
        wanted: Option<i64>,
    },
    /// It was refused.
    NotAccepted(String),
    /// The pods do something else.
    Otherwise {
        mode: Option<StatusMode>,
        ready: u32,
        total: u32,
        diverging: String,
    },
}

impl NotYet {
    /// Whether waiting helps nothing.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::TakenBack(_) | Self::NotAccepted(_))
    }
}

impl Standing {
    /// As the API has it. Only what is told of it must be as this version knows it.
    pub(super) fn of(namespace: &str, channel: &DynamicObject) -> Result<Self, Failure> {
        let name = channel.name_any();
        let unreadable = |field: &str, error: serde_json::Error| {
            let path = path(&name, namespace);
            Failure::new(Kind::Invalid, format!("can't read {path}: {field}: {error}")).hint(format!(
                "`kubectl --namespace {namespace} get channel {name} --output yaml` shows it. Is it of another version than this `duet`?"
            ))
        };
        Ok(Self {
            mode: Mode::deserialize(&channel.data["spec"]["mode"])
                .map_err(|error| unreadable("spec.mode", error))?,
            canary: CanarySpec::deserialize(&channel.data["spec"]["canary"]).ok(),
            generation: channel.metadata.generation,
            status: Option::deserialize(&channel.data["status"])
                .map_err(|error| unreadable("status", error))?,
            namespace: namespace.to_owned(),
            name,
        })
    }

    /// As kubectl is told it.
    pub(crate) fn path(&self) -> String {
        path(&self.name, &self.namespace)
    }

    /// Whether every pod follows it and events flow, as the operator says; why not, if so.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let conditions = self.conditions();
        match conditions.iter().find(|it| it.r#type == "Ready") {
            Some(ready) if ready.status == "True" => Ok(()),
            Some(ready) => Err(format!("Ready={} {}", ready.status, ready.reason)),
            None => Err("the operator has not said yet".to_owned()),
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        let conditions = self.status.iter().flat_map(|it| &it.conditions);
        let plain = conditions.map(|it| Condition {
            r#type: it.type_.clone(),
            status: it.status.clone(),
            reason: it.reason.clone(),
            message: it.message.clone(),
        });
        plain.collect()
    }
}

fn path(name: &str, namespace: &str) -> String {
    format!("channel/{name} (namespace {namespace})")
}

/// Whether the status says that every pod follows the Channel as it was then.
pub(super) fn following(then: &Standing, now: &Standing) -> Result<(), NotYet> {
    if now.mode != then.mode {
        return Err(NotYet::TakenBack(now.mode));
    }
    let status = now.status.clone().unwrap_or_default();
    if status.observed_generation < then.generation {
        let (observed, wanted) = (status.observed_generation, then.generation);
        return Err(NotYet::NotObserved { observed, wanted });
    }
    let refused = status
        .conditions
        .iter()
        .find(|it| it.type_ == "Accepted" && it.status == "False");
    if let Some(refused) = refused {
        return Err(NotYet::NotAccepted(format!(
            "{}: {}",
            refused.reason, refused.message
        )));
    }
    let wanted = match then.mode {
        Mode::Sync => StatusMode::Sync,
        Mode::Async => StatusMode::Async,
    };
    let Participants {
        ready,
        total,
        diverging,
    } = status.participants.unwrap_or_default();
    if status.mode == Some(wanted) && total > 0 && ready == total {
        return Ok(());
    }
    let diverging: Vec<_> = diverging
        .iter()
        .map(|it| format!("{} ({}: {})", it.pod, it.reason, it.message))
        .collect();
    Err(NotYet::Otherwise {
        mode: status.mode,
        ready,
        total,
        diverging: diverging.join(", "),
    })
}

impl fmt::Display for NotYet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakenBack(mode) => write!(
                f,
                "the mode is {} again: something set it back, as the operator does where the chart's channel.enforce is on",
                crate::channel_file::name(*mode)
            ),
            Self::NotObserved { observed: None, .. } => {
                f.write_str("the Channel has no status yet: does the operator run?")
            }
            Self::NotObserved {
                observed: Some(observed),
                wanted,
            } => write!(
                f,
                "the Channel's status is about generation {observed}, not {}: does the operator run?",
                wanted.unwrap_or_default()
            ),
            Self::NotAccepted(why) => write!(f, "the Channel is not accepted: {why}"),
            Self::Otherwise {
                mode,
                ready,
                total,
                diverging,
            } => {
                let mode = mode.map_or_else(|| "no mode".to_owned(), |mode| format!("{mode:?}"));
                write!(
                    f,
                    "the Channel's status says {mode}, and that {ready} of {total} pods follow"
                )?;
                match diverging.as_str() {
                    "" => Ok(()),
                    diverging => write!(f, "; not these: {diverging}"),
                }
            }
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "channel/{}  asks for {}",
            self.name,
            crate::channel_file::name(self.mode)
        )?;
        if let Some(generation) = self.generation {
            write!(f, "  generation {generation}")?;
        }
        let Some(status) = &self.status else {
            return writeln!(f, "\n  the operator has said nothing about it yet");
        };
        match status.observed_generation {
            Some(observed) if Some(observed) != self.generation => {
                writeln!(f, "\n  this is about generation {observed}:")?
            }
            _ => writeln!(f)?,
        }
        let Participants {
            ready,
            total,
            diverging,
        } = status.participants.clone().unwrap_or_default();
        let mode = status.mode.unwrap_or(StatusMode::Unknown);
        write!(f, "  {mode:?}  followed by {ready} of {total} pods")?;
        let numbers = [
            ("unacknowledged", status.unacknowledged),
            ("lag", status.lag),
        ];
        for (name, value) in numbers
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
        {
            write!(f, "  {name} {value}")?;
        }
        match &status.oldest_age {
            Some(age) => writeln!(f, "  oldest {age}")?,
            None => writeln!(f)?,
        }
        if let Some(guarantee) = &status.guarantee {
            writeln!(f, "  {guarantee}")?;
        }
        for it in self.conditions() {
            writeln!(f, "  {it}")?;
        }
        for it in &diverging {
            writeln!(
                f,
                "  diverging: {} {}: {} (seen {})",
                it.pod, it.reason, it.message, it.observed_at.0
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
