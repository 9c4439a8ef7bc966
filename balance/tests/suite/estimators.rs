//! What a dispatcher predicts, and that it does not send everything to one place.

mod omniscience;

use crate::{Bench, L, Shares, seconds};
use edge_balance::{Answers, EstimatorConfig, Nanos, Pick, PolicyConfig, Report, Request, Tried};
use std::collections::BTreeMap;

const RTT: EstimatorConfig = EstimatorConfig::Rtt {
    window_size: 50,
    stale_period: Nanos::from_secs(10),
};
const UTIL: EstimatorConfig = EstimatorConfig::Util {
    rtt_window_size: 50,
    rtt_stale_period: Nanos::from_secs(10),
    util_window_size: 50,
    util_stale_period: Nanos::from_secs(60),
    util_load_timeout: Nanos::from_secs(10),
};
const DELAY: EstimatorConfig = EstimatorConfig::Delay {
    util_window_size: 50,
    util_stale_period: Nanos::from_secs(60),
    util_load_timeout: Nanos::from_secs(10),
};
const ALL: [EstimatorConfig; 4] = [RTT, UTIL, DELAY, EstimatorConfig::Probe];

fn bench(estimator: EstimatorConfig, destinations: &[&str]) -> Bench {
    let routes: Vec<_> = destinations.iter().map(|name| (*name, 1.0)).collect();
    Bench::with(PolicyConfig::Estimator(estimator), &routes)
}

fn request(input_bytes: usize) -> Request<'static> {
    Request {
        input_bytes,
        ..Request::from(L)
    }
}

fn pick(bench: &mut Bench, input_bytes: usize) -> Pick {
    bench
        .table
        .pick(
            request(input_bytes),
            &Tried::new(),
            bench.now,
            &mut bench.rng,
        )
        .unwrap()
}

fn name(pick: &Pick) -> String {
    pick.destination().name().to_owned()
}

/// An answer after `network + processing` seconds by a destination with that load.
fn answer(bench: &mut Bench, pick: Pick, network: f64, processing: f64, load: f32) {
    let total = seconds(network + processing);
    bench.now = bench.now + total;
    let report = Report {
        residence: Some(seconds(processing)),
        utilization: Some(load),
        ..Report::default()
    };
    pick.succeeded(total, &report, bench.now);
}

/// One request after the other, each answered as `times` says: network and processing.
fn serve(
    bench: &mut Bench,
    n: usize,
    size: usize,
    times: impl Fn(&str, f64) -> (f64, f64),
) -> Shares {
    bench.shares(n, |bench| {
        let pick = pick(bench, size);
        let name = name(&pick);
        let (network, processing) = times(&name, size as f64);
        answer(bench, pick, network, processing, 0.0);
        name
    })
}

fn in_flight(picks: &[Pick]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for pick in picks {
        *counts.entry(name(pick)).or_insert(0) += 1;
    }
    counts
}

#[test]
fn a_burst_before_the_first_answer_is_spread_evenly() {
    for estimator in ALL {
        let mut bench = bench(estimator, &["a", "b", "c", "d"]);
        let picks: Vec<_> = (0..40).map(|_| pick(&mut bench, 100)).collect();
        let counts = in_flight(&picks);
        assert!(
            counts.len() == 4 && counts.values().all(|count| *count == 10),
            "{estimator}: {counts:?}"
        );
    }
}

#[test]
fn a_burst_to_equal_destinations_that_were_measured_is_spread_evenly() {
    for estimator in [RTT, UTIL, DELAY] {
        let mut bench = bench(estimator, &["a", "b", "c", "d"]);
        serve(&mut bench, 20, 100, |_, _| (0.002, 0.010));
        let picks: Vec<_> = (0..40).map(|_| pick(&mut bench, 100)).collect();
        let counts = in_flight(&picks);
        assert!(
            counts.len() == 4 && counts.values().all(|count| *count == 10),
            "{estimator}: {counts:?}"
        );
    }
}

#[test]
fn destinations_that_were_not_measured_come_in_any_order() {
    for estimator in ALL {
        let firsts: std::collections::BTreeSet<_> = (0..64)
            .map(|seed| {
                let mut bench = bench(estimator, &["a", "b", "c"]);
                bench.rng = crate::seeded(seed);
                name(&pick(&mut bench, 100))
            })
            .collect();
        assert_eq!(firsts.len(), 3, "{estimator}: {firsts:?}");
    }
}

