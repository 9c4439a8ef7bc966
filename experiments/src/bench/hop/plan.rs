//! What is measured, and for how long.

use std::time::Duration;

/// What is measured.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) bytes: Vec<usize>,
    pub(super) in_flight: Vec<usize>,
    pub(super) connections: usize,
    pub(super) rounds: usize,
    /// Length of one measurement, if it was asked for.
    pub(super) seconds: Option<Duration>,
    pub(super) quick: bool,
    /// Requests per second, if nothing but an open loop is wanted.
    pub(super) paced: Option<f64>,
}

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) bytes: usize,
    /// 0: an open loop.
    pub(super) in_flight: usize,
}

impl Plan {
    /// The loads, in the order in which they are measured.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let in_flight: &[usize] = match self.paced {
            Some(_) => &[0],
            None => &self.in_flight,
        };
        let cells = self.bytes.iter().flat_map(|&bytes| {
            in_flight
                .iter()
                .map(move |&in_flight| Cell { bytes, in_flight })
        });
        cells.collect()
    }

    /// The load after which the rate of the open loop is chosen: 100 bytes, 64 in flight, or what
    /// is nearest to it.
    pub(super) fn reference(&self) -> Option<Cell> {
        self.cells()
            .into_iter()
            .filter(|_| self.paced.is_none())
            .min_by_key(|cell| (cell.bytes.abs_diff(100), cell.in_flight.abs_diff(64)))
    }

    /// Length of one measurement.
    pub(super) fn length(&self, cell: Cell) -> Duration {
        match (self.seconds, self.quick, cell.in_flight) {
            (Some(asked), ..) => asked,
            (None, true, 0) => Duration::from_millis(250),
            // Most goals are about these.
            (None, true, _) if cell.bytes == 100 => Duration::from_millis(150),
            (None, true, _) => Duration::from_millis(60),
            (None, false, 0) => Duration::from_millis(1500),
            (None, false, _) => Duration::from_millis(600),
        }
    }

    /// What comes before it and does not count: connections are open already.
    pub(super) fn warm_up(&self, cell: Cell) -> Duration {
        (self.length(cell) / 5).clamp(Duration::from_millis(10), Duration::from_millis(200))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            bytes: vec![0, 100, 1000, 10_000, 100_000],
            in_flight: vec![1, 16, 64, 256],
            connections: 1,
            rounds: 2,
            seconds: None,
            quick: true,
            paced: None,
        }
    }

    #[test]
    fn a_quick_run_of_all_hops_leaves_time_for_its_start() {
        let plan = plan();
        let closed: Duration = plan
            .cells()
            .into_iter()
            .map(|cell| plan.length(cell) + plan.warm_up(cell))
            .sum();
        let open = Cell {
            bytes: 100,
            in_flight: 0,
        };
        let open = plan.length(open) + plan.warm_up(open);
        // Without the floor.
        let all = (closed + open) * 2 * 6;
        assert!(all < Duration::from_secs(32), "{all:?}");
    }

    #[test]
    fn the_reference_is_the_nearest_to_a_hundred_bytes_and_64_in_flight() {
        let mut plan = plan();
        let reference = plan.reference().unwrap();
        assert_eq!((reference.bytes, reference.in_flight), (100, 64));
        plan.bytes = vec![10_000];
        plan.in_flight = vec![1, 16];
        let reference = plan.reference().unwrap();
        assert_eq!((reference.bytes, reference.in_flight), (10_000, 16));
        plan.paced = Some(1000.0);
        assert_eq!(plan.reference(), None);
        assert_eq!(plan.cells().len(), 1);
    }
}
