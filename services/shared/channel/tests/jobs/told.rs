//! What is told of it: in the traces that events were created in, in new ones, and in numbers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use duet_channel::clock::Clock;
use duet_channel::dead_letters::Filter;
use duet_channel::open::Event;
use duet_channel::transport::Urgency;
use duet_protocol::event::TraceContext;
use duet_protocol::time::Timestamp;
use duet_telemetry::names::span;
use duet_telemetry::propagation::Traceparent;
use duet_telemetry::{Config, Observer, Otlp, Protocol, Signal, Telemetry};
use duet_testkit::{OtlpReceiver, Span, Status, eventually};

use super::end::{End, PATIENCE, event};

struct Told {
    collector: OtlpReceiver,
    telemetry: Telemetry,
    dir: tempfile::TempDir,
}

impl Told {
    async fn start() -> Told {
        let collector = OtlpReceiver::start().await;
        let mut config = Config::new("texts", "0.0.0");
        let endpoint = collector.endpoint();
        config.traces = Some(Otlp::to(&endpoint, Protocol::Grpc, Signal::Traces));
        Told {
            collector,
            telemetry: Telemetry::start(config).unwrap(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn end(&self) -> End {
        End::observed(self.dir.path(), 100, Observer::from(&self.telemetry))
    }

    /// An event that was created in a trace which its caller had sampled; and that trace.
    fn traced(&self, event: Event) -> (Event, String) {
        let request = self.telemetry.tracer();
        let request = request.root(span::server("PUT", "/texts/{key}")).start();
        let trace = TraceContext {
            traceparent: Traceparent::of(request.span_context()).as_str().into(),
            tracestate: "".into(),
        };
        let id = request.span_context().trace_id().to_string();
        let time = Clock::start().wall();
        (
            Event {
                trace,
                time,
                ..event
            },
            id,
        )
    }

    /// The spans of this name, once there are as many.
    async fn spans(&self, name: &str, count: usize) -> Vec<Span> {
        let spans = || {
            let named = |span: &Span| span.name == name;
            let spans = self.collector.spans().into_iter();
            spans.filter(named).collect::<Vec<_>>()
        };
        eventually(PATIENCE, || async { spans().len() == count }).await;
        spans()
    }

    fn counted(&self, name: &str, outcome: &str) -> Option<f64> {
        let text = self.telemetry.metrics().render().unwrap();
        let series = format!("{name}{{duet_outcome=\"{outcome}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.map(|value| value.parse().unwrap())
    }
}

/// What happened within a span.
fn happened(span: &Span) -> Vec<&str> {
    span.events.iter().map(|event| &*event.name).collect()
}

#[tokio::test]
async fn attempts_are_in_the_trace_of_their_event_a_redrive_starts_a_new_one_and_each_is_counted() {
    let told = Told::start().await;
    let end = told.end();
    let (broken, trace) = told.traced(event(2, "broken", "a", "a"));
    let (given_up, _) = told.traced(event(3, "broken", "b", "b"));
    for event in [&broken, &given_up, &broken] {
        end.takes(event.clone(), Urgency::Background).await;
    }
    end.has_letters(0, 2).await;
    let letters = end.receiver.dead_letters();
    letters.discard(&Filter::of([given_up.id()])).await.unwrap();
    let tried = told.spans("apply reaction", 2).await;
    let tried = tried.iter().find(|span| span.trace_id == trace).unwrap();
    assert_eq!(happened(tried), ["duet.dead"]);
    assert!(matches!(tried.status, Status::Error(_)), "{tried:?}");

    end.texts.0.mended.store(true, Ordering::SeqCst);
    letters.redrive(Filter::dead(), None).await.unwrap();
    end.redriven().await;
    let redriven = told.spans("redrive reaction", 1).await.remove(0);
    assert_eq!(redriven.parent, None);
    assert_ne!(redriven.trace_id, trace);
    let links = redriven.links.iter().map(|link| &*link.trace_id);
    assert_eq!(links.collect::<Vec<_>>(), [&*trace]);
    assert_eq!(redriven.attributes["duet.outcome"], "applied");
    assert_eq!(redriven.attributes["duet.sampling"], "exceptional");
    // A second copy is not parked anew.
    for (done, events) in [
        ("parked", 2.0),
        ("dead", 2.0),
        ("discarded", 1.0),
        ("redriven", 1.0),
    ] {
        let counted = told.counted("duet_letters_total", done);
        assert_eq!(counted, Some(events), "{done}");
    }
    end.stops().await;
}

#[tokio::test]
async fn what_is_over_ten_minutes_old_when_it_is_tried_starts_a_new_trace() {
    let told = Told::start().await;
    let end = told.end();
    let (broken, trace) = told.traced(event(2, "broken", "a", "a"));
    let eleven_minutes = Duration::from_secs(11 * 60);
    let time = Timestamp::from_micros(broken.time.micros() - eleven_minutes.as_micros() as i64);
    end.takes(Event { time, ..broken }, Urgency::Background)
        .await;
    end.has_letters(0, 1).await;
    let tried = told.spans("apply reaction", 1).await.remove(0);
    assert_ne!(tried.trace_id, trace);
    assert_eq!(tried.links[0].trace_id, trace);
    end.stops().await;
}

#[tokio::test]
async fn a_jobs_work_is_a_span_in_which_its_own_are_with_its_duration_and_why_it_failed() {
    let told = Told::start().await;
    let end = told.end();
    let (job, trace) = told.traced(event(2, "job", "a", "a"));
    let (failing, other) = told.traced(event(3, "job", "b", "fails"));
    for event in [job, failing.clone()] {
        end.takes(event, Urgency::Background).await;
    }
    end.has_begun(2).await;
    end.texts.0.let_go.add_permits(2);
    end.holds("a", "a, done").await;
    end.has_begun(3).await;
    end.texts.0.let_go.add_permits(1);
    end.has_letters(0, 1).await;
    // Run again because a person says so, it is in a new trace.
    let letters = end.receiver.dead_letters();
    letters.redrive(Filter::dead(), None).await.unwrap();
    end.has_begun(4).await;
    end.texts.0.let_go.add_permits(1);

    let mut spans = told.spans("run job", 4).await;
    spans.sort_by_key(|span| span.start);
    let ran = spans.iter().find(|span| span.trace_id == trace).unwrap();
    assert_eq!(ran.attributes["duet.outcome"], "applied");
    assert_eq!(ran.status, Status::Unset);
    let failed: Vec<_> = spans.iter().filter(|it| it.trace_id == other).collect();
    assert_eq!(happened(failed[0]), ["duet.parked"]);
    assert_eq!(happened(failed[1]), ["duet.dead"]);
    assert!(matches!(failed[1].status, Status::Error(_)), "{failed:?}");
    assert_eq!(spans[3].links[0].trace_id, other);
    for (outcome, runs) in [("applied", 1.0), ("parked", 2.0), ("dead", 1.0)] {
        let counted = told.counted("duet_job_duration_seconds_count", outcome);
        assert_eq!(counted, Some(runs), "{outcome}");
    }
    end.stops().await;
}
