//! The same cases as `compare`, under criterion: for its statistics, and for comparing one change
//! with the next (`cargo bench -p evenhand-benches`).

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use evenhand_benches::one_task::Run;
use evenhand_benches::row::Row;
use evenhand_benches::{crowd, one_task};

const SIZES: [usize; 6] = [2, 3, 10, 100, 1000, 10_000];

/// Measures one case. It is set up when it is first asked for: criterion may have been told to
/// leave it out.
fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    (row, n): (Row, usize),
    set_up: fn(Row, usize) -> Option<Run>,
    step: u64,
) {
    let mut set = None;
    group.bench_function(BenchmarkId::new(row.name(), n), |bencher| {
        let Some(run) = set.get_or_insert_with(|| set_up(row, n)) else {
            return;
        };
        bencher.iter_custom(|calls| {
            // Calls are shared out evenly, so a multiple of `step` is made.
            let made = calls.div_ceil(step) * step;
            let start = Instant::now();
            run(made);
            start.elapsed().mul_f64(calls as f64 / made as f64)
        });
    });
    // Taking the case apart again is not what is measured.
    std::mem::forget(set);
}

fn benches(criterion: &mut Criterion) {
    let cases = |rows: &[Row]| {
        let each = SIZES.map(|n| rows.iter().map(move |row| (*row, n)).collect::<Vec<_>>());
        each.concat()
    };
    let mut group = criterion.benchmark_group("one task");
    for case in cases(&Row::ONE_TASK) {
        let set_up = |row, n| Some(one_task::set_up(row, n));
        bench(&mut group, case, set_up, 1);
    }
    group.finish();

    let mut group = criterion.benchmark_group("64 tasks on 2 threads");
    for case in cases(&Row::CROWD) {
        bench(&mut group, case, crowd::set_up, crowd::TASKS);
    }
    group.finish();
}

criterion_group! {
    name = all;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = benches
}
criterion_main!(all);
