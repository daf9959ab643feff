//! How long the machines take for a commit group: `cargo bench --package duet-protocol --bench speed`.

mod steps;
#[allow(dead_code)]
#[path = "../tests/simulation/tables/mod.rs"]
mod tables;
#[allow(dead_code)]
#[path = "../tests/simulation/witness.rs"]
mod witness;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

fn group(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("protocol");
    group.throughput(Throughput::Elements(steps::GROUP.into()));
    macro_rules! bench {
        ($name:literal, $prepared:path, $done:path) => {
            group.bench_function($name, |bencher| {
                bencher.iter_batched($prepared, $done, BatchSize::LargeInput);
            });
        };
    }
    bench!("accept", steps::accepting::prepared, steps::accepting::done);
    bench!(
        "receive",
        steps::receiving::prepared,
        steps::receiving::done
    );
    bench!(
        "receive with gaps",
        steps::receiving::with_gaps,
        steps::receiving::done
    );
    bench!(
        "record a receipt",
        steps::recording::prepared,
        steps::recording::done
    );
    bench!("track", steps::tracking::prepared, steps::tracking::done);
    bench!(
        "tell receipts",
        steps::telling::prepared,
        steps::telling::done
    );
    group.finish();
}

criterion_group!(benches, group);
criterion_main!(benches);
