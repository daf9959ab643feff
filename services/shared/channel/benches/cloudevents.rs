//! How long a batch takes to its JSON and back: `cargo bench --package duet-channel --bench cloudevents`.

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use duet_channel::transport::cloudevents::{Carried, batch, batch_to_json};
use duet_channel::transport::{Batch, Outgoing, Urgency};
use duet_protocol::event::{Body, Data, Event, Key, TraceContext};
use duet_protocol::sequence::{Sequence, Source};
use duet_protocol::settings::Generation;
use duet_protocol::time::Timestamp;

const EVENTS: u64 = 256;

fn event(number: u64) -> Event {
    let (post, user) = (
        format!("post-{}", number % 100),
        format!("user-{number:08x}"),
    );
    let json = format!(
        r#"{{"post":"{post}","user":"{user}","kind":"like","owner":"owner-0","title":"{post} of owner-0"}}"#
    );
    Event {
        source: Source::default(),
        sequence: Sequence(number + 1),
        time: Timestamp::from_micros(1_000_000_000_000 + number.cast_signed()),
        body: Body::Data(Data {
            kind: "dev.duet.reaction.set".into(),
            key: Key::new(format!("{post}/{user}")).expect("a short key"),
            json: json.into(),
        }),
        trace: TraceContext::default(),
        generation: Generation::FIRST,
    }
}

fn cloudevents(criterion: &mut Criterion) {
    let outgoing = |number| Outgoing {
        event: Arc::new(event(number)),
        late: false,
    };
    let sent = Batch {
        events: (0..EVENTS).map(outgoing).collect(),
        urgency: Urgency::Background,
    };
    let carried = |at: usize| Carried::AsCreated(&sent.events[at].event.trace);
    let json = batch_to_json(&sent, carried);
    let mut group = criterion.benchmark_group("cloudevents");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| batch_to_json(&sent, carried))
    });
    group.bench_function("decode", |bencher| bencher.iter(|| batch(&json)));
    group.finish();
}

criterion_group!(benches, cloudevents);
criterion_main!(benches);
