//! What a collector gets, over OTLP/gRPC.
#![allow(clippy::unwrap_used, reason = "a test that can't go on panics")]

use std::time::{Duration, SystemTime};

use duet_telemetry::{
    Config, MAX_LINKS, Otlp, Protocol, Signal, Span, Telemetry, TelemetryError, Tracer, current,
    describe,
    names::{attribute, event, span},
    propagation::{self, Traceparent},
    sampler::{Rates, Roots, Sampling},
};
use duet_testkit::{Kind, OtlpReceiver, Span as Exported, Status, drawn};
use opentelemetry::{
    KeyValue,
    trace::{FutureExt, SpanContext},
};

const ROUTE: &str = "/v1/posts/{post}/reactions/{user}";
const SUBJECT: &str = "duet.reactions";

fn grpc(collector: &str) -> Otlp {
    Otlp::to(collector, Protocol::Grpc, Signal::Traces)
}

/// A process with a collector.
struct Process {
    collector: OtlpReceiver,
    telemetry: Telemetry,
    tracer: Tracer,
}

impl Process {
    async fn start(sampling: Sampling) -> Self {
        let collector = OtlpReceiver::start().await;
        let mut config = Config::new("reaction", "0.0.0");
        config.traces = Some(grpc(&collector.endpoint()));
        config.sampling = sampling;
        let telemetry = Telemetry::start(config).unwrap();
        let tracer = telemetry.tracer();
        Self {
            collector,
            telemetry,
            tracer,
        }
    }

    /// What the collector has when the process has ended.
    async fn end(self) -> Vec<Exported> {
        self.telemetry
            .shutdown(Duration::from_secs(10))
            .await
            .unwrap();
        self.collector.spans()
    }
}

/// Nothing is recorded but what is exceptional and what callers ask for.
fn nothing_ordinary() -> Sampling {
    Sampling {
        rates: Rates {
            per_second: 1,
            one_in: u32::MAX,
            ..Rates::default()
        },
        ..Sampling::default()
    }
}

fn all() -> Sampling {
    Sampling {
        roots: Roots::All,
        ..Sampling::default()
    }
}

fn caller(flags: &str) -> SpanContext {
    let text = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
    propagation::parse(&text, "vendor=1").unwrap()
}

/// To another process and back.
fn over_the_wire(span: &Span) -> SpanContext {
    let mut headers = std::collections::HashMap::new();
    propagation::inject(span.span_context(), |name, value| {
        headers.insert(name, value.to_owned());
    });
    propagation::extract(|name| headers.get(name).map(String::as_str)).unwrap()
}

fn named<'a>(spans: &'a [Exported], name: &str) -> &'a Exported {
    let mut found = spans.iter().filter(|span| span.name == name);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("no {name} in\n{}", drawn(spans)));
    assert!(found.next().is_none(), "several {name}");
    first
}

#[tokio::test]
async fn the_synchronous_tree_is_as_drawn() {
    let process = Process::start(all()).await;
    let tracer = &process.tracer;
    let request = tracer.root(span::server("PUT", ROUTE)).start();
    let parent = request.span_context();
    tracer.child(span::COMMIT_REACTION, parent).start().end();
    let call = tracer
        .child(span::client("POST", "/v1/events"), parent)
        .start();
    let received = tracer
        .entry(
            span::server("POST", "/v1/events"),
            Some(&over_the_wire(&call)),
        )
        .start();
    tracer
        .child(span::APPLY_REACTION, received.span_context())
        .start()
        .end();
    received.end();
    call.end();
    request.end();
    assert_eq!(
        drawn(&process.end().await),
        "reaction: PUT /v1/posts/{post}/reactions/{user} SERVER
  reaction: commit reaction INTERNAL
  reaction: POST /v1/events CLIENT
    reaction: POST /v1/events SERVER
      reaction: apply reaction INTERNAL
"
    );
}

