//! The simulator beside queueing theory: what can be calculated comes out.
//!
//! M/M/c: Erlang's C formula; the waiting time is exponential for those who wait. M/D/1:
//! Crommelin's formula ("Delay probability formulae", 1934). M/G/1: Pollaczek and Khinchine.

use std::cmp::Ordering;

use edge_balance::PolicyConfig;

use super::scenario::{Discipline, Service};
use super::{Contender, Outcome, Scenario, run};

const MEAN: f64 = 0.01;
/// How much a simulated figure may be off.
const TOLERANCE: f64 = 0.01;

fn queue(workers: u32, load: f64, service: Service) -> Scenario {
    Scenario {
        workers,
        load,
        service,
        requests: 500_000,
        warm_up: 0.05,
        ..Scenario::default()
    }
}

const EXPONENTIAL: Service = Service::Exponential { mean: MEAN };
const CONSTANT: Service = Service::Constant { mean: MEAN };

/// Mean figures of some seeds: mean, median and 99th percentile, in seconds.
fn simulated(scenario: &Scenario, seeds: u64) -> [f64; 3] {
    let uniform = Contender::Uniform;
    let outcomes: Vec<Outcome> = (1..=seeds)
        .map(|seed| run(scenario, &uniform, seed))
        .collect();
    let mean =
        |figure: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(figure).sum::<f64>() / seeds as f64;
    [mean(&|o| o.mean), mean(&|o| o.p50), mean(&|o| o.p99)]
}

fn assert_close(what: &str, simulated: f64, theory: f64) {
    let error = simulated / theory - 1.0;
    assert!(
        error.abs() < TOLERANCE,
        "{what}: {simulated} simulated, {theory} in theory, {:.2} %",
        error * 100.0
    );
}

