//! Looks after all Channels of the namespace: at once when a spec, a pod or the connection to the broker changes, and again and again.

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
use tokio_util::sync::CancellationToken;

use crate::cluster::watch;
use crate::events::Teller;
use crate::metrics::Meters;
use crate::observe::Eyes;
use crate::reconcile::{Context, again, reconcile};
use crate::stored::Stored;

/// Channels that are looked at at once.
const AT_ONCE: u16 = 8;
/// Slices of Services alone.
const OF_SERVICES: &str = "kubernetes.io/service-name";

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
            Ok(_) => readiness.ready("channels"),
            Err(error) => readiness.not_ready("channels", error.to_string()),
        })
        .applied_objects()
        // Not on status, which is the operator's own.
        .predicate_filter(predicates::generation, Default::default());
    let slices: Api<EndpointSlice> = Api::namespaced(parts.watching.clone(), &parts.namespace);
    let pods = watch(slices, watcher::Config::default().labels(OF_SERVICES))
        .reflect(slice_writer)
        .touched_objects()
        .map(|changed| changed.map(drop));
    let broker = parts.nats.iter().map(|nats| nats.changes().map(Ok).boxed());
    let all: Vec<_> = broker.chain([pods.boxed()]).collect();
    let queue: Queue = stream::select(
        trigger_self(own, ()).boxed(),
        trigger_all(stream::select_all(all), channel_store.clone()),
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

/// Every Channel that is there is looked at.
fn trigger_all(
    changes: impl Stream<Item = Result<(), watcher::Error>> + Send + 'static,
    channels: Store<Stored>,
) -> Queue {
    changes
        .flat_map(move |change| {
            let requests: Vec<_> = match change {
                Ok(()) => channels
                    .state()
                    .iter()
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