#[tokio::test]
async fn the_asynchronous_tree_is_as_drawn_also_from_a_stored_context() {
    let process = Process::start(all()).await;
    let tracer = &process.tracer;
    let request = tracer.root(span::server("PUT", ROUTE)).start();
    tracer
        .child(span::COMMIT_REACTION, request.span_context())
        .start()
        .end();
    let stored = Traceparent::of(request.span_context()).to_string();
    request.end();

    let stored = propagation::parse(&stored, "").unwrap();
    let sent = tracer.child(span::send(SUBJECT), &stored).start();
    let processed = tracer
        .entry(span::process(SUBJECT), Some(&over_the_wire(&sent)))
        .start();
    tracer
        .child(span::APPLY_REACTION, processed.span_context())
        .start()
        .end();
    processed.end();
    sent.end();
    assert_eq!(
        drawn(&process.end().await),
        "reaction: PUT /v1/posts/{post}/reactions/{user} SERVER
  reaction: commit reaction INTERNAL
  reaction: send duet.reactions PRODUCER
    reaction: process duet.reactions CONSUMER
      reaction: apply reaction INTERNAL
"
    );
}

#[tokio::test]
async fn a_batch_is_a_trace_of_its_own_linked_both_ways_and_keeps_over_128_links() {
    let process = Process::start(nothing_ordinary()).await;
    let tracer = &process.tracer;
    let (sampled, unsampled) = (caller("01"), caller("00"));
    let mut parts: Vec<_> = (0..MAX_LINKS + 8)
        .map(|_| tracer.child(span::create(SUBJECT), &sampled).start())
        .collect();
    parts.push(tracer.child(span::create(SUBJECT), &unsampled).start());
    let message = tracer
        .shared(
            span::send_batch(SUBJECT),
            parts.iter().map(Span::span_context),
        )
        .start();
    for part in &parts {
        part.link(message.span_context());
    }
    message.end();
    drop(parts);

    let spans = process.end().await;
    let message = named(&spans, "send duet.reactions");
    assert_eq!((message.kind, &message.parent), (Kind::Client, &None));
    assert_eq!(message.links.len(), MAX_LINKS as usize);
    let parts: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "create duet.reactions")
        .collect();
    assert_eq!(parts.len(), MAX_LINKS as usize + 8);
    assert_ne!(parts[0].trace_id, message.trace_id);
    for part in parts {
        assert_eq!(part.links[0].span_id, message.span_id);
    }
}

#[tokio::test]
async fn what_is_shared_is_not_recorded_if_none_that_share_it_is() {
    let process = Process::start(all()).await;
    let unsampled = caller("00");
    let group = process
        .tracer
        .shared(span::COMMIT_GROUP, [&unsampled, &unsampled])
        .start();
    assert!(!group.is_recording());
    group.end();
    assert_eq!(process.end().await, []);
}

#[tokio::test]
async fn a_callers_no_is_passed_on_as_it_came_and_nothing_is_computed() {
    let process = Process::start(all()).await;
    let tracer = &process.tracer;
    let caller = caller("02");
    let request = tracer
        .entry(span::server("PUT", ROUTE), Some(&caller))
        .start();
    request.attributes(|| -> [KeyValue; 0] { panic!("computed") });
    request.event(event::RETRY, || -> [KeyValue; 0] { panic!("computed") });
    request.fail("503", || panic!("computed"));
    let call = tracer
        .child(span::client("POST", "/v1/events"), request.span_context())
        .start();
    assert_eq!(over_the_wire(&call), caller);
    call.end();
    request.end();
    assert_eq!(process.end().await, []);
}

#[tokio::test]
async fn a_callers_yes_is_heeded_with_its_state_and_every_span_names_the_process() {
    let process = Process::start(nothing_ordinary()).await;
    let caller = caller("03");
    let request = process
        .tracer
        .entry(span::server("PUT", ROUTE), Some(&caller))
        .start();
    request.attributes(|| [KeyValue::new(attribute::POST, "post-1")]);
    let passed_on = over_the_wire(&request);
    assert_eq!(propagation::tracestate(&passed_on), "vendor=1");
    assert_eq!(passed_on.trace_flags(), caller.trace_flags());
    request.end();

    let spans = process.end().await;
    let [span] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(span.trace_id, caller.trace_id().to_string());
    assert_eq!(span.parent, Some(caller.span_id().to_string()));
    assert_eq!(span.span_id, passed_on.span_id().to_string());
    assert_eq!(span.trace_state, "vendor=1");
    assert_eq!(span.attributes["duet.post"], "post-1");
    assert_eq!(span.resource["service.name"], "reaction");
    assert_eq!(span.resource["service.version"], "0.0.0");
    assert!(span.resource.contains_key("service.instance.id"));
}