/// The point at which a growing function reaches a value.
fn inverse(value: f64, function: impl Fn(f64) -> f64) -> f64 {
    // Far enough for all percentiles here; farther out the terms of M/D/1 cancel badly.
    let (mut low, mut high) = (0.0, 20.0 * MEAN);
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if function(middle) < value {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Probability of having to wait: Erlang's C, for `c` workers and load `rho`.
fn erlang_c(c: u32, rho: f64) -> f64 {
    let offered = f64::from(c) * rho;
    let blocking = (1..=c).fold(1.0, |b, k| offered * b / (f64::from(k) + offered * b));
    blocking / (1.0 - rho * (1.0 - blocking))
}

/// Share of requests answered within `t`: service and, for some, an exponential wait.
fn mmc_within(c: u32, rho: f64, t: f64) -> f64 {
    let mu = 1.0 / MEAN;
    let theta = f64::from(c) * mu * (1.0 - rho);
    let waits = erlang_c(c, rho);
    let service = (-mu * t).exp();
    let sum = if (theta - mu).abs() < 1e-9 * mu {
        (1.0 + mu * t) * service
    } else {
        (theta * service - mu * (-theta * t).exp()) / (theta - mu)
    };
    1.0 - (1.0 - waits) * service - waits * sum
}

#[test]
fn mm1_and_mmc_have_the_means_and_percentiles_of_theory() {
    for (workers, load) in [(1, 0.3), (1, 0.7), (2, 0.7), (4, 0.7), (8, 0.6)] {
        let seeds = if workers == 1 { 8 } else { 4 };
        let [mean, p50, p99] = simulated(&queue(workers, load, EXPONENTIAL), seeds);
        let c = f64::from(workers);
        let expected = MEAN + erlang_c(workers, load) * MEAN / (c * (1.0 - load));
        let percentile = |q| inverse(q, |t| mmc_within(workers, load, t));
        let name = format!("M/M/{workers} at {load}");
        assert_close(&format!("{name}, mean"), mean, expected);
        assert_close(&format!("{name}, p50"), p50, percentile(0.5));
        assert_close(&format!("{name}, p99"), p99, percentile(0.99));
    }
}

/// Share of requests that wait at most `t` in M/D/1.
fn md1_waits_within(rho: f64, t: f64) -> f64 {
    let rate = rho / MEAN;
    let terms = (t / MEAN).floor() as u32;
    let mut sum = 0.0;
    let mut factorial = 1.0;
    for k in 0..=terms {
        if k > 0 {
            factorial *= f64::from(k);
        }
        let x = rate * (t - f64::from(k) * MEAN);
        sum += (-x).powi(k as i32) / factorial * x.exp();
    }
    (1.0 - rho) * sum
}

#[test]
fn md1_has_the_mean_and_the_percentiles_of_theory() {
    for load in [0.3, 0.5, 0.7] {
        let [mean, p50, p99] = simulated(&queue(1, load, CONSTANT), 4);
        let expected = MEAN * (1.0 + load / (2.0 * (1.0 - load)));
        let percentile = |q| MEAN + inverse(q, |t| md1_waits_within(load, t));
        let name = format!("M/D/1 at {load}");
        assert_close(&format!("{name}, mean"), mean, expected);
        assert_close(&format!("{name}, p50"), p50, percentile(0.5));
        assert_close(&format!("{name}, p99"), p99, percentile(0.99));
    }
}

#[test]
fn mg1_has_the_mean_of_theory() {
    // With the squares of the coefficients of variation. The mean square of the heavy tail is known
    // from a sample to a percent only, so its wait is not to be the larger part.
    let services = [
        (Service::HeavyTail { mean: MEAN }, 4.0, 0.2),
        (Service::Bimodal { mean: MEAN }, 3.24, 0.5),
    ];
    for (service, scv, load) in services {
        let [mean, ..] = simulated(&queue(1, load, service), 8);
        let expected = MEAN * (1.0 + load * (1.0 + scv) / 2.0 / (1.0 - load));
        assert_close(&format!("{service:?}"), mean, expected);
    }
}

#[test]
fn shared_processors_have_the_mean_of_theory_whatever_the_distribution() {
    let services = [CONSTANT, EXPONENTIAL, Service::Bimodal { mean: MEAN }];
    for service in services {
        let scenario = Scenario {
            discipline: Discipline::Sharing,
            ..queue(1, 0.6, service)
        };
        let [mean, ..] = simulated(&scenario, 4);
        assert_close(&format!("{service:?}"), mean, MEAN / (1.0 - 0.6));
    }
}

/// Arrivals go to the shorter queue, to either if they are equal.
fn share_of_first(first: usize, second: usize) -> f64 {
    match first.cmp(&second) {
        Ordering::Less => 1.0,
        Ordering::Equal => 0.5,
        Ordering::Greater => 0.0,
    }
}

/// Mean latency with the shorter of two queues, from the stationary distribution of its Markov chain cut off at
/// `LONGEST` requests each, by Gauss-Seidel iteration.
fn join_the_shorter_queue(rho: f64) -> f64 {
    const LONGEST: usize = 60;
    let (arrival, mu) = (2.0 * rho, 1.0);
    let mut p = vec![vec![1.0; LONGEST + 1]; LONGEST + 1];
    for _ in 0..4000 {
        let mut total = 0.0;
        for i in 0..=LONGEST {
            for j in 0..=LONGEST {
                let mut inflow = 0.0;
                if i > 0 {
                    inflow += p[i - 1][j] * arrival * share_of_first(i - 1, j);
                }
                if j > 0 {
                    inflow += p[i][j - 1] * arrival * share_of_first(j - 1, i);
                }
                if i < LONGEST {
                    inflow += p[i + 1][j] * mu;
                }
                if j < LONGEST {
                    inflow += p[i][j + 1] * mu;
                }
                let accepts = if i.min(j) < LONGEST { arrival } else { 0.0 };
                let serves = [i, j].iter().filter(|n| **n > 0).count() as f64 * mu;
                p[i][j] = inflow / (accepts + serves);
                total += p[i][j];
            }
        }
        p.iter_mut().flatten().for_each(|value| *value /= total);
    }
    let mut present = 0.0;
    for (i, row) in p.iter().enumerate() {
        for (j, probability) in row.iter().enumerate() {
            present += (i + j) as f64 * probability;
        }
    }
    // Little's law.
    present / arrival * MEAN
}

#[test]
fn an_oracle_with_two_equal_executors_joins_the_shorter_queue() {
    let scenario = Scenario {
        speeds: vec![1.0; 2],
        ..queue(1, 0.7, EXPONENTIAL)
    };
    let outcomes = (1..=6).map(|seed| run(&scenario, &Contender::Oracle, seed).mean);
    let mean = outcomes.sum::<f64>() / 6.0;
    assert_close("mean", mean, join_the_shorter_queue(0.7));
}

#[test]
fn a_network_adds_its_round_trip_and_nothing_else() {
    let near = queue(1, 0.7, EXPONENTIAL);
    let far = Scenario {
        network: super::scenario::Network::Constant(0.02),
        ..near.clone()
    };
    let policy = Contender::policy(PolicyConfig::LeastCost);
    let (near, far) = (run(&near, &policy, 1), run(&far, &policy, 1));
    assert!((far.mean - near.mean - 0.02).abs() < 1e-6);
    assert!((far.p99 - near.p99 - 0.02).abs() < 1e-6);
}
