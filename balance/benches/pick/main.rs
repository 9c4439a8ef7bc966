//! What a decision costs: a pick, its sending and its answer, by policy and number of candidates.
//!
//! `cargo bench -p edge-balance` measures time, which differs from machine to machine and hour to
//! hour; `ci/count_instructions.py` counts instructions of the same work, which do not.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

mod workload;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use edge_balance::PolicyConfig;
use std::time::Duration;
use workload::Workload;

fn requests(criterion: &mut Criterion) {
    for n in [2, 8, 64, 1000] {
        let mut group = criterion.benchmark_group(format!("{n}-candidates"));
        group
            .sample_size(20)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(1));
        for policy in PolicyConfig::NAMES {
            let mut workload = Workload::new(policy, n);
            group.bench_function(BenchmarkId::from_parameter(policy), |bencher| {
                bencher.iter(|| workload.request());
            });
        }
        group.finish();
    }
}

criterion_group!(benches, requests);
criterion_main!(benches);
