//! Looks after all Channels of the namespace: at once when a spec, a pod or the connection to the broker changes, and again and again.

use std::future::ready;
use std::sync::{Arc, Mutex};

use duet_channel::transport::jetstream::Nats;
use duet_telemetry::Tracer;
use duet_web::health::Readiness;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::controller::{Config, ReconcileReason, ReconcileRequest, trigger_self};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, applier, predicates};
use kube::{Api, Client};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::cluster::watch;
use crate::events::Teller;
use crate::metrics::Meters;
use crate::observe::{Eyes, SERVICE};
use crate::reconcile::{Context, again, reconcile};
use crate::stored::Stored;

/// What readiness calls it.
pub(crate) const PART: &str = "channels";
/// Channels that are looked at at once.
const AT_ONCE: u16 = 8;

/// What the controller is made of.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) client: Client,
    /// For watches.
    pub(crate) watching: Client,
    pub(crate) namespace: String,
    pub(crate) nats: Option<Nats>,
    pub(crate) http: reqwest::Client,
    pub(crate) teller: Teller,
    pub(crate) meters: Meters,
    pub(crate) tracer: Tracer,
    pub(crate) readiness: Readiness,
}

type Queue = BoxStream<'static, Result<ReconcileRequest<Stored>, watcher::Error>>;

/// Runs until `stop`, then ends the looks that are under way. Dropped, it ends them where they are.
pub(crate) async fn run(parts: &Parts, stop: CancellationToken) {
    let channels: Api<Stored> = Api::namespaced(parts.client.clone(), &parts.namespace);
    let watched: Api<Stored> = Api::namespaced(parts.watching.clone(), &parts.namespace);
    let (channel_store, channel_writer) = reflector::store();
    let (slice_store, slice_writer) = reflector::store();

    let readiness = parts.readiness.clone();
    let own = watch(watched, watcher::Config::default())
        .reflect(channel_writer)
        .inspect(move |event| match event {
            // Said before anything is asked.
            Ok(Event::Init) => {}
            Ok(_) => readiness.ready(PART),
            Err(error) => readiness.not_ready(PART, error.to_string()),
        })
        .applied_objects()
        // Not on status, which is the operator's own.
        .predicate_filter(predicates::generation, Default::default());
    let slices: Api<EndpointSlice> = Api::namespaced(parts.watching.clone(), &parts.namespace);
    let pods = watch(slices, watcher::Config::default().labels(SERVICE))
        .reflect(slice_writer)
        .filter_map(|event| ready(event.map(Whose::of).transpose()));
    let broker = parts
        .nats
        .iter()
        .map(|nats| nats.changes().map(|()| Ok(Whose::All)).boxed());
    let all: Vec<_> = broker.chain([pods.boxed()]).collect();
    let queue: Queue = stream::select(
        trigger_self(own, ()).boxed(),
        trigger(stream::select_all(all), channel_store.clone()),
    )
    .take_until(stop.cancelled_owned())
    .boxed();

    let context = Arc::new(Context {
        channels,
        eyes: Eyes {
            channels: channel_store.clone(),
            slices: slice_store,
            nats: parts.nats.clone(),
            http: parts.http.clone(),
        },
        teller: parts.teller.clone(),
        meters: parts.meters.clone(),
        tracer: parts.tracer.clone(),
        memories: Mutex::default(),
    });
    let looks = applier(
        |stored, context| Box::pin(reconcile(stored, context)),
        again,
        context.clone(),
        channel_store,
        queue,
        Config::default().concurrency(AT_ONCE),
    );
    let mut looks = std::pin::pin!(looks);
    while let Some(look) = looks.next().await {
        // Errors of a look are told where they happen; what is left is the watches', which go on.
        if let Err(error) = look {
            tracing::debug!(%error, "no look");
        }
        context.forget();
    }
}

/// Which Channels a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    All,
    /// Those that this Service sends on, or receives from.
    Service(String),
}

impl Whose {
    /// What there is at first is told slice by slice, and known once it is whole.
    fn of(event: Event<EndpointSlice>) -> Option<Whose> {
        match event {
            Event::Init | Event::InitApply(_) => None,
            Event::InitDone => Some(Whose::All),
            Event::Apply(slice) | Event::Delete(slice) => {
                let service = slice.metadata.labels?.remove(SERVICE)?;
                Some(Whose::Service(service))
            }
        }
    }

    /// Whether it is about the Channel of this spec, good or not.
    fn is(&self, spec: &Value) -> bool {
        let Whose::Service(service) = self else {
            return true;
        };
        let to = spec["to"].as_array().into_iter().flatten();
        to.map(|receiver| &receiver["name"])
            .chain([&spec["from"]])
            .any(|name| name == service)
    }
}

/// Every Channel that a change is about is looked at.
fn trigger(
    changes: impl Stream<Item = Result<Whose, watcher::Error>> + Send + 'static,
    channels: Store<Stored>,
) -> Queue {
    changes
        .flat_map(move |change| {
            let requests: Vec<_> = match change {
                Ok(whose) => channels
                    .state()
                    .iter()
                    .filter(|stored| whose.is(&stored.spec))
                    .map(|stored| Ok(request(stored)))
                    .collect(),
                Err(error) => vec![Err(error)],
            };
            stream::iter(requests)
        })
        .boxed()
}

fn request(stored: &Stored) -> ReconcileRequest<Stored> {
    ReconcileRequest {
        obj_ref: ObjectRef::from_obj(stored),
        reason: ReconcileReason::BulkReconcile,
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
    use serde_json::json;

    use super::*;

    fn channel(name: &str, spec: Value) -> Stored {
        let metadata = json!({"name": name, "namespace": "demo"});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    #[tokio::test]
    async fn a_change_of_a_services_pods_wakes_the_channels_that_name_it() {
        let (channels, mut writer) = reflector::store();
        for (name, spec) in [
            ("a-b", json!({"from": "a", "to": [{"name": "b"}]})),
            ("b-c", json!({"from": "b", "to": [{"name": "c"}]})),
            ("no-good", json!({"from": 1, "to": "b"})),
        ] {
            writer.apply_watcher_event(&Apply(channel(name, spec)));
        }
        let slice = |service: &str| {
            let metadata = json!({"name": "s", "labels": {SERVICE: service}});
            let slice = json!({"metadata": metadata, "addressType": "IPv4", "endpoints": []});
            serde_json::from_value::<EndpointSlice>(slice).unwrap()
        };
        for (case, event, expected) in [
            ("the sender's", Apply(slice("a")), vec!["a-b"]),
            ("one of both", Apply(slice("b")), vec!["a-b", "b-c"]),
            ("a receiver's that goes", Delete(slice("c")), vec!["b-c"]),
            ("nobody's", Apply(slice("database")), vec![]),
            ("the list begins", Init, vec![]),
            ("the list goes on", InitApply(slice("a")), vec![]),
            ("the list is whole", InitDone, vec!["a-b", "b-c", "no-good"]),
        ] {
            let changes = stream::iter(Whose::of(event).map(Ok));
            let woken = trigger(changes, channels.clone());
            let mut woken: Vec<_> = woken
                .map(|request| request.unwrap().obj_ref.name)
                .collect()
                .await;
            woken.sort();
            assert_eq!(woken, expected, "{case}");
        }
    }
}
