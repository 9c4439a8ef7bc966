//! What a task can count on, at the same cost however many wait: enough to know that most of them
//! need no forecast.

use super::{Demand, Station};

/// Bounds of what a forecast would say of a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Whether a worker is free for it; it may have to wait for memory all the same.
    pub idle_worker: bool,
    /// Seconds from its start to its end with a core to itself: nothing is quicker.
    pub service_at_least: f64,
    /// Seconds until it starts if it meets the worst that is possible; infinite where memory might
    /// run short.
    pub wait_at_most: f64,
    /// Seconds from its start to its end if it meets the worst that is possible; infinite where
    /// memory might run short.
    pub service_at_most: f64,
}

impl Station {
    /// The bounds for a task that comes now, if nobody else does.
    ///
    /// While it waits all workers of its container are busy with what came before it, so the wait
    /// is at most the sum of that work over the workers, each at the rate that is left when as many
    /// tasks run as ever can.
    pub(in crate::sim) fn bounds(&self, container: usize, demand: Demand) -> Bounds {
        let served = &self.containers[container];
        let ops = demand.ops as f64;
        let mut bounds = Bounds {
            idle_worker: served.has_free_worker(),
            service_at_least: ops / self.processor.speed(),
            wait_at_most: f64::INFINITY,
            service_at_most: f64::INFINITY,
        };
        if !self.memory_suffices(demand) {
            return bounds;
        }
        let rate = self.slowest_rate();
        let work = (served.pending_needs.ops + served.active_ops) as f64;
        bounds.wait_at_most = if bounds.idle_worker {
            0.0
        } else {
            work / (f64::from(served.workers) * rate)
        };
        bounds.service_at_most = ops / rate;
        bounds
    }

    /// Whether all that run and wait and one more could run at the same time as far as memory goes.
    fn memory_suffices(&self, demand: Demand) -> bool {
        let waiting = self.containers.iter().map(|c| c.pending_needs.memory);
        let needed = waiting.sum::<u128>() + u128::from(demand.memory);
        needed <= u128::from(self.processor.memory_free())
    }

    /// Operations per second of each task when as many run as ever can before the next one comes.
    fn slowest_rate(&self) -> f64 {
        let workers = self.containers.iter().map(|c| u64::from(c.workers)).sum();
        let in_system = self.places.len() as u64 + 1;
        let cores = f64::from(self.processor.cores());
        self.processor.speed() * (cores / in_system.min(workers) as f64).min(1.0)
    }
}
