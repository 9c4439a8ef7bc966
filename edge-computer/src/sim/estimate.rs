//! How long a request would take if it came now, without running it.

use super::container::{Task, TaskId};
use super::requirements::Demand;
use super::station::{Forecast, Horizon, Replay, Station};
use super::time::SimTime;
use super::utilization::Loads;

/// How an estimate is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimator {
    /// The formula of the C++ reference, in its mixture of single and double precision, to be
    /// compared with it. It adds up the tasks that wait as if one worker served them, so behind W
    /// busy workers it predicts up to W times too much, and it ignores memory. Costs O(n) in the
    /// number of tasks on the processor.
    Legacy,
    /// Replays the platform as it is, with the request added, until the request is done: right to
    /// the nanosecond if nothing else arrives. Costs O(n log n) in the number of tasks that end
    /// before the request.
    Exact,
}

/// What a request would meet if it came now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Seconds until a worker and memory are free for it.
    pub wait_seconds: f64,
    /// Seconds from there to its completion.
    pub service_seconds: f64,
    /// Loads of the processor that would run it.
    pub loads: Loads,
}

impl Estimate {
    /// Seconds from now to its completion.
    pub fn seconds(&self) -> f64 {
        self.wait_seconds + self.service_seconds
    }
}

/// The estimate for a request that the container accepts; events up to `now` have happened.
pub(super) fn estimate(
    station: &Station,
    now: SimTime,
    container: usize,
    demand: Demand,
    estimator: Estimator,
) -> Estimate {
    match estimator {
        Estimator::Legacy => legacy(station, now, container, demand),
        Estimator::Exact => exact(station, now, container, demand),
    }
}

fn legacy(station: &Station, now: SimTime, container: usize, demand: Demand) -> Estimate {
    let processor = station.processor();
    let running = processor.running();
    let seconds = |ops: f64, tasks: u32| match tasks {
        0 => 0.0,
        tasks => ops / f64::from(processor.rate_in_single(tasks)),
    };
    let queue = station.container(container);
    let mut wait_seconds = 0.0;
    for task in &queue.pending {
        wait_seconds += seconds(task.demand.ops as f64, running);
    }
    let ops = demand.ops as f64;
    let service_seconds = if queue.has_free_worker() {
        seconds(ops, running + 1)
    } else {
        let residual = station.front_residual(now.into(), container);
        wait_seconds += seconds(residual.unwrap_or(0.0), running);
        seconds(ops, running)
    };
    Estimate {
        wait_seconds,
        service_seconds,
        loads: station.loads(),
    }
}

fn exact(station: &Station, now: SimTime, container: usize, demand: Demand) -> Estimate {
    let forecast = forecast(station, now, container, demand, Horizon::UNBOUNDED);
    Estimate {
        wait_seconds: forecast.wait,
        service_seconds: forecast.service,
        loads: station.loads(),
    }
}

/// What a request would meet that the container would take; events up to `now` have happened.
pub(super) fn forecast(
    station: &Station,
    now: SimTime,
    container: usize,
    demand: Demand,
    horizon: Horizon,
) -> Forecast {
    let probe = Task {
        id: TaskId::new(u64::MAX),
        container,
        demand,
        submitted_at: now,
        loads: station.loads(),
    };
    Replay::new(station, now.into(), probe).forecast(horizon)
}
