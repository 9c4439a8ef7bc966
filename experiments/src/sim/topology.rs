//! Which router knows which executors, how far away they are, and how long a message takes.

use rand::RngExt as _;
use rstar::RTree;
use rstar::primitives::GeomWithData;

use super::random::{Stream, drawn, stream};
use super::scenario::{Network, Scenario};

/// An executor as a router knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Neighbour {
    pub(super) executor: u32,
    /// Half of the round trip, in seconds.
    pub(super) half: f32,
}

impl Neighbour {
    /// Nanoseconds that a message takes there, or from there, if it takes so many times longer than
    /// usual.
    #[inline]
    pub(super) fn delay(self, stretch: f64) -> u64 {
        (f64::from(self.half) * 1e9 * stretch) as u64
    }
}

/// The network of a run.
#[derive(Debug)]
pub(super) struct Topology {
    neighbours: Vec<Neighbour>,
    /// Where those of each router start, and the end of the last.
    starts: Vec<usize>,
    stretched: bool,
}

/// Mean of what is added to each message in a network with noise, relative to half the round trip.
const STRETCH: f64 = 0.1;

impl Topology {
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Self {
        let distances = Distances::new(scenario, seed);
        let mut neighbours = Vec::new();
        let mut starts = vec![0];
        for router in 0..scenario.routers {
            let nearest = scenario.nearest.filter(|n| *n < scenario.speeds.len());
            let mut row = match nearest {
                None => distances.row(router, seed),
                Some(nearest) => distances.nearest(router, seed, nearest),
            };
            neighbours.append(&mut row);
            starts.push(neighbours.len());
        }
        let stretched = matches!(
            scenario.network,
            Network::LogUniform { .. } | Network::Plane { .. }
        );
        Topology {
            neighbours,
            starts,
            stretched,
        }
    }

    /// Pairs of a router and an executor that it knows.
    pub(super) fn len(&self) -> usize {
        self.neighbours.len()
    }

    /// The executors that a router knows, in order of their index.
    pub(super) fn of(&self, router: usize) -> &[Neighbour] {
        &self.neighbours[self.starts[router]..self.starts[router + 1]]
    }

    /// How many times longer than half the round trip message number `n` of a request takes,
    /// wherever it goes.
    pub(super) fn stretch(&self, key: u64, n: u64) -> f64 {
        if self.stretched {
            1.0 - STRETCH * drawn(key, n).ln()
        } else {
            1.0
        }
    }

    /// Nanoseconds that message number `n` of a request takes to or from a neighbour.
    pub(super) fn delay(&self, neighbour: Neighbour, key: u64, n: u64) -> u64 {
        neighbour.delay(self.stretch(key, n))
    }
}

/// Round trips, before it is known which matter.
enum Distances {
    Same {
        executors: usize,
        half: f64,
    },
    LogUniform {
        executors: usize,
        min: f64,
        max: f64,
    },
    Plane(Plane),
}

struct Plane {
    routers: Vec<[f64; 2]>,
    executors: Vec<[f64; 2]>,
    /// The executors, to be found by place.
    places: RTree<GeomWithData<[f64; 2], u32>>,
    base: f64,
    per_unit: f64,
}

impl Plane {
    fn half(&self, router: usize, executor: usize) -> f64 {
        let ([x, y], [other_x, other_y]) = (self.routers[router], self.executors[executor]);
        let distance = (x - other_x).hypot(y - other_y);
        (self.base + self.per_unit * distance) / 2.0
    }
}

impl Distances {
    fn new(scenario: &Scenario, seed: u64) -> Self {
        let executors = scenario.speeds.len();
        match scenario.network {
            Network::None => Distances::Same {
                executors,
                half: 0.0,
            },
            Network::Constant(rtt) => Distances::Same {
                executors,
                half: rtt / 2.0,
            },
            Network::LogUniform { min, max } => Distances::LogUniform {
                executors,
                min,
                max,
            },
            Network::Plane { base, per_unit } => {
                let places = |n: usize, index: u64| {
                    let mut random = stream(seed, Stream::Network, index);
                    (0..n).map(|_| [random.random(), random.random()]).collect()
                };
                let executors: Vec<[f64; 2]> = places(executors, 1);
                let numbered = (0..)
                    .zip(&executors)
                    .map(|(executor, place)| GeomWithData::new(*place, executor));
                Distances::Plane(Plane {
                    routers: places(scenario.routers, 0),
                    places: RTree::bulk_load(numbered.collect()),
                    executors,
                    base,
                    per_unit,
                })
            }
        }
    }

