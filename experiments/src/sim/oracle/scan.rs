//! The search for the least cost over the executors that a router knows.

use edge_balance::Tried;

use crate::sim::topology::{Neighbour, Topology};

/// The executors that a router knows, as arrays.
#[derive(Debug)]
pub(super) struct Near {
    /// Half of the round trip, in seconds.
    pub(super) halves: Box<[f64]>,
    /// Their numbers, unless it knows all.
    executors: Option<Box<[u32]>>,
}

/// Those of each router.
pub(super) fn near(topology: &Topology, routers: usize, executors: usize) -> Vec<Near> {
    (0..routers)
        .map(|router| Near::new(topology.of(router), executors))
        .collect()
}

impl Near {
    fn new(known: &[Neighbour], executors: usize) -> Self {
        Near {
            halves: known.iter().map(|near| f64::from(near.half)).collect(),
            executors: (known.len() < executors)
                .then(|| known.iter().map(|near| near.executor).collect()),
        }
    }

    /// Values per executor, by position.
    pub(super) fn view<'a>(&self, values: &'a [f64], gathered: &'a mut Vec<f64>) -> &'a [f64] {
        let Some(executors) = &self.executors else {
            return values;
        };
        gathered.clear();
        gathered.extend(executors.iter().map(|executor| values[*executor as usize]));
        gathered
    }
}

/// Independent minima, so that a vector register holds some and none waits for the last.
const LANES: usize = 8;

/// The first position of the least cost among those that were not tried, which do not get one.
pub(super) fn least(costs: &mut [f64], tried: &Tried) -> Option<usize> {
    if !tried.is_empty() {
        for (position, cost) in costs.iter_mut().enumerate() {
            if tried.contains(position as u64) {
                *cost = f64::INFINITY;
            }
        }
    }
    let (chunks, rest) = costs.as_chunks::<LANES>();
    let mut lanes = [f64::INFINITY; LANES];
    for chunk in chunks {
        for (least, cost) in lanes.iter_mut().zip(chunk) {
            *least = lesser(*least, *cost);
        }
    }
    let least = lanes
        .iter()
        .chain(rest)
        .fold(f64::INFINITY, |least, cost| lesser(least, *cost));
    costs
        .iter()
        .position(|cost| *cost == least)
        .filter(|_| least < f64::INFINITY)
}

/// One instruction, other than `f64::min`, which has to think of NaN.
fn lesser(one: f64, other: f64) -> f64 {
    if other < one { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_least_is_found_wherever_it_is() {
        for length in 1..40 {
            for place in 0..length {
                let mut costs = vec![2.0; length];
                costs[place] = 1.0;
                costs[length - 1] = 1.0;
                assert_eq!(least(&mut costs, &Tried::new()), Some(place));
            }
        }
        assert_eq!(least(&mut [], &Tried::new()), None);
    }

    #[test]
    fn what_was_tried_is_not_found_again() {
        let mut tried = Tried::new();
        for expected in [Some(1), Some(2), Some(0), None] {
            let found = least(&mut [3.0, 1.0, 2.0], &tried);
            assert_eq!(found, expected);
            found.into_iter().for_each(|id| tried.push(id as u64));
        }
    }

    #[test]
    fn a_router_that_knows_some_sees_the_values_of_these() {
        let known = [4, 1].map(|executor| Neighbour {
            executor,
            half: 0.25,
        });
        let near = Near::new(&known, 5);
        let mut gathered = Vec::new();
        let values = [0.0, 1.0, 2.0, 3.0, 4.0];
        assert_eq!(near.view(&values, &mut gathered), [4.0, 1.0]);
    }
}
