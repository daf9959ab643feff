//! What is told as a Kubernetes Event: what happened, once, when it happened.

use duet_crd::kubernetes::Status;
use duet_web::words::counted;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::apply::{MANAGER, Outcome};
use crate::cluster::said;
use crate::conditions::{
    ACCEPTED, BROKER_DENIES, BROKER_READY, DEGRADED, LOGIN_REFUSED, NO_ANSWER, READY, find,
};
use crate::cut::cut;
use crate::plan::Finalizer;
use crate::stored::Subject;
use crate::switch::Report;

/// How long events are kept waiting before it is told: a pod that starts is no news.
const LASTS: SignedDuration = SignedDuration::from_secs(10);
/// What the reasons end with that are told at once: a store was restored or lost, and only a person can heal it.
const REGRESSED: &str = "Regressed";
/// The reason while a resync heals it.
const RESYNCING: &str = "Resyncing";

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    is_warning: bool,
    /// What happened, in a word.
    reason: String,
    /// What the operator was doing, in a word.
    action: &'static str,
    /// In a sentence.
    note: String,
}

impl News {
    fn normal(reason: &str, action: &'static str, note: impl Into<String>) -> News {
        News {
            is_warning: false,
            reason: reason.to_owned(),
            action,
            note: note.into(),
        }
    }

    fn warning(reason: &str, action: &'static str, note: impl Into<String>) -> News {
        News {
            is_warning: true,
            ..News::normal(reason, action, note)
        }
    }

    /// The first Channel was made.
    pub(crate) fn created() -> News {
        News::normal(
            "Created",
            "Create",
            "the first Channel, from the release's values",
        )
    }

    /// The first Channel is as the release's values have it.
    pub(crate) fn enforced() -> News {
        News::normal(
            "Enforced",
            "Enforce",
            "the spec is set to the release's values",
        )
    }

    /// All pods follow another mode.
    pub(crate) fn switched(report: &Report) -> News {
        News::normal("Switched", "Switch", report.to_string())
    }

    /// What had been lost on its way was sent again, and is received.
    pub(crate) fn repaired(events: u64, why: &str) -> News {
        let events = counted(events, "event");
        let note = format!("{events} that had been lost are received; {why}");
        News::normal("LossRepaired", "Observe", note)
    }

    /// Pods do not follow another mode.
    pub(crate) fn late(status: &Status) -> News {
        let why = find(&status.conditions, READY).map_or("", |ready| ready.message.as_str());
        News::warning(
            "SwitchLate",
            "Switch",
            format!("not all pods follow yet: {why}"),
        )
    }
}

/// When a Channel was looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looks {
    /// The time before, by this operator.
    pub(crate) last: Option<Timestamp>,
    pub(crate) now: Timestamp,
}