    /// All executors as one router sees them.
    fn row(&self, router: usize, seed: u64) -> Vec<Neighbour> {
        let row = |executors: usize, half: &mut dyn FnMut(usize) -> f64| {
            let neighbour = |executor| Neighbour {
                executor: executor as u32,
                half: half(executor) as f32,
            };
            (0..executors).map(neighbour).collect()
        };
        match self {
            Distances::Same { executors, half } => row(*executors, &mut |_| *half),
            Distances::LogUniform {
                executors,
                min,
                max,
            } => {
                let mut random = stream(seed, Stream::Network, router as u64);
                row(*executors, &mut |_| {
                    min * (max / min).powf(random.random::<f64>()) / 2.0
                })
            }
            Distances::Plane(plane) => row(plane.executors.len(), &mut |executor| {
                plane.half(router, executor)
            }),
        }
    }

    /// Some executors, those that are nearest to a router, in order of their index.
    fn nearest(&self, router: usize, seed: u64, nearest: usize) -> Vec<Neighbour> {
        let mut row = if let Distances::Plane(plane) = self {
            // Looking at all of them would take routers times executors.
            plane
                .places
                .nearest_neighbor_iter(plane.routers[router])
                .take(nearest)
                .map(|place| Neighbour {
                    executor: place.data,
                    half: plane.half(router, place.data as usize) as f32,
                })
                .collect()
        } else {
            let mut row = self.row(router, seed);
            row.sort_by(|a, b| a.half.total_cmp(&b.half));
            row.truncate(nearest);
            row
        };
        row.sort_unstable_by_key(|neighbour| neighbour.executor);
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_are_log_uniform_and_messages_a_tenth_longer_in_the_mean() {
        let (min, max) = (0.001_f64, 0.1_f64);
        let scenario = Scenario {
            routers: 100,
            speeds: vec![1.0; 100],
            network: Network::LogUniform { min, max },
            ..Scenario::default()
        };
        let topology = Topology::new(&scenario, 1);
        let (mut logs, mut stretched, mut least) = (0.0, 0.0, f64::INFINITY);
        for router in 0..100 {
            for (key, neighbour) in topology.of(router).iter().enumerate() {
                let half = f64::from(neighbour.half);
                assert!((min..=max).contains(&(2.0 * half * 0.999_999)));
                logs += (2.0 * half).ln();
                let taken = topology.delay(*neighbour, (router * 100 + key) as u64, 3) as f64;
                stretched += taken * 1e-9 / half;
                least = least.min(taken * 1e-9 / half);
            }
        }
        let middle = (min * max).sqrt().ln();
        assert!((logs / 1e4 - middle).abs() < 0.05, "{logs}");
        assert!((stretched / 1e4 - 1.1).abs() < 0.01, "{stretched}");
        assert!(
            least > 0.999,
            "nothing travels faster than half a round trip"
        );
    }

    #[test]
    fn a_router_that_knows_some_knows_the_nearest() {
        let whole = Scenario {
            routers: 3,
            speeds: vec![1.0; 50],
            network: Network::Plane {
                base: 0.001,
                per_unit: 0.05,
            },
            ..Scenario::default()
        };
        let some = Scenario {
            nearest: Some(8),
            ..whole.clone()
        };
        let (whole, some) = (Topology::new(&whole, 5), Topology::new(&some, 5));
        for router in 0..3 {
            let mut all = whole.of(router).to_vec();
            all.sort_by(|a, b| a.half.total_cmp(&b.half));
            let mut nearest = all[..8].to_vec();
            nearest.sort_by_key(|neighbour| neighbour.executor);
            assert_eq!(some.of(router), nearest);
        }
    }
}
