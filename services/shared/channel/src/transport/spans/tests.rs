//! The traces as a collector gets them from two processes, whatever carried the events between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use duet_protocol::event::{Event, TraceContext};
use duet_protocol::receive::{Failure, Outcome};
use duet_protocol::settings::TracesAsync;
use duet_telemetry::instruments::Destination;
use duet_telemetry::names::span;
use duet_telemetry::sampler::{Roots, Sampling};
use duet_telemetry::{Config, Otlp, Protocol, Signal, Span, Telemetry, Tracer, propagation};
use duet_testkit::{OtlpReceiver, Span as Exported, Status, drawn};
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanContext;

use super::*;
use crate::transport::conformance::Events;
use crate::transport::http::EVENTS;
use crate::transport::{Batch, Outgoing, Urgency, cloudevents};

const ROUTE: &str = "/v1/posts/{post}/reactions/{user}";
const SUBJECT: &str = "duet.reactions";

/// Both processes, as far as their traces go, and their collector.
struct Two {
    collector: OtlpReceiver,
    reaction: Telemetry,
    notification: Telemetry,
}

impl Two {
    /// What begins in them is recorded, or not.
    async fn start(roots: Roots) -> Self {
        let collector = OtlpReceiver::start().await;
        let [reaction, notification] = ["reaction", "notification"].map(|service| {
            let mut config = Config::new(service, "0.0.0");
            let endpoint = collector.endpoint();
            config.traces = Some(Otlp::to(&endpoint, Protocol::Grpc, Signal::Traces));
            config.sampling = Sampling {
                roots,
                ..Sampling::default()
            };
            Telemetry::start(config).unwrap()
        });
        Two {
            collector,
            reaction,
            notification,
        }
    }

    /// As many requests as there are events, and the batch that these make.
    fn accepted(&self, count: usize, late: bool) -> Batch {
        let mut events = Events::of(1);
        let outgoing = |_| {
            let request = self
                .reaction
                .tracer()
                .root(span::server("PUT", ROUTE))
                .start();
            let trace = TraceContext {
                traceparent: propagation::Traceparent::of(request.span_context())
                    .as_str()
                    .into(),
                tracestate: "".into(),
            };
            Outgoing {
                event: Arc::new(Event {
                    trace,
                    ..events.one()
                }),
                late,
            }
        };
        Batch {
            events: (0..count).map(outgoing).collect(),
            urgency: Urgency::Inline,
        }
    }

    /// Delivers a batch by a request, as sender and intake do.
    fn by_request(&self, batch: &Batch, outcomes: &[Outcome]) {
        let names = Names {
            one: span::client("POST", EVENTS),
            part: span::DELIVER_REACTION,
            whole: span::client("POST", EVENTS),
        };
        let sending = Sending::begin(&self.reaction.tracer(), names, batch);
        let body = cloudevents::batch_to_json(batch, |index| sending.carried(index));
        let mut headers = BTreeMap::new();
        sending
            .whole()
            .each(|name, value| drop(headers.insert(name, value.to_owned())));

        let tracer = self.notification.tracer();
        let caller = propagation::extract(|name| headers.get(name).map(String::as_str));
        let request = tracer
            .entry(span::server("POST", EVENTS), caller.as_ref())
            .start();
        let events = cloudevents::batch(&body).unwrap();
        let mut receiving =
            Receiving::request(&tracer, request.context(), &events, SystemTime::now());
        receiving.applied(&tracer, &events, outcomes, just_now(), describe);
    }

    /// Sends a batch as a message, and consumes it.
    fn by_message(&self, batch: &Batch, traces: TracesAsync, outcomes: &[Outcome]) {
        let names = Names {
            one: span::send(SUBJECT),
            part: span::create(SUBJECT),
            whole: span::send_batch(SUBJECT),
        };
        let sending = Sending::begin(&self.reaction.tracer(), names, batch);
        let body = cloudevents::batch_to_json(batch, |index| sending.carried(index));
        drop(sending);

        let tracer = self.notification.tracer();
        let events = cloudevents::batch(&body).unwrap();
        let asked = SystemTime::now();
        let mut receiving = Receiving::messages(
            &tracer,
            &Destination {
                system: "nats",
                name: SUBJECT.into(),
            },
            traces,
            &events,
            (asked, SystemTime::now()),
        );
        receiving.applied(&tracer, &events, outcomes, just_now(), describe);
        drop(receiving.settle(&tracer));
    }

    async fn end(self) -> Vec<Exported> {
        for telemetry in [self.reaction, self.notification] {
            telemetry.shutdown(Duration::from_secs(10)).await.unwrap();
        }
        self.collector.spans()
    }
}

fn just_now() -> (SystemTime, SystemTime) {
    let now = SystemTime::now();
    (
        now - Duration::from_millis(2),
        now - Duration::from_millis(1),
    )
}

fn describe(event: &Event) -> Vec<KeyValue> {
    vec![KeyValue::new(
        "test.key",
        event.data().unwrap().key.as_str().to_owned(),
    )]
}

fn applied(count: usize) -> Vec<Outcome> {
    vec![Outcome::Applied(None); count]
}