#[test]
fn rtt_follows_the_network_and_nothing_else() {
    let mut bench = bench(RTT, &["far", "near"]);
    let shares = serve(&mut bench, 100, 100, |name, _| match name {
        "near" => (0.001, 0.004),
        _ => (0.020, 0.001),
    });
    assert!(shares.of("near") >= 98, "{shares:?}");
}

#[test]
fn util_weighs_the_network_against_processing() {
    let mut bench = bench(UTIL, &["near and slow", "far and quick"]);
    let shares = serve(&mut bench, 100, 100, |name, _| match name {
        "near and slow" => (0.001, 0.050),
        _ => (0.020, 0.005),
    });
    assert!(shares.of("far and quick") >= 98, "{shares:?}");
}

#[test]
fn predictions_generalise_over_input_sizes() {
    for estimator in [UTIL, DELAY] {
        let mut bench = bench(estimator, &["base", "steep"]);
        // Up to 10 kB the steep one is quicker: 1 ms + 1 us per byte against 11 ms.
        let times = |name: &str, size: f64| match name {
            "steep" => (0.001, 1e-6 * size),
            _ => (0.001, 0.010),
        };
        for size in [1000, 2000, 3000, 20_000] {
            serve(&mut bench, 12, size, times);
        }
        for (size, best) in [(500, "steep"), (4321, "steep"), (50_000, "base")] {
            let pick = pick(&mut bench, size);
            assert_eq!(name(&pick), best, "{estimator} {size}");
        }
    }
}

#[test]
fn processing_time_is_predicted_from_the_load_last_reported() {
    let mut bench = bench(UTIL, &["only"]);
    for load in [0.0, 0.5, 0.25, 1.0, 0.5] {
        let pick = pick(&mut bench, 100);
        answer(&mut bench, pick, 0.001, 0.010 + 0.1 * f64::from(load), load);
    }
    let forecast = *pick(&mut bench, 100).forecast().unwrap();
    assert!((forecast.load - 0.5).abs() < 1e-6, "{forecast:?}");
    assert!((forecast.processing - 0.060).abs() < 1e-6, "{forecast:?}");
    assert!((forecast.network - 0.001).abs() < 1e-6, "{forecast:?}");
}

#[test]
fn a_load_that_is_too_old_counts_as_none() {
    let mut bench = bench(DELAY, &["only"]);
    for load in [0.0, 1.0] {
        let pick = pick(&mut bench, 100);
        answer(&mut bench, pick, 0.0, 0.010 + 0.1 * f64::from(load), load);
    }
    let busy = *pick(&mut bench, 100).forecast().unwrap();
    assert!((busy.processing - 0.110).abs() < 1e-6, "{busy:?}");
    bench.pass(11.0);
    let idle = *pick(&mut bench, 100).forecast().unwrap();
    assert!(idle.load == 0.0, "{idle:?}");
    assert!((idle.processing - 0.010).abs() < 1e-6, "{idle:?}");
}

#[test]
fn a_destination_whose_samples_are_stale_is_measured_again() {
    let mut bench = bench(RTT, &["far", "near"]);
    let mut far = 0.020;
    for _ in 0..2 {
        serve(&mut bench, 10, 100, |name, _| match name {
            "near" => (0.010, 0.0),
            _ => (far, 0.0),
        });
        assert_eq!(name(&pick(&mut bench, 100)) == "near", far > 0.010);
        far = 0.001;
        bench.pass(10.0);
    }
}

