//! The Channel to apply: the user's own, with what is recommended and the numbers that follow from the figures.

use super::{
    Choice,
    cited::{Cited, Nearly, Sentence, say},
    criteria::receiver_took,
    decide::healthy_call,
};
use crate::compare::{
    claims::View,
    measured::{Measured, PairPlace},
    printed::PerSecond,
};
use duet_crd::{Channel, Mode, duration::Duration as Written};
use serde::Serialize;
use serde_yaml_ng::{Mapping, Value};
use std::time::Duration;

/// A share to begin with.
const CANARY_PERCENT: u64 = 10;
/// A deadline is so many times what nearly all healthy calls take: what is over that is not slow but gone …
const DEADLINE_TIMES: u32 = 10;
/// … and never less than this: a pause of a process, an update of a pod.
const DEADLINE_LEAST: Duration = Duration::from_millis(500);
/// `ackWait` is so many times what the receiver takes for nearly all.
const ACK_WAIT_TIMES: u32 = 10;

/// A document with what was changed in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    /// YAML, valid: [`Channel::from_yaml`] takes it.
    pub(crate) yaml: String,
    /// What is not as it was, and why.
    pub(crate) changes: Vec<Change>,
    /// The command that puts it into force, or what to do.
    pub(crate) apply: String,
}

/// A value that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    /// `spec.sync.deadline`.
    pub(crate) field: String,
    /// As it is written now; none if the field is gone.
    pub(crate) value: Option<String>,
    /// None where the recommendation itself says why.
    pub(crate) because: Option<Sentence>,
}

impl Document {
    /// The document for a choice.
    pub(super) fn of(measured: &Measured, choice: Choice) -> Result<Self, String> {
        let before = Channel::from_yaml(&measured.channel)
            .map_err(|problems| format!("the Channel of the run is not valid:\n{problems}"))?;
        let mut edit = Edit {
            document: serde_yaml_ng::from_str(&measured.channel)
                .map_err(|error| error.to_string())?,
            changes: Vec::new(),
        };
        edit.leave_out(&["spec", "faults"]);
        for field in ["generation", "uid"] {
            edit.drop_quietly(&["metadata", field]);
        }
        edit.drop_quietly(&["status"]);
        match choice {
            Choice::TooLittleData | Choice::Either => {}
            Choice::Sync => {
                edit.mode(&before, Mode::Sync, None);
                deadline(&mut edit, measured, &before);
            }
            Choice::Canary => {
                edit.mode(&before, Mode::Sync, Some(CANARY_PERCENT));
                deadline(&mut edit, measured, &before);
                window(&mut edit, measured, &before);
            }
            Choice::Async | Choice::AsyncWithWait => {
                edit.mode(&before, Mode::Async, None);
                window(&mut edit, measured, &before);
            }
        }
        let Edit { document, changes } = edit;
        let body = serde_yaml_ng::to_string(&document).map_err(|error| error.to_string())?;
        Channel::from_yaml(&body)
            .map_err(|problems| format!("the recommended Channel is not valid:\n{problems}"))?;
        let mut yaml = String::new();
        for Change {
            field,
            value,
            because,
        } in &changes
        {
            let value = value.as_deref().unwrap_or("left out");
            yaml += &format!("# {field}: {value}");
            if let Some(because) = because {
                yaml += &format!(". {because}").replace('\u{a0}', " ");
            }
            yaml.push('\n');
        }
        yaml += &body;
        Ok(Self {
            yaml,
            changes,
            apply: apply(measured),
        })
    }
}

/// What puts it into force where the pair is.
fn apply(measured: &Measured) -> String {
    match &measured.terms.place {
        PairPlace::Laptop { .. } => "cp DIR/channel.yaml .duet/channel.yaml".to_owned(),
        PairPlace::Cluster {
            context, namespace, ..
        } => {
            format!("kubectl --context {context} --namespace {namespace} apply -f DIR/channel.yaml")
        }
    }
}

/// A deadline that a healthy call stays far within, and that a hung receiver can't stretch.
fn deadline(edit: &mut Edit, measured: &Measured, before: &Channel) {
    let Some(Nearly { time, tail, cited }) = healthy_call(measured) else {
        return;
    };
    let wanted = round(time.saturating_mul(DEADLINE_TIMES).max(DEADLINE_LEAST));
    let wanted = wanted.clamp(Duration::from_millis(10), Duration::from_secs(300));
    if Duration::from(before.spec.sync.deadline) == wanted {
        return;
    }
    let because = say(format!("Ten times the {tail} of a healthy call, "))
        .figure(cited)
        .say(", and not under 500 ms");
    edit.set(
        &["spec", "sync", "deadline"],
        written(wanted),
        Some(because),
    );
}

