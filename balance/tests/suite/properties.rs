//! Properties that hold for any weights, any order of events, any policy.

use crate::{Bench, L, all_policies, seconds, seeded};
use edge_balance::{Destinations, ForwardingTable, Nanos, PolicyConfig, Report, TableError, Tried};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn any_policy() -> impl Strategy<Value = PolicyConfig> {
    let all: Vec<_> = all_policies().collect();
    prop_oneof![
        4 => prop::sample::select(all),
        1 => (0.0..3.0, 0.0..3.0)
            .prop_map(|(alpha, beta)| PolicyConfig::ProportionalFairness { alpha, beta }),
    ]
}

/// Those that promise to use every destination sooner or later.
fn fair_policy() -> impl Strategy<Value = PolicyConfig> {
    prop_oneof![
        Just(PolicyConfig::LeastCost),
        Just(PolicyConfig::RoundRobin),
        Just(PolicyConfig::ProportionalFairness {
            alpha: 1.0,
            beta: 1.0
        }),
    ]
}

/// Weights over all magnitudes that a table takes.
fn any_weight() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => (-38.0..38.0_f64).prop_map(|exponent| 10.0_f64.powf(exponent) as f32),
        1 => Just(f32::MAX),
        1 => Just(f32::MIN_POSITIVE),
        1 => Just(1e-45_f32),
    ]
}

#[derive(Clone, Debug)]
enum Event {
    Change {
        destination: u8,
        weight: f32,
    },
    Weigh {
        destination: u8,
        weight: f32,
    },
    Multiply {
        destination: u8,
        factor: f32,
    },
    Remove {
        destination: u8,
    },
    Pick,
    Succeed {
        pick: usize,
        seconds: f64,
        report: Report,
    },
    Probe {
        seconds: f64,
        estimate: u64,
        report: Report,
    },
    Answer {
        pick: usize,
    },
    Fail {
        pick: usize,
    },
    Drop {
        pick: usize,
    },
    Pass {
        seconds: f64,
    },
}

fn any_number() -> impl Strategy<Value = f32> {
    prop_oneof![4 => any_weight(), 1 => any::<f32>(), 1 => Just(f32::NAN), 1 => Just(0.0)]
}

/// What a destination may say that is broken, or not honest.
fn any_report() -> impl Strategy<Value = Report> {
    let span = || prop::option::of(any::<u64>().prop_map(Nanos));
    let count = || prop::option::of(prop_oneof![0..4_u32, any::<u32>()]);
    let utilization = prop::option::of(any::<f32>());
    (count(), count(), span(), span(), span(), utilization).prop_map(
        |(in_flight, workers, service, residence, cold_start, utilization)| Report {
            in_flight,
            workers,
            service,
            residence,
            cold_start,
            utilization,
        },
    )
}