/// The traces' trees, each as often as it is there.
fn trees(spans: &[Exported]) -> BTreeMap<String, usize> {
    let mut traces: BTreeMap<&str, Vec<Exported>> = BTreeMap::new();
    for span in spans {
        traces.entry(&span.trace_id).or_default().push(span.clone());
    }
    let mut trees = BTreeMap::new();
    for spans in traces.into_values() {
        *trees.entry(drawn(&spans)).or_default() += 1;
    }
    trees
}

fn expected<const N: usize>(trees: [(&str, usize); N]) -> BTreeMap<String, usize> {
    let unindented = |tree: &str| {
        let lines = tree.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| format!("{}\n", line.strip_prefix("            ").unwrap()))
            .collect()
    };
    trees
        .into_iter()
        .map(|(tree, count)| (unindented(tree), count))
        .collect()
}

fn named<'a>(spans: &'a [Exported], service: &str, name: &str) -> Vec<&'a Exported> {
    spans
        .iter()
        .filter(|span| span.service == service && span.name == name)
        .collect()
}

/// Each of `parts` links to `whole`, and `whole` to each of them.
fn assert_linked(parts: &[&Exported], whole: &[&Exported]) {
    let [whole] = whole else { panic!("{whole:?}") };
    let links = |of: &Exported, to: &Exported| {
        of.links
            .iter()
            .any(|link| link.span_id == to.span_id && link.trace_id == to.trace_id)
    };
    for part in parts {
        assert!(
            links(part, whole),
            "{} does not link to {}",
            part.name,
            whole.name
        );
        assert!(
            links(whole, part),
            "{} does not link to {}",
            whole.name,
            part.name
        );
    }
    assert_eq!(whole.links.len(), parts.len());
}

#[tokio::test]
async fn one_event_in_a_request_has_the_requests_own_spans() {
    let two = Two::start(Roots::All).await;
    two.by_request(&two.accepted(1, false), &applied(1));
    let spans = two.end().await;
    let tree = "
            reaction: PUT /v1/posts/{post}/reactions/{user} SERVER
              reaction: POST /v1/events CLIENT
                notification: POST /v1/events SERVER
                  notification: apply reaction INTERNAL";
    assert_eq!(trees(&spans), expected([(tree, 1)]));
    let server = named(&spans, "notification", "POST /v1/events")[0];
    assert_eq!(
        (
            &server.attributes["duet.outcome"],
            &server.attributes["test.key"]
        ),
        (&"applied".into(), &"post \"1\"/1".into())
    );
    let apply = named(&spans, "notification", "apply reaction")[0];
    assert!(
        (800_000..1_200_000).contains(&(apply.end - apply.start)),
        "it has its transaction's times"
    );
}

#[tokio::test]
async fn several_events_in_a_request_keep_their_traces_shape_and_share_one() {
    let two = Two::start(Roots::All).await;
    two.by_request(&two.accepted(3, false), &applied(3));
    let spans = two.end().await;
    let own = "
            reaction: PUT /v1/posts/{post}/reactions/{user} SERVER
              reaction: deliver reaction CLIENT
                notification: receive reaction SERVER
                  notification: apply reaction INTERNAL";
    let shared = "
            reaction: POST /v1/events CLIENT
              notification: POST /v1/events SERVER";
    assert_eq!(trees(&spans), expected([(own, 3), (shared, 1)]));
    assert_linked(
        &named(&spans, "reaction", "deliver reaction"),
        &named(&spans, "reaction", "POST /v1/events"),
    );
    assert_linked(
        &named(&spans, "notification", "receive reaction"),
        &named(&spans, "notification", "POST /v1/events"),
    );
    for receive in named(&spans, "notification", "receive reaction") {
        assert_eq!(receive.attributes["duet.outcome"], "applied");
    }
}

#[tokio::test]
async fn one_event_in_a_message_has_the_messages_own_spans() {
    let two = Two::start(Roots::All).await;
    two.by_message(&two.accepted(1, false), TracesAsync::Continue, &applied(1));
    let tree = "
            reaction: PUT /v1/posts/{post}/reactions/{user} SERVER
              reaction: send duet.reactions PRODUCER
                notification: process duet.reactions CONSUMER
                  notification: apply reaction INTERNAL";
    assert_eq!(trees(&two.end().await), expected([(tree, 1)]));
}

#[tokio::test]
async fn several_events_in_a_message_keep_their_traces_shape_and_share_some() {
    let two = Two::start(Roots::All).await;
    two.by_message(&two.accepted(3, false), TracesAsync::Continue, &applied(3));
    let spans = two.end().await;
    let own = "
            reaction: PUT /v1/posts/{post}/reactions/{user} SERVER
              reaction: create duet.reactions PRODUCER
                notification: process duet.reactions CONSUMER
                  notification: apply reaction INTERNAL";
    let send = "
            reaction: send duet.reactions CLIENT";
    let receive = "
            notification: receive duet.reactions CLIENT";
    let settle = "
            notification: settle duet.reactions CLIENT";
    assert_eq!(
        trees(&spans),
        expected([(own, 3), (send, 1), (receive, 1), (settle, 1)])
    );
    assert_linked(
        &named(&spans, "reaction", "create duet.reactions"),
        &named(&spans, "reaction", "send duet.reactions"),
    );
    let process = named(&spans, "notification", "process duet.reactions");
    assert_linked(
        &process,
        &named(&spans, "notification", "receive duet.reactions"),
    );
    assert_linked(
        &process,
        &named(&spans, "notification", "settle duet.reactions"),
    );
}

