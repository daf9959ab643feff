//! How long the machines take for a commit group: `cargo bench --package duet-protocol --bench speed`.

#[allow(dead_code)]
#[path = "../tests/simulation/tables/mod.rs"]
mod tables;
#[allow(dead_code)]
#[path = "../tests/simulation/witness.rs"]
mod witness;
mod work;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

fn group(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("protocol");
    group.throughput(Throughput::Elements(work::GROUP.into()));
    macro_rules! bench {
        ($name:literal, $prepared:path, $done:path) => {
            group.bench_function($name, |bencher| {
                bencher.iter_batched($prepared, $done, BatchSize::LargeInput);
            });
        };
    }
    bench!("accept", work::accepting::prepared, work::accepting::done);
    bench!("receive", work::receiving::prepared, work::receiving::done);
    bench!(
        "receive with gaps",
        work::receiving::with_gaps,
        work::receiving::done
    );
    bench!(
        "record a receipt",
        work::recording::prepared,
        work::recording::done
    );
    bench!("track", work::tracking::prepared, work::tracking::done);
    bench!(
        "tell receipts",
        work::telling::prepared,
        work::telling::done
    );
    group.finish();
}

criterion_group!(benches, group);
criterion_main!(benches);