/// What changed from one status to the next, at these looks. Until the next is written, it is as new at each look.
pub(crate) fn changes(before: &Status, after: &Status, looks: Looks) -> Vec<News> {
    let changed = |r#type| {
        let [before, after] = [before, after].map(|status| find(&status.conditions, r#type));
        let is_news = after.map(|after| (&after.status, &after.reason))
            != before.map(|before| (&before.status, &before.reason));
        is_news.then_some((before, after))
    };
    let mut news = Vec::new();
    if let Some((_, Some(accepted))) = changed(ACCEPTED)
        && accepted.status == "False"
    {
        news.push(News::warning(&accepted.reason, "Accept", &accepted.message));
    }
    if let Some((before, after)) = changed(BROKER_READY) {
        news.extend(broker(before, after));
    }
    if let Some((before, Some(after))) = changed(DEGRADED) {
        news.extend(resync(before, after));
    }
    if let Some(degraded) = find(&after.conditions, DEGRADED)
        && degraded.status == "True"
        && degraded.reason != RESYNCING
    {
        let is_regression = degraded.reason.ends_with(REGRESSED);
        if (is_regression && changed(DEGRADED).is_some())
            || (!is_regression && has_lasted(degraded, looks))
        {
            let note = &degraded.message;
            news.push(News::warning(&degraded.reason, "Observe", note));
        }
    }
    news
}

/// What was done for a Channel that had this status before. It is done once: told now or never.
pub(crate) fn deeds(subject: &Subject, before: &Status, outcome: &Outcome) -> Vec<News> {
    let was_well =
        find(&before.conditions, BROKER_READY).is_some_and(|ready| ready.status == "True");
    let is_drift = was_well && before.observed_generation == Some(subject.generation);
    let steps_are = match (subject.is_deleted, is_drift) {
        (true, _) => "StreamRemoved",
        (false, true) => "DriftCorrected",
        (false, false) => "Provisioned",
    };
    let mut news = Vec::new();
    if let Ok(steps) = &outcome.broker
        && !steps.0.is_empty()
    {
        news.push(News::normal(steps_are, "Provision", steps.0.join("; ")));
    }
    if let Some(Finalizer::GiveUp(why)) = &outcome.finalizer {
        news.push(News::warning("StreamKept", "Remove", why));
    }
    news
}

/// What is told of a resync: it began, and it is done. Where pods are silent in between, its end is not known.
fn resync(before: Option<&Condition>, after: &Condition) -> Option<News> {
    let was_under_way = before.is_some_and(|before| before.reason == RESYNCING);
    match (was_under_way, after.reason.as_str()) {
        (false, RESYNCING) => Some(News::normal(RESYNCING, "Observe", &after.message)),
        (true, _) if after.status == "False" => {
            let done = "every receiver holds what the sender's store holds";
            Some(News::normal("Resynced", "Observe", done))
        }
        _ => None,
    }
}

/// Whether a condition has held long enough since the last look.
fn has_lasted(condition: &Condition, looks: Looks) -> bool {
    let lasts = |at: Timestamp| at.duration_since(condition.last_transition_time.0) >= LASTS;
    lasts(looks.now) && looks.last.is_some_and(|last| !lasts(last))
}

fn broker(before: Option<&Condition>, after: Option<&Condition>) -> Option<News> {
    let gone = |ready: Option<&Condition>| {
        ready.is_some_and(|ready| ready.status == "False" && ready.reason == NO_ANSWER)
    };
    let after_ = after?;
    match (gone(before), gone(after)) {
        (false, true) => Some(News::warning("BrokerLost", "Observe", &after_.message)),
        (true, false)
            if ![NO_ANSWER, LOGIN_REFUSED, BROKER_DENIES].contains(&after_.reason.as_str()) =>
        {
            let back = "the broker answers again";
            Some(News::normal("BrokerBack", "Observe", back))
        }
        _ if after_.status == "False" && after_.reason != NO_ANSWER => {
            Some(News::warning(&after_.reason, "Provision", &after_.message))
        }
        _ => None,
    }
}

/// Tells what happened. What can't be told is in the log.
#[derive(Clone)]
pub(crate) struct Teller {
    client: Client,
    reporter: Reporter,
}

impl Teller {
    /// Tells in the name of a pod.
    pub(crate) fn new(client: Client, pod: &str) -> Teller {
        let reporter = Reporter {
            controller: MANAGER.to_owned(),
            instance: Some(pod.to_owned()),
        };
        Teller { client, reporter }
    }

    /// Tells all that happened to an object.
    pub(crate) async fn tell(&self, object: &ObjectReference, news: Vec<News>) {
        for News {
            is_warning,
            reason,
            action,
            note,
        } in news
        {
            if is_warning {
                tracing::warn!(object = object.name, reason, "{note}");
            } else {
                tracing::info!(object = object.name, reason, "{note}");
            }
            let event = Event {
                type_: if is_warning {
                    EventType::Warning
                } else {
                    EventType::Normal
                },
                reason,
                note: Some(cut(note)),
                action: action.to_owned(),
                secondary: None,
            };
            // Each has a recorder of its own: one for all would count a second event of a kind, and drop its note.
            let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
            if let Err(error) = recorder.publish(&event, object).await {
                tracing::warn!(error = said(&error), "an event can't be told");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use duet_channel::transport::{ProvisionError, Steps};

    use super::*;
    use crate::broker::Broker;
    use crate::fixtures::{at, condition, done, observed, subject, told};
    use crate::observe::Observed;
    use crate::status::status;

    type Change<'a> = &'a dyn Fn(&mut Observed, &mut Outcome);

    /// What is told while a Channel goes through all of these.
    fn told_of(course: &[(&str, Change<'_>)]) -> Vec<String> {
        let mut before = Status::default();
        let mut last = None;
        let mut all = Vec::new();
        for (second, (case, change)) in course.iter().enumerate() {
            let (mut observed, mut outcome) = (observed(at(20 * second as i64)), done());
            change(&mut observed, &mut outcome);
            let after = status(&subject(), &observed, &outcome, &before);
            let looks = Looks {
                last,
                now: observed.at,
            };
            let deeds = deeds(&subject(), &before, &outcome);
            for news in changes(&before, &after, looks).into_iter().chain(deeds) {
                all.push(format!("{case}: {} {}", news.reason, news.note));
            }
            (before, last) = (after, Some(observed.at));
        }
        all
    }

    #[test]
    fn what_happened_is_told_once() {
        let well = |_: &mut Observed, _: &mut Outcome| {};
        let steps = |_: &mut Observed, o: &mut Outcome| {
            o.broker = Ok(Steps(vec!["a".to_owned(), "b".to_owned()]))
        };
        let silent = |o: &mut Observed, _: &mut Outcome| o.broker = Broker::Silent("no".to_owned());
        let login =
            |o: &mut Observed, _: &mut Outcome| o.broker = Broker::Refused("a login".to_owned());
        let refused = |_: &mut Observed, o: &mut Outcome| {
            o.broker = Err(ProvisionError::Conflict("another's".into()))
        };
        fn degraded(reason: &'static str) -> impl Fn(&mut Observed, &mut Outcome) {
            move |o, _| {
                let pods = o.participants.as_mut().unwrap();
                told(&mut pods[0]).conditions = vec![condition(DEGRADED, "True", reason, "why")];
            }
        }
        let (regressed, waits) = (degraded("SenderRegressed"), degraded("NotStored"));
        let (lost, resyncing) = (degraded("ReceiverRegressed"), degraded("Resyncing"));
        assert_eq!(
            told_of(&[
                ("first", &steps),
                ("well", &well),
                ("drift", &steps),
                ("well", &well),
                ("silent", &silent),
                ("gone", &silent),
                ("still gone", &silent),
                ("back", &well),
                ("away", &silent),
                ("gone again", &silent),
                ("a login is refused", &login),
                ("it still is", &login),
                ("well", &well),
                ("a blip", &silent),
                ("well", &well),
                ("refused", &refused),
                ("still refused", &refused),
                ("well", &well),
                ("regressed", &regressed),
                ("still regressed", &regressed),
                ("healing", &resyncing),
                ("still healing", &resyncing),
                ("healed", &well),
                ("lost", &lost),
                ("healing it", &resyncing),
                ("regressed again", &regressed),
                ("well", &well),
                ("begins to wait", &waits),
                ("waits", &waits),
                ("still waits", &waits),
                ("well", &well),
            ]),
            [
                "first: Provisioned a; b",
                "drift: DriftCorrected a; b",
                "gone: BrokerLost the broker does not answer: no",
                "back: BrokerBack the broker answers again",
                "gone again: BrokerLost the broker does not answer: no",
                "a login is refused: LoginRefused a login",
                "refused: StreamRefused another's",
                "regressed: SenderRegressed reaction-0: why",
                "healing: Resyncing reaction-0: why",
                "healed: Resynced every receiver holds what the sender's store holds",
                "lost: ReceiverRegressed reaction-0: why",
                "healing it: Resyncing reaction-0: why",
                "regressed again: SenderRegressed reaction-0: why",
                "waits: NotStored reaction-0: why",
            ]
        );
    }

    #[test]
    fn what_was_done_is_called_by_why_it_was_done() {
        let done_to = |is_deleted, before: &Status, outcome: &Outcome| {
            let subject = Subject {
                is_deleted,
                ..subject()
            };
            let deeds = deeds(&subject, before, outcome);
            deeds
                .into_iter()
                .map(|deed| deed.reason)
                .collect::<Vec<_>>()
        };
        let well = status(&subject(), &observed(at(0)), &done(), &Status::default());
        let mut steps = done();
        steps.broker = Ok(Steps(vec!["a".to_owned()]));
        let mut gives_up = done();
        gives_up.finalizer = Some(Finalizer::GiveUp("why".to_owned()));
        let new = Status::default();
        assert_eq!(done_to(false, &new, &steps), ["Provisioned"]);
        assert_eq!(done_to(false, &well, &steps), ["DriftCorrected"]);
        assert_eq!(done_to(true, &well, &steps), ["StreamRemoved"]);
        assert_eq!(done_to(true, &well, &gives_up), ["StreamKept"]);
        assert_eq!(done_to(false, &well, &done()), [""; 0]);
    }
}