#[tokio::test]
async fn a_channel_that_links_has_a_trace_of_its_own_for_the_processing() {
    let two = Two::start(Roots::All).await;
    two.by_message(&two.accepted(1, false), TracesAsync::Link, &applied(1));
    let spans = two.end().await;
    let creation = "
            reaction: PUT /v1/posts/{post}/reactions/{user} SERVER
              reaction: send duet.reactions PRODUCER";
    let processing = "
            notification: process duet.reactions CONSUMER
              notification: apply reaction INTERNAL";
    assert_eq!(trees(&spans), expected([(creation, 1), (processing, 1)]));
    let (send, process) = (
        named(&spans, "reaction", "send duet.reactions")[0],
        named(&spans, "notification", "process duet.reactions")[0],
    );
    assert_eq!(process.links[0].span_id, send.span_id);
}

#[tokio::test]
async fn what_comes_late_has_a_trace_of_its_own_linked_to_the_one_it_was_created_in() {
    let two = Two::start(Roots::Limited).await;
    let batch = two.accepted(1, true);
    two.by_message(&batch, TracesAsync::Continue, &applied(1));
    let spans = two.end().await;
    let creation = "
            reaction: PUT /v1/posts/{post}/reactions/{user} SERVER";
    let late = "
            reaction: send duet.reactions PRODUCER
              notification: process duet.reactions CONSUMER
                notification: apply reaction INTERNAL";
    assert_eq!(trees(&spans), expected([(creation, 1), (late, 1)]));
    let (put, send) = (
        &named(&spans, "reaction", "PUT /v1/posts/{post}/reactions/{user}")[0],
        named(&spans, "reaction", "send duet.reactions")[0],
    );
    assert_eq!(
        (&send.links[0].trace_id, &send.links[0].span_id),
        (&put.trace_id, &put.span_id)
    );
}

#[tokio::test]
async fn of_a_batch_only_what_is_sampled_is_recorded() {
    let two = Two::start(Roots::All).await;
    let mut batch = two.accepted(3, false);
    batch.events[1] = Two::start(Roots::None)
        .await
        .accepted(1, false)
        .events
        .remove(0);
    two.by_request(&batch, &applied(3));
    let spans = two.end().await;
    assert_eq!(named(&spans, "notification", "apply reaction").len(), 2);
    assert_linked(
        &named(&spans, "notification", "receive reaction"),
        &named(&spans, "notification", "POST /v1/events"),
    );
}

#[tokio::test]
async fn what_is_not_sampled_is_passed_on_as_it_came_and_nothing_is_recorded() {
    let two = Two::start(Roots::None).await;
    for count in [1, 3] {
        let batch = two.accepted(count, false);
        two.by_request(&batch, &applied(count));
        two.by_message(&batch, TracesAsync::Continue, &applied(count));
        let names = Names {
            one: span::send(SUBJECT),
            part: span::create(SUBJECT),
            whole: span::send_batch(SUBJECT),
        };
        let sending = Sending::begin(&two.reaction.tracer(), names, &batch);
        assert!(
            matches!(sending.carried(0), cloudevents::Carried::AsCreated(trace) if *trace == batch.events[0].event.trace)
        );
        let mut whole = String::new();
        sending.whole().each(|_, value| whole = value.to_owned());
        assert!(
            whole.ends_with("-00"),
            "whoever receives it must not begin a trace of its own: {whole:?}"
        );
    }
    assert_eq!(two.end().await, []);
}

#[tokio::test]
async fn a_failure_is_recorded_even_where_nothing_was_sampled() {
    let two = Two::start(Roots::Limited).await;
    let unsampled: Tracer = Tracer::default();
    let request: Span = unsampled.root(span::server("PUT", ROUTE)).start();
    let context: &SpanContext = request.span_context();
    let mut events = Events::of(1);
    let trace = TraceContext {
        traceparent: propagation::Traceparent::of(context).as_str().into(),
        tracestate: "".into(),
    };
    let outgoing = |event| Outgoing {
        event: Arc::new(Event {
            trace: trace.clone(),
            ..event
        }),
        late: false,
    };
    let batch = Batch {
        events: events.several(2).into_iter().map(outgoing).collect(),
        urgency: Urgency::Inline,
    };
    let failed = Outcome::Failed(Failure::new("the post is gone"));
    two.by_request(&batch, &[Outcome::Applied(None), failed]);
    let spans = two.end().await;
    let receive = named(&spans, "notification", "receive reaction");
    assert_eq!(receive.len(), 1);
    assert_eq!(
        receive[0].status,
        Status::Error("the post is gone".to_owned())
    );
    assert_eq!(receive[0].trace_id, context.trace_id().to_string());
}