/// What the receiver may have under way: raised where the measured rate asks for more, never lowered.
fn window(edit: &mut Edit, measured: &Measured, before: &Channel) {
    let consumer = before
        .spec
        .r#async
        .as_ref()
        .and_then(|it| it.nats_jet_stream.as_ref())
        .map(|it| &it.consumer);
    let path = |field| ["spec", "async", "natsJetStream", "consumer", field];

    let Ok(Nearly { time, tail, cited }) = receiver_took(measured) else {
        return;
    };
    let surge = View::new(measured, Mode::Async).of(|it| &it.surge);
    let busiest = surge.ok().and_then(|surge| {
        let rates = surge.steps.iter().map(|step| step.traffic.per_second);
        rates.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b))
    });
    if let Some((nth, rate)) = busiest {
        // What is under way is the rate times the time (Little's law); twice that, so that the receiver never idles.
        let under_way = (rate * time.as_secs_f64() * 2.0).ceil() as u64;
        let wanted = under_way.next_power_of_two().min(65_536);
        let now = consumer.map_or(4_096, |it| u64::from(it.max_ack_pending));
        if wanted > now {
            let at = format!("measured/scenarios/surge/async/steps/{nth}/traffic/perSecond");
            let because = say("Twice the rate of ")
                .figure(Cited::rate(at, PerSecond(rate)))
                .say(" times the receiver's own ")
                .figure(cited.clone())
                .say(format!(" ({tail})"));
            edit.set(&path("maxAckPending"), wanted.into(), Some(because));
        }
    }
    let wanted = round(time.saturating_mul(ACK_WAIT_TIMES)).min(Duration::from_secs(3_600));
    let now = consumer.map_or(Duration::from_secs(30), |it| it.ack_wait.into());
    if wanted > now {
        let because = say("Ten times the receiver's own ")
            .figure(cited)
            .say(format!(
                " ({tail}), so that nothing is delivered again while it is worked on"
            ));
        edit.set(&path("ackWait"), written(wanted), Some(because));
    }
}

/// Up to two digits, upwards: 250ms, 1.4 s.
fn round(time: Duration) -> Duration {
    let millis = time.as_secs_f64() * 1e3;
    let step = 10f64.powf((millis.max(1.0).log10()).floor() - 1.0).max(1.0);
    Duration::from_millis(((millis / step).ceil() * step) as u64)
}

fn written(time: Duration) -> Value {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Written::from_millis(millis).to_string().into()
}

/// A document being changed, and what was.
#[derive(Debug)]
struct Edit {
    document: Value,
    changes: Vec<Change>,
}

impl Edit {
    /// The mode, the canary beside it, and the broker where one is needed and none is named.
    fn mode(&mut self, before: &Channel, mode: Mode, canary: Option<u64>) {
        let spec = &before.spec;
        let name = crate::channel_file::name;
        if spec.mode != mode {
            self.set(&["spec", "mode"], name(mode).into(), None);
        }
        match canary {
            Some(percent) => {
                let canary = Mapping::from_iter([
                    ("mode".into(), name(Mode::Async).into()),
                    ("percent".into(), percent.into()),
                ]);
                self.set(&["spec", "canary"], canary.into(), None);
            }
            None => self.leave_out(&["spec", "canary"]),
        }
        if spec.r#async.is_none() && (mode == Mode::Async || canary.is_some()) {
            let channel = before.metadata.name.to_string();
            let stream = Mapping::from_iter([
                (
                    "name".into(),
                    channel.to_uppercase().replace(['-', '.'], "_").into(),
                ),
                ("subject".into(), format!("duet.{channel}").into()),
                ("maxBytes".into(), "1Gi".into()),
            ]);
            let jetstream = Mapping::from_iter([("stream".into(), stream.into())]);
            let background = Mapping::from_iter([
                ("transport".into(), "NATSJetStream".into()),
                ("natsJetStream".into(), jetstream.into()),
            ]);
            self.set(&["spec", "async"], background.into(), None);
        }
    }

    fn set(&mut self, path: &[&str], value: Value, because: Option<Sentence>) {
        let Some((last, parents)) = path.split_last() else {
            return;
        };
        let mut at = &mut self.document;
        for parent in parents {
            let Value::Mapping(fields) = at else { return };
            at = fields
                .entry((*parent).into())
                .or_insert_with(|| Mapping::new().into());
        }
        if let Value::Mapping(fields) = at {
            self.changes.push(Change {
                field: path.join("."),
                value: Some(in_line(&value)),
                because,
            });
            fields.insert((*last).into(), value);
        }
    }

    fn leave_out(&mut self, path: &[&str]) {
        if self.drop_quietly(path) {
            self.changes.push(Change {
                field: path.join("."),
                value: None,
                because: None,
            });
        }
    }

    /// Whether it was there.
    fn drop_quietly(&mut self, path: &[&str]) -> bool {
        let Some((last, parents)) = path.split_last() else {
            return false;
        };
        let at = parents
            .iter()
            .try_fold(&mut self.document, |at, parent| at.get_mut(*parent));
        match at {
            Some(Value::Mapping(fields)) => fields.remove(*last).is_some(),
            _ => false,
        }
    }
}

/// A value in one line.
fn in_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Mapping(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(key, value)| format!("{}: {}", in_line(key), in_line(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => serde_yaml_ng::to_string(other)
            .map(|it| it.trim_end().to_owned())
            .unwrap_or_default(),
    }
}
