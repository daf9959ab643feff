//! One look at one Channel: observe, plan, apply, tell.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use duet_crd::kubernetes::Status;
use duet_crd::{API_VERSION, KIND};
use duet_telemetry::Tracer;
use duet_telemetry::names::{attribute, span};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, Resource};
use opentelemetry::KeyValue;
use serde_json::json;

use crate::apply::{MANAGER, Outcome, apply};
use crate::cluster::said;
use crate::conditions::{BROKER_READY, find};
use crate::events::{Looks, News, Teller, changes, deeds};
use crate::memory::{Memory, Turn};
use crate::metrics::{Meters, Pods, Seen};
use crate::observe::{Eyes, Observed};
use crate::plan::plan;
use crate::status::status;
use crate::stored::{Stored, Subject};

/// What looking after Channels takes.
pub(crate) struct Context {
    pub(crate) channels: Api<Stored>,
    pub(crate) eyes: Eyes,
    pub(crate) teller: Teller,
    pub(crate) meters: Meters,
    pub(crate) tracer: Tracer,
    /// By uid. A Channel is looked at by one at a time, who has what is remembered of it.
    pub(crate) memories: Mutex<BTreeMap<String, Memory>>,
}

/// When the parts of a look ended.
struct Times {
    began: SystemTime,
    observed: SystemTime,
    applied: SystemTime,
}

/// Looks after a Channel once.
///
/// # Errors
/// If the Channel can't be written. A broker or a pod that fails is in its status.
pub(crate) async fn reconcile(
    stored: Arc<Stored>,
    context: Arc<Context>,
) -> Result<Action, kube::Error> {
    let began = Instant::now();
    let subject = stored.subject();
    let mut memory = context.memories().remove(&subject.uid).unwrap_or_default();
    let result = context.look(&stored, &subject, &mut memory).await;
    if let Err(error) = &result {
        memory.failed();
        let said = said(error);
        if is_outdated(error) {
            tracing::debug!(
                channel = subject.name,
                error = said,
                "the Channel is another by now"
            );
        } else {
            tracing::warn!(
                channel = subject.name,
                error = said,
                "the Channel can't be written"
            );
        }
    }
    context.memories().insert(subject.uid, memory);
    context
        .meters
        .reconciled(result.as_ref().err().map(|_| "api"), began.elapsed());
    result
}

/// Whether the Channel was changed or deleted meanwhile, and the next look will see it.
fn is_outdated(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 404 | 409))
}

/// When to look again after an error.
pub(crate) fn again(stored: Arc<Stored>, _: &kube::Error, context: Arc<Context>) -> Action {
    let subject = stored.subject();
    let memories = context.memories();
    Action::requeue(
        memories
            .get(&subject.uid)
            .map_or_else(|| Memory::default().backoff(), Memory::backoff),
    )
}

impl Context {
    fn memories(&self) -> MutexGuard<'_, BTreeMap<String, Memory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the Channels that are gone.
    pub(crate) fn forget(&self) {
        let there = self.eyes.channels.state();
        let is_there = |uid: &str| {
            there
                .iter()
                .any(|stored| stored.metadata.uid.as_deref() == Some(uid))
        };
        self.memories().retain(|uid, _| is_there(uid));
        self.meters.retain(|name| {
            there
                .iter()
                .any(|stored| stored.metadata.name.as_deref() == Some(name))
        });
    }

    async fn look(
        &self,
        stored: &Stored,
        subject: &Subject,
        memory: &mut Memory,
    ) -> Result<Action, kube::Error> {
        let (began, noticed) = (SystemTime::now(), Timestamp::now());
        let observed = self.eyes.observe(stored, subject).await;
        let observed_at = SystemTime::now();
        let plan = plan(subject, &observed, memory.deleted_for(subject, observed.at));
        let applied = apply(plan, stored, &self.channels, self.eyes.nats.as_ref()).await;
        if applied.is_err() {
            // What was seen before may be so no more.
            self.meters.saw(&subject.name, Seen::default());
        }
        let outcome = applied?;
        let times = Times {
            began,
            observed: observed_at,
            applied: SystemTime::now(),
        };
        let there = stored.status();
        let before = memory.status(&there);
        let after = status(subject, &observed, &outcome, &before);
        // Whether or not it can be written.
        self.meters.saw(&subject.name, seen(&after));
        let mut news = deeds(subject, &before, &outcome);
        if !subject.is_deleted {
            news.extend(self.turned(memory.follow(subject, &observed, &before, noticed), &after));
            let repaired = memory.repaired(subject, &observed);
            news.extend(repaired.map(|(events, why)| News::repaired(events, &why)));
        }
        // Without its finalizer, what was deleted is gone.
        let is_gone = subject.is_deleted && outcome.finalizer.is_some();
        let published = if !is_gone && memory.is_due(&before, &after, &there, Instant::now()) {
            let published = self.publish(subject, &after).await;
            published.map(|()| memory.written(after.clone(), Instant::now()))
        } else {
            Ok(())
        };
        if published.is_ok() && !subject.is_deleted {
            let looks = Looks {
                last: memory.looked.replace(observed.at),
                now: observed.at,
            };
            news.extend(changes(&before, &after, looks));
        }
        if outcome.is_something() || !news.is_empty() {
            self.trace(subject, &observed, &outcome, &times);
        }
        self.teller.tell(&stored.object_ref(&()), news).await;
        published?;
        Ok(Action::requeue(memory.next(
            subject,
            &after,
            Instant::now(),
        )))
    }