#[test]
fn finding_out_is_not_all_that_is_done() {
    let names: Vec<_> = (0..100).map(|n| format!("d{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut bench = bench(RTT, &names);
    // One request in a second: the samples of all but a few are always stale.
    let times = |name: &str, _: f64| (if name == "d7" { 0.001 } else { 0.100 }, 0.9);
    serve(&mut bench, 600, 100, times);
    let shares = serve(&mut bench, 400, 100, times);
    assert!(shares.of("d7") >= 200, "{shares:?}");
}

#[test]
fn one_that_answers_everything_with_errors_does_not_attract_everything() {
    let mut bench = bench(UTIL, &["bad", "good"]);
    let shares = bench.shares(200, |bench| {
        let pick = pick(bench, 100);
        let name = name(&pick);
        if name == "good" {
            answer(bench, pick, 0.001, 0.009, 0.0);
        } else {
            bench.pass(0.001);
            pick.answered(&Report::default(), bench.now);
        }
        name
    });
    // Without a sample it counts as the mean of the others, which ties.
    assert!(shares.of("good") >= 80, "{shares:?}");
}

#[test]
fn whoever_is_slow_and_reports_what_cannot_be_does_not_attract_requests() {
    let lies = [
        Report {
            residence: Some(Nanos::MAX),
            service: Some(Nanos::MAX),
            ..Report::default()
        },
        Report {
            residence: Some(Nanos::MAX),
            cold_start: Some(Nanos::MAX),
            in_flight: Some(u32::MAX),
            workers: Some(u32::MAX),
            utilization: Some(f32::MAX),
            ..Report::default()
        },
        Report {
            residence: Some(Nanos::ZERO),
            cold_start: Some(Nanos::MAX),
            utilization: Some(f32::NAN),
            ..Report::default()
        },
    ];
    for estimator in [RTT, UTIL, DELAY] {
        for lie in &lies {
            let mut bench = bench(estimator, &["liar", "good"]);
            let shares = bench.shares(200, |bench| {
                let pick = pick(bench, 100);
                let name = name(&pick);
                if name == "liar" {
                    let total = seconds(0.2);
                    bench.now = bench.now + total;
                    pick.succeeded(total, lie, bench.now);
                } else {
                    answer(bench, pick, 0.01, 0.01, 0.5);
                }
                name
            });
            // Its samples become stale now and then.
            assert!(shares.of("liar") <= 20, "{estimator:?} {lie:?}: {shares:?}");
        }
    }
}

#[test]
fn a_destination_removed_in_flight_changes_nothing_for_its_request() {
    for estimator in ALL {
        let mut bench = bench(estimator, &["gone"]);
        let pick = pick(&mut bench, 4242);
        assert!(bench.table.remove(L, "gone", bench.now));
        bench.add("gone", 1.0);
        assert_eq!(pick.forecast().unwrap().input_bytes, 4242);
        answer(&mut bench, pick, 0.001, 0.001, 0.0);
        let again = bench.pick();
        assert_eq!(again.predicted(), None, "{estimator}: it starts over");
        assert_eq!(bench.in_flight("gone"), 1);
    }
}

#[test]
fn a_trial_teaches_too() {
    let mut bench = bench(RTT, &["only"]);
    let failing = bench.pick();
    failing.failed(bench.now);
    bench.pass(60.0);
    let trial = bench.pick();
    assert!(trial.is_trial());
    answer(&mut bench, trial, 0.001, 0.0, 0.0);
    assert!(bench.pick().predicted().is_some());
}

#[test]
fn weights_are_shown_as_they_were_set() {
    for estimator in ALL {
        let mut bench = bench(estimator, &["a"]);
        serve(&mut bench, 3, 100, |_, _| (0.001, 0.001));
        assert_eq!(bench.table.to_string(), "lambda1 [1] a (F)\n");
    }
}

/// Asks about a request, and lets `says` answer: latency and estimate in milliseconds.
fn ask(bench: &mut Bench, mut says: impl FnMut(&str) -> Option<(u64, u64)>) -> Answers {
    let mut answers = Answers::default();
    let probes = bench
        .table
        .inquire(request(100), &Tried::new(), bench.now, &mut bench.rng);
    for probe in probes {
        let said = says(probe.destination().name());
        if let Some((latency, estimate)) = said {
            let (latency, estimate) = (Nanos::from_millis(latency), Nanos::from_millis(estimate));
            answers.take(probe, latency, estimate, &Report::default(), bench.now);
        }
    }
    answers
}

fn pick_knowing(bench: &mut Bench, answers: &Answers) -> Pick {
    bench
        .table
        .pick_knowing(
            request(100),
            &Tried::new(),
            answers,
            bench.now,
            &mut bench.rng,
        )
        .unwrap()
}

#[test]
fn probe_chooses_what_the_answers_say_and_the_network_adds() {
    let mut bench = bench(EstimatorConfig::Probe, &["a", "b", "c"]);
    let answers = ask(&mut bench, |name| match name {
        "a" => Some((1, 30)),
        "b" => Some((5, 20)),
        _ => Some((40, 1)),
    });
    assert_eq!(answers.len(), 3);
    let pick = pick_knowing(&mut bench, &answers);
    assert_eq!(name(&pick), "b");
    assert_eq!(pick.predicted(), Some(Nanos::from_millis(25)));
}

#[test]
fn probe_takes_silence_for_the_worst_that_is_known() {
    let mut bench = bench(EstimatorConfig::Probe, &["silent", "slow"]);
    let all = ask(&mut bench, |_| Some((1, 10)));
    assert_eq!(all.len(), 2);
    let answers = ask(&mut bench, |name| (name == "slow").then_some((1, 500)));
    // As slow as the other at best, so with a request there the other is as good.
    let first = pick_knowing(&mut bench, &answers);
    let second = pick_knowing(&mut bench, &answers);
    assert_ne!(name(&first), name(&second));
    // Nobody answers: what they said last counts.
    drop((first, second));
    let none = Answers::default();
    assert_eq!(name(&pick_knowing(&mut bench, &none)), "silent");
}

#[test]
fn probe_does_not_ask_the_silent_for_a_while() {
    let mut bench = bench(EstimatorConfig::Probe, &["silent", "talks"]);
    let says = |name: &str| (name == "talks").then_some((1, 10));
    assert_eq!(ask(&mut bench, says).len(), 1);
    let mut asked_again = Vec::new();
    for _ in 0..40 {
        bench.pass(0.1);
        ask(&mut bench, |name| {
            asked_again.push(name.to_owned());
            says(name)
        });
    }
    let silent = asked_again.iter().filter(|name| *name == "silent").count();
    assert_eq!((silent, asked_again.len()), (4, 44));
}

#[test]
fn probe_adds_what_left_since_the_question() {
    let mut bench = bench(EstimatorConfig::Probe, &["a", "b"]);
    // All ask before any is picked, so that all hear of idle destinations.
    let asked: Vec<_> = (0..20)
        .map(|_| ask(&mut bench, |_| Some((1, 10))))
        .collect();
    let picks: Vec<_> = asked
        .iter()
        .map(|answers| pick_knowing(&mut bench, answers))
        .collect();
    assert_eq!(in_flight(&picks).values().max(), Some(&10));
}

#[test]
fn probe_asks_only_candidates_that_execute() {
    let mut bench = bench(EstimatorConfig::Probe, &["computer", "ejected", "gone"]);
    bench
        .table
        .change(L, "router", 1.0, false, bench.now)
        .unwrap();
    loop {
        let pick = bench.pick();
        if name(&pick) == "ejected" {
            pick.failed(bench.now);
            break;
        }
    }
    let lost = bench
        .table
        .inquire(request(1), &Tried::new(), bench.now, &mut bench.rng);
    bench.table.remove(L, "gone", bench.now);
    drop(lost);
    bench.pass(1.0);
    let probes = bench
        .table
        .inquire(request(1), &Tried::new(), bench.now, &mut bench.rng);
    let asked: Vec<_> = probes.iter().map(|p| p.destination().name()).collect();
    assert_eq!(
        asked,
        ["computer"],
        "failed probes do not bring destinations back"
    );
}

#[test]
fn probe_asks_a_bounded_number() {
    let names: Vec<_> = (0..1000).map(|n| format!("d{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut bench = bench(EstimatorConfig::Probe, &names);
    let mut inquire = || {
        bench.pass(1.0);
        let now = bench.now;
        let probes = bench
            .table
            .inquire(request(1), &Tried::new(), now, &mut bench.rng);
        let names: std::collections::BTreeSet<_> = probes
            .iter()
            .map(|p| p.destination().name().to_owned())
            .collect();
        names
    };
    let (first, second) = (inquire(), inquire());
    assert!(first.len() == 64 && second.len() == 64 && first != second);
}

#[test]
fn other_policies_ask_nobody() {
    let mut bench = Bench::with(PolicyConfig::LeastCost, &[("a", 1.0)]);
    let probes = bench
        .table
        .inquire(L, &Tried::new(), bench.now, &mut bench.rng);
    assert!(probes.is_empty());
}
