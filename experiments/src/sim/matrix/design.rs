//! Scenarios out of levels: what is simulated at one point of the design, with one seed.

use super::disturbances;
use super::factor::{Demand, Levels, Rhythm};
use crate::sim::scenario::{Arrivals, Network, Scenario, Service};

/// Mean service time at speed 1, in seconds.
pub(crate) const MEAN_SERVICE: f64 = 0.01;
/// Share of the run that is not counted.
const WARM_UP: f64 = 0.15;
/// The least number of requests of a run.
const FEWEST_REQUESTS: usize = 20_000;
/// Requests per pair of router and executor: what a policy that learns each pair needs.
const REQUESTS_PER_PAIR: usize = 80;

/// How many requests a run of these levels has.
pub(crate) fn requests(levels: &Levels) -> usize {
    FEWEST_REQUESTS.max(REQUESTS_PER_PAIR * levels.routers * levels.executors)
}

/// The scenario of these levels; the seed chooses only whom the antagonists hit.
///
/// Capacity is one request per mean service time and executor, on average, whatever the spread of
/// speeds and the number of workers: four workers are each a quarter as fast. So runs of a load last
/// alike and their round trips matter alike.
pub(crate) fn scenario(levels: &Levels, seed: u64) -> Scenario {
    let requests = requests(levels);
    let seconds = requests as f64 * MEAN_SERVICE / (levels.load * levels.executors as f64);
    Scenario {
        name: levels.name(),
        routers: levels.routers,
        speeds: speeds(levels),
        workers: levels.workers,
        load: levels.load,
        service: service(levels.demand),
        arrivals: match levels.rhythm {
            Rhythm::Poisson => Arrivals::Poisson,
            Rhythm::Bursts => Arrivals::Bursts,
        },
        network: Network::LogUniform {
            min: 0.0005,
            max: 0.010,
        },
        antagonists: if levels.antagonist {
            disturbances::schedule(levels.executors, seconds, seed)
        } else {
            Vec::new()
        },
        requests,
        warm_up: WARM_UP,
        ..Scenario::default()
    }
}

fn service(demand: Demand) -> Service {
    let mean = MEAN_SERVICE;
    match demand {
        Demand::Constant => Service::Constant { mean },
        Demand::Exponential => Service::Exponential { mean },
        Demand::HeavyTail => Service::HeavyTail { mean },
    }
}

/// A geometric ladder, slowest first, whose mean is 1 / workers.
fn speeds(levels: &Levels) -> Vec<f64> {
    let steps = (levels.executors - 1) as f64;
    let ladder: Vec<f64> = (0..levels.executors)
        .map(|step| levels.spread.powf(step as f64 / steps))
        .collect();
    let capacity: f64 = ladder.iter().sum::<f64>() * f64::from(levels.workers);
    let scale = levels.executors as f64 / capacity;
    ladder.into_iter().map(|speed| speed * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::super::factor::SCENARIOS;
    use super::*;

    #[test]
    fn speeds_are_a_ladder_of_the_given_spread_with_a_capacity_of_one_per_executor() {
        for index in 0..SCENARIOS {
            let levels = Levels::of(index);
            let speeds = speeds(&levels);
            assert_eq!(speeds.len(), levels.executors);
            let spread = speeds[speeds.len() - 1] / speeds[0];
            assert!((spread - levels.spread).abs() < 1e-9);
            let capacity = speeds.iter().sum::<f64>() * f64::from(levels.workers);
            assert!((capacity - levels.executors as f64).abs() < 1e-9);
        }
        let steps = speeds(&Levels {
            executors: 8,
            spread: 16.0,
            ..Levels::of(0)
        });
        let ratio = steps[1] / steps[0];
        assert!(
            steps
                .windows(2)
                .all(|pair| (pair[1] / pair[0] - ratio).abs() < 1e-9)
        );
    }

    #[test]
    fn large_scenarios_get_eighty_requests_per_pair_of_router_and_executor() {
        let large = Levels {
            routers: 16,
            executors: 64,
            ..Levels::of(0)
        };
        assert_eq!(requests(&large), 81_920);
        assert_eq!(requests(&Levels::of(0)), 20_000);
    }

    #[test]
    fn only_scenarios_with_antagonist_have_disturbances() {
        for index in 0..SCENARIOS {
            let levels = Levels::of(index);
            let disturbed = !scenario(&levels, 3).antagonists.is_empty();
            assert_eq!(disturbed, levels.antagonist);
        }
    }
}