    fn turned(&self, turn: Option<Turn>, status: &Status) -> Option<News> {
        Some(match turn? {
            Turn::Over(report) => {
                self.meters.switched(report.to());
                News::switched(&report)
            }
            Turn::Late => News::late(status),
        })
    }

    /// Writes the status: all of it, as its only writer.
    async fn publish(&self, subject: &Subject, status: &Status) -> Result<(), kube::Error> {
        let patch = json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            // Of another Channel that has its name meanwhile, the API server refuses it.
            "metadata": {"name": subject.name, "uid": subject.uid},
            "status": status,
        });
        let by = PatchParams::apply(MANAGER).force();
        let written = self
            .channels
            .patch_status(&subject.name, &by, &Patch::Apply(patch))
            .await;
        written.map(drop)
    }

    /// A trace of a look that changed something; one for each look would bury all others.
    fn trace(&self, subject: &Subject, observed: &Observed, outcome: &Outcome, times: &Times) {
        let whole = self
            .tracer
            .root(span::RECONCILE_CHANNEL)
            .start_at(times.began);
        whole.attributes(|| {
            [
                KeyValue::new(attribute::CHANNEL, subject.name.clone()),
                KeyValue::new(attribute::GENERATION, subject.generation),
            ]
        });
        let part = |name, from, to| {
            let part = self.tracer.child(name, whole.span_context()).start_at(from);
            part.end_at(to);
        };
        part(span::OBSERVE_CHANNEL, times.began, times.observed);
        if observed.accepted().is_some() {
            let provision = self
                .tracer
                .child(span::PROVISION_CHANNEL, whole.span_context());
            let provision = provision.start_at(times.observed);
            if let Err(error) = &outcome.broker {
                provision.fail("broker", || error.to_string());
            }
            provision.end_at(times.applied);
        }
        part(span::PUBLISH_STATUS, times.applied, SystemTime::now());
    }
}

fn seen(status: &Status) -> Seen {
    let pods = status.participants.as_ref().map(|pods| Pods {
        ready: pods.ready,
        diverging: pods.total - pods.ready,
    });
    let broker = find(&status.conditions, BROKER_READY).map(|broker| broker.status.as_str());
    Seen {
        pods,
        broker_ready: match broker {
            Some("True") => Some(true),
            Some("False") => Some(false),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use duet_channel::settings::kubernetes_client;
    use duet_crd::{Channel, EXAMPLE};
    use duet_telemetry::{Config, Telemetry};
    use kube::runtime::reflector;
    use kube::runtime::watcher::Event;

    use super::*;
    use crate::cluster::ANSWER;
    use crate::fixtures::api_server;
    use crate::observe::http;

    /// The example, with or without what a broker is asked for.
    fn stored(is_async: bool) -> Stored {
        let mut spec = serde_json::to_value(Channel::from_yaml(EXAMPLE).unwrap().spec).unwrap();
        if !is_async {
            spec.as_object_mut().unwrap().remove("async");
        }
        let metadata =
            json!({"name": "reactions", "namespace": "demo", "uid": "u", "generation": 1});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    #[tokio::test]
    async fn what_was_seen_before_is_not_shown_when_a_look_fails() {
        for (case, is_async) in [("at a finalizer", true), ("at the status", false)] {
            let config = api_server(|_, _| ("503 Service Unavailable", "{}".to_owned())).await;
            let client = kubernetes_client(config, ANSWER, Duration::ZERO).unwrap();
            let telemetry = Telemetry::start(Config::new("operator", "0.0.0")).unwrap();
            let meters = Meters::new(&telemetry.metrics());
            let (channels, mut writer) = reflector::store();
            writer.apply_watcher_event(&Event::Apply(stored(is_async)));
            let (slices, mut writer) = reflector::store();
            writer.apply_watcher_event(&Event::Init);
            writer.apply_watcher_event(&Event::InitDone);
            let context = Context {
                channels: Api::namespaced(client.clone(), "demo"),
                eyes: Eyes {
                    channels,
                    slices,
                    nats: None,
                    http: http().unwrap(),
                },
                teller: Teller::new(client, "operator-0"),
                meters: meters.clone(),
                tracer: telemetry.tracer(),
                memories: Mutex::default(),
            };
            let before = Pods {
                ready: 37,
                diverging: 37,
            };
            meters.saw(
                "reactions",
                Seen {
                    pods: Some(before),
                    broker_ready: Some(true),
                },
            );
            let shows = |what: &str| telemetry.metrics().render().unwrap().contains(what);
            assert!(shows(" 37"), "{case}");
            let look = reconcile(Arc::new(stored(is_async)), Arc::new(context)).await;
            assert!(look.is_err(), "{case}");
            assert!(!shows(" 37"), "{case}");
        }
    }
}
