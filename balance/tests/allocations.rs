//! The hot path allocates nothing: a program of its own, since it replaces the allocator.

use allocation_counter::measure;
use edge_balance::{
    Destinations, ForwardingTable, Nanos, PolicyConfig, PolicyKeys, Report, Request, RouteChange,
    Tried,
};
use rand_pcg::Pcg32;
use rand_pcg::rand_core::SeedableRng;
use std::sync::Arc;

/// Allocations of a hundred picks with their answers, after a thousand that do not count; each
/// request tries a second destination.
fn allocations(policy: PolicyConfig, destinations: usize) -> u64 {
    let table = ForwardingTable::new(policy, Arc::new(Destinations::new()));
    let names: Vec<_> = (0..destinations).map(|i| format!("d{i}")).collect();
    let route = |name| RouteChange {
        destination: name,
        weight: 1.0,
        is_final: true,
    };
    let routes: Vec<_> = names.iter().map(|name| route(name)).collect();
    let mut now = Nanos::from_secs(1);
    table.change_many("f", &routes, now).expect("sound routes");
    let mut rng = Pcg32::seed_from_u64(7);
    let report = Report {
        in_flight: Some(1),
        workers: Some(2),
        service: Some(Nanos::from_millis(4)),
        residence: Some(Nanos::from_millis(5)),
        utilization: Some(0.5),
        ..Report::default()
    };
    let mut requests = |count: u64| {
        for affinity in 0..count {
            now = now + Nanos::from_millis(20);
            let request = Request {
                lambda: "f",
                input_bytes: 10,
                affinity,
            };
            let mut tried = Tried::new();
            for _ in 0..2 {
                let pick = table
                    .pick(request, &tried, now, &mut rng)
                    .expect("two are left");
                tried.push(pick.destination().id());
                pick.succeeded(Nanos::from_millis(6), &report, now);
            }
        }
    };
    requests(1000);
    measure(|| requests(100)).count_total
}

/// The policy of that name.
fn policy(name: &str) -> PolicyConfig {
    let keys = PolicyKeys {
        alpha: Some(1.0),
        beta: Some(1.0),
        ..PolicyKeys::default()
    };
    PolicyConfig::from_name(name, &keys).expect("listed")
}

#[test]
fn the_counter_counts() {
    assert_eq!(
        measure(|| drop(std::hint::black_box(vec![1]))).count_total,
        1
    );
}

#[test]
fn picks_and_answers_of_no_policy_allocate_with_few_or_many_candidates() {
    for name in PolicyConfig::NAMES {
        let policy = policy(name);
        for destinations in [2, 64, 500] {
            assert_eq!(
                allocations(policy, destinations),
                0,
                "{name}, {destinations}"
            );
        }
    }
}

/// A table of one lambda with so many destinations.
fn large(policy: PolicyConfig, destinations: usize) -> (ForwardingTable, Vec<String>) {
    let table = ForwardingTable::new(policy, Arc::new(Destinations::new()));
    let names: Vec<_> = (0..destinations).map(|i| format!("d{i}")).collect();
    let route = |name| RouteChange {
        destination: name,
        weight: 1.0,
        is_final: true,
    };
    let routes: Vec<_> = names.iter().map(|name| route(name)).collect();
    let now = Nanos::from_secs(1);
    table.change_many("f", &routes, now).expect("sound routes");
    (table, names)
}

/// The bytes tell what is copied, and not how busy the machine is.
#[test]
fn a_change_among_ten_thousand_destinations_copies_few_of_them() {
    for name in PolicyConfig::NAMES {
        let policy = policy(name);
        let (table, names) = large(policy, 10_000);
        let now = Nanos::from_secs(2);
        let change = |name: &str| {
            assert!(table.remove("f", name, now));
            table.change("f", name, 1.0, true, now).expect("sound");
        };
        // What lists have in reserve is there afterwards.
        change(&names[0]);
        for name in names[1..].iter().step_by(999) {
            let bytes = measure(|| change(name)).bytes_total;
            assert!(bytes < 64_000, "{policy}: {bytes} bytes");
        }
    }
}

#[test]
fn a_page_of_a_large_table_takes_no_more_than_its_entries_do() {
    let (table, _) = large(PolicyConfig::default(), 10_000);
    for offset in [0, 5000, 9990] {
        let bytes = measure(|| assert_eq!(table.page(offset, 10).len(), 10)).bytes_total;
        assert!(bytes < 8_000, "{bytes} bytes");
    }
}