fn any_event() -> impl Strategy<Value = Event> {
    let destination = || 0..6_u8;
    let pick = || 0..100_usize;
    prop_oneof![
        3 => (destination(), any_number())
            .prop_map(|(destination, weight)| Event::Change { destination, weight }),
        2 => (destination(), any_number())
            .prop_map(|(destination, weight)| Event::Weigh { destination, weight }),
        2 => (destination(), any_number())
            .prop_map(|(destination, factor)| Event::Multiply { destination, factor }),
        1 => destination().prop_map(|destination| Event::Remove { destination }),
        8 => Just(Event::Pick),
        3 => (pick(), 0.0..5.0, any_report())
            .prop_map(|(pick, seconds, report)| Event::Succeed { pick, seconds, report }),
        2 => (0.0..5.0, any::<u64>(), any_report())
            .prop_map(|(seconds, estimate, report)| Event::Probe { seconds, estimate, report }),
        1 => pick().prop_map(|pick| Event::Answer { pick }),
        2 => pick().prop_map(|pick| Event::Fail { pick }),
        1 => pick().prop_map(|pick| Event::Drop { pick }),
        2 => (0.0..10.0).prop_map(|seconds| Event::Pass { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_happens_picks_are_of_the_table_weights_are_sound_and_load_returns_to_zero(
        policy in any_policy(),
        events in prop::collection::vec(any_event(), 1..200),
    ) {
        let mut bench = Bench::new(policy);
        let mut listed = BTreeSet::new();
        let mut picks = Vec::new();
        // Kept, so that nothing in flight is hidden by a destination that was forgotten.
        let destinations: Vec<_> =
            (0..6).map(|i| bench.table.destinations().intern(&format!("d{i}"))).collect();
        let name = |destination: u8| format!("d{destination}");
        for event in events {
            match event {
                Event::Change { destination, weight } => {
                    let changed =
                        bench.table.change(L, &name(destination), weight, true, bench.now);
                    prop_assert_eq!(changed.is_ok(), weight.is_finite() && weight > 0.0);
                    if changed.is_ok() {
                        listed.insert(name(destination));
                    }
                }
                Event::Weigh { destination, weight } => {
                    let set =
                        bench.table.update_weight(L, &name(destination), weight, bench.now);
                    let sound = weight.is_finite() && weight > 0.0;
                    prop_assert_eq!(set.is_ok(), sound && listed.contains(&name(destination)));
                }
                Event::Multiply { destination, factor } => {
                    let _ = bench.table.multiply(L, &name(destination), factor, bench.now);
                }
                Event::Remove { destination } => {
                    let removed = bench.table.remove(L, &name(destination), bench.now);
                    prop_assert_eq!(removed, listed.remove(&name(destination)));
                }
                Event::Pick => {
                    match bench.table.pick(L, &Tried::new(), bench.now, &mut bench.rng) {
                        Ok(pick) => {
                            prop_assert!(listed.contains(pick.destination().name()));
                            picks.push(pick);
                        }
                        Err(_) => prop_assert!(listed.is_empty()),
                    }
                }
                Event::Succeed { pick, seconds: latency, report } if pick < picks.len() => {
                    picks.swap_remove(pick).succeeded(seconds(latency), &report, bench.now);
                }
                Event::Probe { seconds: latency, estimate, report } => {
                    for probe in bench.table.probes(L, bench.now, &mut bench.rng) {
                        prop_assert!(listed.contains(probe.destination().name()));
                        let estimate = estimate.checked_sub(9).map(Nanos);
                        probe.answered(seconds(latency), estimate, &report, bench.now);
                    }
                }
                Event::Answer { pick } if pick < picks.len() => {
                    picks.swap_remove(pick).answered(&Report::default(), bench.now);
                }
                Event::Fail { pick } if pick < picks.len() => {
                    picks.swap_remove(pick).failed(bench.now);
                }
                Event::Drop { pick } if pick < picks.len() => drop(picks.swap_remove(pick)),
                Event::Pass { seconds } => bench.pass(seconds),
                _ => {}
            }
            for entry in bench.table.page(0, usize::MAX) {
                prop_assert!(entry.weight.is_finite() && entry.weight > 0.0, "{:?}", entry);
            }
            if let Some(explanation) = bench.table.explain(L, &Tried::new(), bench.now) {
                for candidate in explanation.candidates {
                    prop_assert!(!candidate.cost.is_nan(), "{policy}: {candidate:?}");
                }
            }
            let in_flight: u32 = destinations.iter().map(|d| d.in_flight()).sum();
            prop_assert_eq!(in_flight as usize, picks.len());
            let unhealthy = destinations.iter().filter(|d| !d.health().is_healthy()).count();
            prop_assert_eq!(bench.table.destinations().set_aside(), unhealthy);
        }
        drop(picks);
        prop_assert!(destinations.iter().all(|destination| destination.in_flight() == 0));
    }

    #[test]
    fn retries_visit_every_destination_once(
        policy in any_policy(),
        weights in prop::collection::vec(any_weight(), 1..12),
        fail in any::<u16>(),
    ) {
        let mut bench = Bench::new(policy);
        for (i, weight) in weights.iter().enumerate() {
            bench.add(&format!("d{i}"), *weight);
        }
        let mut tried = Tried::new();
        for attempt in 0..weights.len() {
            let pick = bench.pick_without(&tried);
            prop_assert!(!tried.contains(pick.destination().id()));
            tried.push(pick.destination().id());
            if fail & (1 << attempt) != 0 {
                pick.failed(bench.now);
            }
        }
        let over = bench.table.pick(L, &tried, bench.now, &mut bench.rng);
        prop_assert!(over.is_err());
    }

    #[test]
    fn no_destination_starves_where_the_policy_promises_it(
        policy in fair_policy(),
        latencies in prop::collection::vec(0.001..0.2_f64, 2..6),
    ) {
        let mut bench = Bench::new(policy);
        for i in 0..latencies.len() {
            bench.add(&format!("d{i}"), 1.0);
        }
        let latency = |name: &str| latencies[name[1..].parse::<usize>().unwrap()];
        let request = |bench: &mut Bench| {
            let name = bench.serve(latency);
            bench.table.update_weight(L, &name, latency(&name) as f32, bench.now).unwrap();
            name
        };
        // Long after the start, so that nobody is used merely because it is new.
        while bench.now < seconds(40.0) {
            request(&mut bench);
        }
        let mut used = BTreeSet::new();
        let end = bench.now + seconds(200.0);
        while bench.now < end && used.len() < latencies.len() {
            used.insert(request(&mut bench));
        }
        prop_assert_eq!(used.len(), latencies.len());
    }

    #[test]
    fn random_picks_follow_the_weights(
        weights in prop::collection::vec(0.1..10.0_f32, 2..6),
        excursion in any_weight(),
        seed in any::<u64>(),
    ) {
        let mut bench = Bench::new(PolicyConfig::Random);
        bench.rng = seeded(seed);
        for (i, weight) in weights.iter().enumerate() {
            bench.add(&format!("d{i}"), *weight);
        }
        bench.add("d0", excursion);
        bench.choose();
        bench.add("d0", weights[0]);
        let n = 20_000;
        let shares = bench.shares(n, Bench::choose);
        let total: f64 = weights.iter().map(|weight| 1.0 / f64::from(*weight)).sum();
        for (i, weight) in weights.iter().enumerate() {
            let p = 1.0 / f64::from(*weight) / total;
            let deviation = (n as f64 * p * (1.0 - p)).sqrt();
            let off = (shares.of(&format!("d{i}")) as f64 - n as f64 * p).abs();
            prop_assert!(off < 6.0 * deviation + 1.0, "{:?} {:?}", shares, weights);
        }
    }

    #[test]
    fn round_robin_picks_follow_the_weights_of_good_destinations(
        weights in prop::collection::vec(1.0..2.0_f32, 2..6),
    ) {
        let mut bench = Bench::new(PolicyConfig::RoundRobin);
        for (i, weight) in weights.iter().enumerate() {
            bench.add(&format!("d{i}"), *weight);
        }
        let n = 2000;
        let shares = bench.shares(n, Bench::choose);
        let total: f64 = weights.iter().map(|weight| 1.0 / f64::from(*weight)).sum();
        for (i, weight) in weights.iter().enumerate() {
            let expected = n as f64 / f64::from(*weight) / total;
            let share = shares.of(&format!("d{i}")) as f64;
            prop_assert!((share - expected).abs() < 8.0, "{:?} {:?}", shares, weights);
        }
    }

    #[test]
    fn a_run_repeats_when_its_inputs_do(policy in any_policy(), seed in any::<u64>()) {
        let run = || {
            let mut bench = Bench::new(policy);
            bench.rng = seeded(seed);
            for i in 0..5 {
                bench.add(&format!("d{i}"), 1.0);
            }
            (0..200).map(|_| bench.serve(|name| name.len() as f64 * 0.01)).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn a_table_is_what_was_put_into_it(
        changes in prop::collection::vec((0..4_u8, 0..4_u8, any_weight(), any::<bool>()), 0..60),
    ) {
        let table = ForwardingTable::new(PolicyConfig::Random, Arc::new(Destinations::new()));
        let mut model: BTreeMap<(String, String), Option<(f32, bool)>> = BTreeMap::new();
        for (i, (lambda, destination, weight, is_final)) in changes.iter().enumerate() {
            let key = (format!("l{lambda}"), format!("d{destination}"));
            let known = model.get(&key).is_some_and(Option::is_some);
            if i % 4 == 3 {
                prop_assert_eq!(table.remove(&key.0, &key.1, Nanos::ZERO), known);
                model.insert(key, None);
                continue;
            }
            if !known {
                let missing = table.update_weight(&key.0, &key.1, *weight, Nanos::ZERO);
                let refused = matches!(missing, Err(TableError::NoDestinations { .. }));
                prop_assert!(refused, "{:?}", missing);
            }
            table.change(&key.0, &key.1, *weight, *is_final, Nanos::ZERO).unwrap();
            model.insert(key, Some((*weight, *is_final)));
        }
        let expected: Vec<_> = model
            .into_iter()
            .filter_map(|((lambda, destination), route)| {
                route.map(|(weight, is_final)| (lambda, destination, weight, is_final))
            })
            .collect();
        let shown: Vec<_> = table
            .page(0, usize::MAX)
            .into_iter()
            .map(|entry| (entry.lambda, entry.destination, entry.weight, entry.is_final))
            .collect();
        prop_assert_eq!(table.len(), expected.len());
        prop_assert_eq!(shown, expected);
    }
}