#[tokio::test]
async fn a_failure_of_an_unsampled_request_is_recorded_with_the_ids_that_were_told() {
    let process = Process::start(nothing_ordinary()).await;
    let tracer = &process.tracer;
    tracer.root(span::COMMIT_GROUP).start().end();
    let name = span::server("PUT", ROUTE);
    let mut request = tracer.root(name.clone()).start();
    assert!(!request.is_recording());
    let told = request.span_context().clone();

    // The callee records its part, too.
    let inner = span::server("POST", "/v1/events");
    let mut callee = tracer
        .entry(inner.clone(), Some(&over_the_wire(&request)))
        .start();
    assert!(callee.record_anyway(tracer, &inner));
    callee.end();

    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(request.record_anyway(tracer, &name));
    request.fail("503", || "refused".into());
    request.end();

    let spans = process.end().await;
    assert_eq!(
        drawn(&spans[1..]),
        "reaction: PUT /v1/posts/{post}/reactions/{user} SERVER
  reaction: POST /v1/events SERVER
"
    );
    let span = named(&spans, "PUT /v1/posts/{post}/reactions/{user}");
    assert_eq!(span.trace_id, told.trace_id().to_string());
    assert_eq!(span.span_id, told.span_id().to_string());
    assert_eq!(span.status, Status::Error("refused".into()));
    assert_eq!(span.attributes["error.type"], "503");
    assert_eq!(span.attributes["duet.sampling"], "exceptional");
    assert!(span.end - span.start >= 5_000_000, "it has its own start");
}

#[tokio::test]
async fn failures_and_what_comes_late_share_five_a_second() {
    let process = Process::start(nothing_ordinary()).await;
    let tracer = &process.tracer;
    let cause = caller("01");
    let started = std::time::Instant::now();
    for _ in 0..500 {
        tracer
            .exceptional(span::send(SUBJECT), &cause)
            .start()
            .end();
        let name = span::process(SUBJECT);
        let mut failed = tracer.entry(name.clone(), Some(&caller("00"))).start();
        failed.record_anyway(tracer, &name);
    }
    let most = 5.0 * (started.elapsed().as_secs_f64() + 1.0);

    let spans = process.end().await;
    assert!(
        (5.0..=most).contains(&(spans.len() as f64)),
        "{}",
        spans.len()
    );
    let late = &spans[0];
    assert_eq!(
        (late.name.as_str(), &late.parent),
        ("send duet.reactions", &None)
    );
    assert_ne!(late.trace_id, cause.trace_id().to_string());
    assert_eq!(late.links[0].trace_id, cause.trace_id().to_string());
    assert_eq!(late.attributes["duet.sampling"], "exceptional");
}

#[tokio::test]
async fn a_handler_describes_the_current_span_and_may_outlive_it() {
    let process = Process::start(all()).await;
    for sampled in [true, false] {
        let caller = caller(if sampled { "01" } else { "00" });
        let request = process
            .tracer
            .entry(span::server("PUT", ROUTE), Some(&caller))
            .start();
        let handler = async {
            describe(|| {
                assert!(sampled, "computed");
                [KeyValue::new(attribute::USER, "ana")]
            });
            current()
        };
        let within = handler.with_context(request.context()).await;
        assert_eq!(&within, request.span_context());
        let kept = request.context();
        request.end();
        let _attached = kept.attach();
        describe(|| [KeyValue::new(attribute::USER, "late")]);
    }
    assert_eq!(current(), SpanContext::NONE);

    let spans = process.end().await;
    let [span] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(span.attributes["duet.user"], "ana");
}

#[tokio::test]
async fn a_part_of_a_batch_has_a_start_and_an_end_of_its_own() {
    let process = Process::start(all()).await;
    let epoch = SystemTime::UNIX_EPOCH;
    let at = |ms| epoch + Duration::from_millis(ms);
    process
        .tracer
        .child(span::APPLY_REACTION, &caller("01"))
        .start_at(at(1_000))
        .end_at(at(1_250));
    let spans = process.end().await;
    assert_eq!(
        (spans[0].start, spans[0].end),
        (1_000_000_000, 1_250_000_000)
    );
}

