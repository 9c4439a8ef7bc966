//! The default policy: predictions from reports, and what cannot drive it into a bad state.

use crate::{Bench, L, Shares, seconds, seeded};
use edge_balance::{
    Destinations, ForwardingTable, Nanos, Pick, PolicyConfig, Reason, Report, Standing, Tried,
};
use std::sync::Arc;

pub(crate) fn bench(routes: &[(&str, f32)]) -> Bench {
    Bench::with(PolicyConfig::default(), routes)
}

pub(crate) fn two() -> Bench {
    bench(&[("a", 1.0), ("b", 1.0)])
}

/// A report of a destination with one worker.
pub(crate) fn report(in_flight: u32, service: f64, residence: f64) -> Report {
    Report {
        in_flight: Some(in_flight),
        workers: Some(1),
        service: Some(seconds(service)),
        residence: Some(seconds(residence)),
        ..Report::default()
    }
}

/// A sequential client; each destination executes for `service` seconds 1 ms away, and reports the
/// queue that `queue` gives it.
pub(crate) fn serve(
    bench: &mut Bench,
    service: impl Fn(&str) -> f64,
    queue: impl Fn(&str) -> u32,
) -> String {
    let pick = bench.pick();
    let name = pick.destination().name().to_owned();
    let spent = service(&name);
    bench.pass(spent + 0.001);
    let latency = seconds(spent + 0.001);
    pick.succeeded(latency, &report(queue(&name), spent, spent), bench.now);
    name
}

/// Until all averages have settled.
pub(crate) fn warm(bench: &mut Bench, service: impl Fn(&str) -> f64) {
    for _ in 0..200 {
        serve(bench, &service, |_| 0);
    }
}

pub(crate) fn shares(bench: &mut Bench, n: usize, service: impl Fn(&str) -> f64) -> Shares {
    bench.shares(n, |bench| serve(bench, &service, |_| 0))
}

#[test]
fn the_faster_one_gets_a_sequential_client() {
    let mut bench = two();
    let service = |name: &str| if name == "a" { 0.01 } else { 0.1 };
    warm(&mut bench, service);
    let shares = shares(&mut bench, 300, service);
    assert!(shares.of("a") >= 285, "{shares:?}");
}

#[test]
fn a_queue_that_others_fill_is_avoided_and_forgotten_in_a_few_service_times() {
    let mut bench = two();
    warm(&mut bench, |_| 0.01);
    // One answer of `a` tells of a long queue.
    let mut told = None;
    while told.is_none() {
        let name = serve(
            &mut bench,
            |_| 0.01,
            |name| if name == "a" { 20 } else { 0 },
        );
        told = (name == "a").then_some(name);
    }
    let soon = bench.shares(5, Bench::choose);
    assert_eq!(soon.of("a"), 0, "{soon:?}");
    bench.pass(2.0);
    let later = shares(
        &mut bench,
        100,
        |name| if name == "a" { 0.01 } else { 0.02 },
    );
    assert!(later.of("a") > 50, "{later:?}");
}

#[test]
fn own_requests_count_at_once() {
    let mut bench = two();
    warm(&mut bench, |_| 0.01);
    let picks: Vec<Pick> = (0..10).map(|_| bench.pick()).collect();
    let of_a = picks.iter().filter(|p| p.destination().name() == "a");
    let of_a = of_a.count();
    assert!((4..=6).contains(&of_a), "{of_a}");
}

#[test]
fn workers_make_room() {
    let mut bench = two();
    for _ in 0..200 {
        let pick = bench.pick();
        let workers = if pick.destination().name() == "a" {
            8
        } else {
            1
        };
        bench.pass(0.011);
        let report = Report {
            workers: Some(workers),
            ..report(0, 0.01, 0.01)
        };
        pick.succeeded(seconds(0.011), &report, bench.now);
    }
    let picks: Vec<Pick> = (0..9).map(|_| bench.pick()).collect();
    let of_a = picks.iter().filter(|p| p.destination().name() == "a");
    assert!(of_a.count() >= 6);
}

