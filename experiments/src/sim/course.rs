//! What happens in a run whoever chooses: the network, and the requests with the luck of their
//! messages.

use super::arrivals::{Arrival, ArrivalStream};
use super::scenario::Scenario;
use super::topology::Topology;

/// Numbers of the draws of an attempt, of which each request has some.
#[derive(Clone, Copy, Debug)]
pub(super) enum Draw {
    There = 0,
    Back = 1,
    Failure = 2,
}

impl Draw {
    /// Of all draws of a request; attempts count from 1.
    pub(super) fn number(self, attempt: u8) -> u64 {
        4 * u64::from(attempt) + self as u64
    }
}

/// A request, and how slow the messages of its first attempt are, see [`Topology::stretch`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) arrival: Arrival,
    pub(super) there: f64,
    pub(super) back: f64,
}

/// All requests of a run, one after the other, without end.
pub(super) fn requests<'a>(
    scenario: &Scenario,
    topology: &'a Topology,
    seed: u64,
) -> impl Iterator<Item = Request> + use<'a> {
    let mut arrivals = ArrivalStream::new(scenario, seed);
    std::iter::repeat_with(move || {
        let arrival = arrivals.next();
        let stretch = |draw: Draw| topology.stretch(arrival.key, draw.number(1));
        Request {
            arrival,
            there: stretch(Draw::There),
            back: stretch(Draw::Back),
        }
    })
}

/// All that contenders of a seed meet alike, made once for all of them.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) seed: u64,
    pub(super) topology: Topology,
    pub(super) requests: Vec<Request>,
}

impl<'a> Course<'a> {
    pub(crate) fn new(scenario: &'a Scenario, seed: u64) -> Self {
        let topology = Topology::new(scenario, seed);
        let requests = requests(scenario, &topology, seed);
        Course {
            requests: requests.take(scenario.requests).collect(),
            scenario,
            seed,
            topology,
        }
    }
}