#[tokio::test]
async fn without_a_collector_ids_are_made_and_a_callers_context_is_passed_on() {
    let telemetry = Telemetry::start(Config::new("reaction", "0.0.0")).unwrap();
    let tracer = telemetry.tracer();
    let request = tracer.root(span::server("PUT", ROUTE)).start();
    assert!(request.span_context().is_valid() && !request.span_context().is_sampled());
    let next = tracer.root(span::server("PUT", ROUTE)).start();
    assert_ne!(
        request.span_context().trace_id(),
        next.span_context().trace_id()
    );

    let caller = caller("01");
    let mut request = tracer
        .entry(span::server("PUT", ROUTE), Some(&caller))
        .start();
    assert!(!request.is_recording());
    assert!(!request.record_anyway(&tracer, &span::server("PUT", ROUTE)));
    assert_eq!(over_the_wire(&request), caller);
    telemetry.shutdown(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn after_shutdown_contexts_are_still_passed_on() {
    let process = Process::start(all()).await;
    let tracer = process.tracer.clone();
    process.end().await;
    let caller = caller("01");
    let request = tracer
        .entry(span::server("PUT", ROUTE), Some(&caller))
        .start();
    assert_eq!(over_the_wire(&request), caller);
    let root = tracer.root(span::server("PUT", ROUTE)).start();
    assert!(root.span_context().is_valid() && !root.is_recording());
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nothing_up() {
    let mut config = Config::new("reaction", "0.0.0");
    config.traces = Some(grpc("http://127.0.0.1:1"));
    config.sampling = all();
    let telemetry = Telemetry::start(config).unwrap();
    let tracer = telemetry.tracer();
    for _ in 0..20_000 {
        tracer.root(span::COMMIT_GROUP).start().end();
    }
    let asked = std::time::Instant::now();
    let _ = telemetry.shutdown(Duration::from_secs(2)).await;
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_endpoint_that_is_no_url_is_refused_by_name() {
    let mut config = Config::new("reaction", "0.0.0");
    config.traces = Some(grpc("http://["));
    let error = Telemetry::start(config).unwrap_err();
    assert!(error.to_string().contains("http://["), "{error}");
}

#[test]
fn a_collector_without_a_runtime_is_refused() {
    let mut config = Config::new("reaction", "0.0.0");
    config.traces = Some(grpc("http://127.0.0.1:4317"));
    let error = Telemetry::start(config).unwrap_err();
    assert!(matches!(error, TelemetryError::NoRuntime), "{error}");
}

#[tokio::test]
async fn events_that_share_a_request_keep_the_shape_of_their_traces() {
    let process = Process::start(nothing_ordinary()).await;
    let tracer = &process.tracer;
    let caller = caller("01");
    let part = tracer.child(span::DELIVER_REACTION, &caller).start();
    let request = tracer
        .shared(span::client("POST", "/v1/events"), [part.span_context()])
        .start();
    part.link(request.span_context());

    let intake = tracer
        .entry(
            span::server("POST", "/v1/events"),
            Some(&over_the_wire(&request)),
        )
        .start();
    let received = tracer
        .entry(span::RECEIVE_REACTION, Some(&over_the_wire(&part)))
        .start();
    received.link(intake.span_context());
    intake.link(received.span_context());
    let apply = tracer
        .child(span::APPLY_REACTION, received.span_context())
        .start();
    let group = tracer
        .shared(span::COMMIT_GROUP, [apply.span_context()])
        .start();
    apply.link(group.span_context());
    for span in [group, apply, received, intake, request, part] {
        span.end();
    }

    let spans = process.end().await;
    let (callers, shared): (Vec<_>, Vec<_>) = spans
        .into_iter()
        .partition(|span| span.trace_id == caller.trace_id().to_string());
    assert_eq!(
        drawn(&callers),
        "reaction: deliver reaction CLIENT
  reaction: receive reaction SERVER
    reaction: apply reaction INTERNAL
"
    );
    assert_eq!(
        drawn(&shared),
        "reaction: POST /v1/events CLIENT
  reaction: POST /v1/events SERVER
reaction: commit group INTERNAL
"
    );
    for (part, whole) in [
        ("deliver reaction", "POST /v1/events"),
        ("apply reaction", "commit group"),
    ] {
        let part = named(&callers, part);
        let whole = shared
            .iter()
            .find(|span| span.name == whole && span.kind != Kind::Server)
            .unwrap();
        assert_eq!(part.links[0].span_id, whole.span_id);
        assert_eq!(whole.links[0].span_id, part.span_id);
    }
}