#[test]
fn of_equals_the_queue_counts_and_not_who_had_long_requests_lately() {
    let mut bench = bench(&[("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 1.0)]);
    // Exponentially distributed, 10 ms in the mean.
    let service = |nth: u32| -0.01 * (1.0 - (f64::from(nth * 37 % 100) + 0.5) / 100.0).ln();
    for nth in 0..100 {
        for (offset, name) in [(0, "a"), (29, "b"), (53, "c"), (71, "d")] {
            let service = service(nth + offset);
            bench.teach(name, service + 0.001, &report(0, service, service));
        }
    }
    for _ in 0..3 {
        bench.teach("a", 0.026, &report(0, 0.025, 0.025));
    }
    let names = ["a", "b", "c", "d"];
    let _queues: Vec<Pick> = names
        .iter()
        .flat_map(|name| (0..10).map(|_| bench.pick_of(name)).collect::<Vec<_>>())
        .collect();
    let waits = names.map(|name| {
        let pick = bench.pick_of(name);
        pick.predicted_wait().unwrap().as_secs_f64()
    });
    let longest = waits.iter().fold(0.0, |most: f64, wait| most.max(*wait));
    let shortest = waits.iter().fold(1.0, |least: f64, wait| least.min(*wait));
    assert!(longest < 1.02 * shortest, "{waits:?}");
}

#[test]
fn one_that_is_badly_needed_is_tried_again_early() {
    let mut bench = two();
    let service = |name: &str| if name == "a" { 0.01 } else { 0.2 };
    warm(&mut bench, service);
    loop {
        let pick = bench.pick();
        if pick.destination().name() == "a" {
            break pick.failed(bench.now);
        }
    }
    // Sets in after a quarter of a second; before, all go to the slow one.
    let before = bench.shares(5, Bench::choose);
    assert_eq!(before.of("a"), 0);
    bench.pass(0.26);
    let trial = bench.pick();
    assert_eq!(
        (trial.destination().name(), trial.reason()),
        ("a", Reason::Trial)
    );
    trial.failed(bench.now);
    let id = bench.table.destinations().intern("a");
    let Standing::Ejected { until } = id.health().standing() else {
        panic!("{:?}", id.health().standing())
    };
    assert!(
        until <= bench.now + seconds(2.01),
        "no longer than the first time"
    );
}

#[test]
fn one_that_is_not_needed_waits_for_its_time() {
    let mut bench = two();
    warm(&mut bench, |_| 0.01);
    let pick = bench.pick();
    let name = pick.destination().name().to_owned();
    pick.failed(bench.now);
    for _ in 0..100 {
        bench.pass(0.015);
        assert_ne!(bench.choose(), name);
    }
}

#[test]
fn where_answers_stay_out_nobody_waits_in_line() {
    let mut bench = two();
    warm(&mut bench, |_| 0.01);
    // Each gets a request; `a` pauses, `b` is busy but answers.
    let picks = [bench.pick(), bench.pick()];
    bench.pass(0.011);
    let mut stuck = None;
    for pick in picks {
        if pick.destination().name() == "a" {
            stuck = Some(pick);
        } else {
            pick.succeeded(seconds(0.011), &report(0, 0.01, 0.01), bench.now);
        }
    }
    assert!(stuck.is_some());
    bench.pass(0.5);
    let shares = bench.shares(20, |bench| {
        let pick = bench.pick();
        let name = pick.destination().name().to_owned();
        bench.pass(0.01);
        pick.succeeded(seconds(0.021), &report(2, 0.01, 0.02), bench.now);
        name
    });
    assert_eq!(shares.of("a"), 0, "{shares:?}");
    drop(stuck);
}

#[test]
fn those_that_report_nothing_share_a_table_with_those_that_do() {
    let mut bench = bench(&[("silent", 1.0), ("talks", 1.0)]);
    let mut serve = |n| {
        bench.shares(n, |bench| {
            let pick = bench.pick();
            let name = pick.destination().name().to_owned();
            let (latency, report) = if name == "silent" {
                (0.005, Report::default())
            } else {
                (0.05, report(0, 0.049, 0.049))
            };
            bench.pass(latency);
            pick.succeeded(seconds(latency), &report, bench.now);
            name
        })
    };
    serve(100);
    let shares = serve(300);
    assert!(shares.of("silent") > 280, "{shares:?}");
}

#[test]
fn a_slow_destination_that_has_become_fast_is_found_out() {
    let mut bench = two();
    let before = |name: &str| if name == "a" { 0.02 } else { 0.3 };
    warm(&mut bench, before);
    let after = |name: &str| if name == "a" { 0.02 } else { 0.002 };
    let shares = shares(&mut bench, 6000, after);
    assert!(shares.of("b") > 3000, "{shares:?}");
}

#[test]
fn a_cold_start_says_nothing_about_the_next_request() {
    let mut bench = two();
    warm(&mut bench, |_| 0.01);
    let pick = bench.pick();
    let name = pick.destination().name().to_owned();
    bench.pass(3.011);
    let cold = Report {
        cold_start: Some(seconds(3.0)),
        ..report(0, 0.01, 3.01)
    };
    pick.succeeded(seconds(3.011), &cold, bench.now);
    let page = bench.table.page(0, 10);
    let row = page.iter().find(|row| row.destination == name).unwrap();
    assert!((0.010..0.013).contains(&row.weight), "{row:?}");
}

#[test]
fn where_every_start_is_cold_that_is_what_requests_take() {
    let mut bench = two();
    warm(&mut bench, |_| 0.01);
    let shares = bench.shares(300, |bench| {
        let pick = bench.pick();
        let name = pick.destination().name().to_owned();
        let (latency, cold_start) = match name.as_str() {
            "a" => (0.1, Some(seconds(0.095))),
            _ => (0.011, None),
        };
        bench.pass(latency);
        let report = Report {
            cold_start,
            ..report(0, 0.005, 0.01)
        };
        pick.succeeded(seconds(latency), &report, bench.now);
        name
    });
    assert!(shares.of("a") < 20, "{shares:?}");
}

#[test]
fn absurd_reports_harm_nobody_for_long() {
    let absurd = [
        report(u32::MAX, 1e9, 1e9),
        Report {
            workers: Some(u32::MAX),
            ..report(0, 0.0, 0.0)
        },
        Report {
            in_flight: Some(u32::MAX),
            workers: Some(u32::MAX),
            service: Some(Nanos::MAX),
            residence: Some(Nanos::MAX),
            cold_start: Some(Nanos::MAX),
            utilization: Some(f32::NAN),
        },
    ];
    for report_of_a in absurd {
        let mut bench = two();
        warm(&mut bench, |_| 0.01);
        let mut serve = |n| {
            bench.shares(n, |bench| {
                let pick = bench.pick();
                let name = pick.destination().name().to_owned();
                bench.pass(0.011);
                let honest = report(0, 0.01, 0.01);
                let told = if name == "a" { report_of_a } else { honest };
                pick.succeeded(seconds(0.011), &told, bench.now);
                name
            })
        };
        let shares = serve(2000);
        assert!(shares.of("b") > 100, "{report_of_a:?}: {shares:?}");
    }
}

#[test]
fn one_that_boasts_of_idle_workers_while_it_is_slow_loses_its_requests() {
    let mut bench = two();
    warm(&mut bench, |_| 0.01);
    let shares = bench.shares(1000, |bench| {
        let pick = bench.pick();
        let name = pick.destination().name().to_owned();
        // `a` takes half a second and claims that it was the network.
        let latency = if name == "a" { 0.5 } else { 0.011 };
        bench.pass(latency);
        pick.succeeded(seconds(latency), &report(0, 0.001, 0.001), bench.now);
        name
    });
    assert!(shares.of("a") < 60, "{shares:?}");
}

#[test]
fn of_many_destinations_a_few_are_looked_at_and_winners_again() {
    let destinations = Arc::new(Destinations::new());
    let table = ForwardingTable::new(PolicyConfig::default(), destinations);
    let mut now = seconds(1.0);
    for i in 0..1000 {
        let name = format!("d{i}");
        table.change(L, &name, 1.0, true, now).unwrap();
    }
    let mut rng = seeded(7);
    let mut fast = 0;
    for round in 0..20_000 {
        let pick = table.pick(L, &Tried::new(), now, &mut rng).unwrap();
        let is_fast = pick.destination().id() < 100;
        let service = if is_fast { 0.002 } else { 0.05 };
        now = now + seconds(service + 0.001);
        fast += u32::from(is_fast && round >= 10_000);
        let latency = seconds(service + 0.001);
        pick.succeeded(latency, &report(0, service, service), now);
    }
    assert!(fast > 9_000, "{fast}");
}

#[test]
fn an_explanation_lists_every_candidate_with_what_its_cost_is_made_of() {
    let mut bench = two();
    warm(&mut bench, |name| if name == "a" { 0.01 } else { 0.02 });
    let explanation = bench.table.explain(L, &Tried::new(), bench.now).unwrap();
    let chosen = bench.pick();
    let best = explanation
        .candidates
        .iter()
        .min_by(|a, b| a.cost.total_cmp(&b.cost))
        .unwrap();
    assert_eq!(explanation.candidates.len(), 2);
    assert_eq!(best.destination, chosen.destination().name());
    assert!(best.terms.iter().any(|(name, _)| *name == "completion_s"));
    assert!(
        bench
            .table
            .explain("other", &Tried::new(), bench.now)
            .is_none()
    );
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    let run = || {
        let mut bench = bench(&[("a", 1.0), ("b", 1.0), ("c", 1.0)]);
        let service = |name: &str| 0.01 * f64::from(name.as_bytes()[0] - b'a' + 1);
        let names: Vec<_> = (0..500)
            .map(|_| serve(&mut bench, service, |_| 1))
            .collect();
        names
    };
    assert_eq!(run(), run());
}

/// Candidates are judged several at a time: whatever their number, whoever of them reports, keeps
/// silent or was never asked, and whoever has been tried, one after the other is as explained.
#[test]
fn of_any_number_of_candidates_the_cheapest_is_taken_and_the_second_best_sets_its_terms() {
    let mut compared = 0;
    for n in 1..=21_usize {
        let names: Vec<_> = (0..n).map(|number| format!("d{number}")).collect();
        let routes: Vec<_> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
        let mut bench = bench(&routes);
        for (number, name) in names.iter().enumerate().filter(|(at, _)| at % 5 != 4) {
            let pick = bench.pick_of(name);
            let service = 0.002 * ((number * 7) % n + 1) as f64;
            let said = match number % 3 {
                2 => Report::default(),
                queue => report(queue as u32, service, service),
            };
            pick.succeeded(seconds(service + 0.001), &said, bench.now);
        }
        bench.pass(0.7);
        let mut tried = Tried::new();
        for _ in 0..n {
            let explained = bench.table.explain(L, &tried, bench.now).unwrap();
            let mut candidates = explained.candidates;
            candidates.sort_by(|a, b| a.cost.total_cmp(&b.cost));
            let pick = bench.pick_without(&tried);
            let name = pick.destination().name();
            let chosen = candidates.iter().find(|it| it.destination == name);
            let chosen = chosen.expect("only what was not tried is chosen");
            assert_eq!(pick.reason(), Reason::Best, "{n}");
            assert_eq!(chosen.cost, candidates[0].cost, "{n}: {name}");
            let service = chosen.terms.iter().find(|(term, _)| *term == "service_s");
            match (service, candidates.get(1), pick.max_wait()) {
                (Some((_, service)), Some(second), Some(wait)) => {
                    let wanted = (1.3 * second.cost - service).max(1e-9);
                    let off = (wait.as_secs_f64() - wanted).abs();
                    assert!(off < 1e-5 * wanted + 1e-8, "{n}: {wait:?}, {wanted}");
                    compared += 1;
                }
                (_, _, wait) => assert_eq!(wait, None, "{n}"),
            }
            tried.push(pick.destination().id());
        }
    }
    assert!(compared > 20, "{compared}");
}
