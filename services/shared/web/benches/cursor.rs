//! How long a list's cursor takes to be made and read: `cargo bench --package duet-web --bench cursor`.

use criterion::{Criterion, criterion_group, criterion_main};
use duet_web::cursor::{Position, decode, encode};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct After {
    post: String,
    user: String,
}

impl Position for After {
    const LIST: &'static str = "reactions";
}

fn cursor(criterion: &mut Criterion) {
    let position = After {
        post: "post-42".to_owned(),
        user: "user-0000beef".to_owned(),
    };
    let text = encode(&position);
    let mut group = criterion.benchmark_group("cursor");
    group.bench_function("encode", |bencher| bencher.iter(|| encode(&position)));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| decode::<After>(&text).is_ok())
    });
    group.finish();
}

criterion_group!(benches, cursor);
criterion_main!(benches);
