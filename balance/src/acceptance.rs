//! The executor's side of conditional acceptance: how long would a request wait here?

use crate::Nanos;
use crate::average::{SHORTEST, moved};

/// Weight of a new service time, once there are enough of them. A quick average would make all
/// brokers follow the same misestimate.
const WEIGHT: f32 = 0.01;

/// Knows what waits and runs on a pool of workers, and estimates how long the next request would
/// wait for one.
///
/// A request that carries the longest wait that its broker accepts is turned down when all workers
/// are busy and the estimate exceeds it: the broker chose on old information, and another
/// destination would answer sooner. The estimate is
/// `max(0, sum of the service times of all in the system - (w - 1) x their mean) / w`, with mean
/// service times per lambda; it costs one multiplication per lambda.
#[derive(Clone, Debug)]
pub struct Acceptance {
    workers: u32,
    in_system: u32,
    lambdas: Vec<Served>,
    all: Mean,
}

#[derive(Clone, Copy, Debug, Default)]
struct Served {
    in_system: u32,
    service: Mean,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    seconds: f32,
    samples: u32,
}

impl Mean {
    fn record(&mut self, sample: f32) {
        self.samples = self.samples.saturating_add(1);
        self.seconds = moved(self.seconds, sample, self.samples, WEIGHT);
    }
}

impl Acceptance {
    /// For a pool that executes `workers` requests at the same time, at least one, of lambdas that
    /// are numbered from 0.
    #[must_use]
    pub fn new(workers: u32) -> Self {
        Acceptance {
            workers: workers.max(1),
            in_system: 0,
            lambdas: Vec::new(),
            all: Mean::default(),
        }
    }

    /// A request was taken.
    pub fn arrived(&mut self, lambda: usize) {
        if lambda >= self.lambdas.len() {
            self.lambdas.resize(lambda + 1, Served::default());
        }
        self.lambdas[lambda].in_system += 1;
        self.in_system += 1;
    }

    /// A request that was taken has left; `service` is how long it executed, if it did to the end.
    pub fn left(&mut self, lambda: usize, service: Option<Nanos>) {
        let Some(served) = self.lambdas.get_mut(lambda).filter(|l| l.in_system > 0) else {
            return;
        };
        served.in_system -= 1;
        self.in_system -= 1;
        if let Some(service) = service {
            let sample = (service.as_secs_f64() as f32).max(SHORTEST);
            served.service.record(sample);
            self.all.record(sample);
        }
    }

    /// All requests are gone, unexecuted: what was learnt about service times stays.
    pub fn emptied(&mut self) {
        self.in_system = 0;
        for lambda in &mut self.lambdas {
            lambda.in_system = 0;
        }
    }

    /// Requests that wait or run.
    #[must_use]
    pub fn in_system(&self) -> u32 {
        self.in_system
    }

    /// How long a request for `lambda` executes on the average; that of all lambdas before there
    /// was one, and `None` before there was any.
    #[must_use]
    pub fn expected_service(&self, lambda: usize) -> Option<Nanos> {
        let own = self.lambdas.get(lambda).map(|served| served.service);
        let known = [own.unwrap_or_default(), self.all];
        let mean = known.into_iter().find(|mean| mean.samples > 0)?;
        Some(Nanos::from_secs_f64(f64::from(mean.seconds)))
    }

    /// How long a request that comes now would wait for a worker.
    #[must_use]
    pub fn estimated_wait(&self) -> Nanos {
        if self.in_system < self.workers {
            return Nanos::ZERO;
        }
        let all = self.all.seconds;
        let work: f32 = self
            .lambdas
            .iter()
            .map(|lambda| {
                let known = lambda.service.seconds;
                lambda.in_system as f32 * if known > 0.0 { known } else { all }
            })
            .sum();
        let workers = self.workers as f32;
        Nanos::from_secs_f64(f64::from(work - (workers - 1.0) * all) / f64::from(workers))
    }

    /// Whether a request that would wait `max_wait` at the most is to be turned down.
    #[must_use]
    pub fn refuses(&self, max_wait: Option<Nanos>) -> bool {
        max_wait.is_some_and(|max_wait| {
            self.in_system >= self.workers && self.estimated_wait() > max_wait
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(span: u64) -> Nanos {
        Nanos::from_millis(span)
    }

    fn close(actual: Nanos, expected: Nanos) -> bool {
        (actual.as_secs_f64() - expected.as_secs_f64()).abs() < 1e-6
    }

    #[test]
    fn an_idle_worker_means_no_wait_and_no_refusal() {
        let mut pool = Acceptance::new(2);
        pool.arrived(0);
        pool.left(0, Some(millis(10)));
        pool.arrived(0);
        assert_eq!(pool.estimated_wait(), Nanos::ZERO);
        assert!(!pool.refuses(Some(Nanos::ZERO)));
    }

    #[test]
    fn the_wait_is_the_work_in_front_shared_by_the_workers() {
        let mut pool = Acceptance::new(1);
        for (lambda, service) in [(0, 10), (1, 40)] {
            pool.arrived(lambda);
            pool.left(lambda, Some(millis(service)));
        }
        pool.arrived(0);
        pool.arrived(1);
        assert!(close(pool.estimated_wait(), millis(50)));
        assert!(pool.refuses(Some(millis(49))) && !pool.refuses(Some(millis(51))));
        assert!(!pool.refuses(None));
    }

    #[test]
    fn before_anything_was_measured_nothing_is_refused() {
        let mut pool = Acceptance::new(1);
        pool.arrived(3);
        assert_eq!(pool.estimated_wait(), Nanos::ZERO);
        assert!(!pool.refuses(Some(Nanos::ZERO)));
    }

    #[test]
    fn what_is_expected_of_a_lambda_is_its_own_mean_or_else_that_of_all() {
        let mut pool = Acceptance::new(1);
        assert_eq!(pool.expected_service(0), None);
        pool.arrived(1);
        pool.left(1, Some(millis(20)));
        assert!(close(pool.expected_service(0).unwrap(), millis(20)));
        pool.arrived(0);
        pool.left(0, Some(millis(40)));
        assert!(close(pool.expected_service(0).unwrap(), millis(40)));
        assert!(close(pool.expected_service(1).unwrap(), millis(20)));
    }

    #[test]
    fn leaving_without_having_arrived_changes_nothing() {
        let mut pool = Acceptance::new(1);
        pool.left(7, Some(millis(1)));
        pool.arrived(0);
        pool.left(1, None);
        assert_eq!(pool.in_system(), 1);
        pool.emptied();
        pool.left(0, None);
        assert_eq!(pool.in_system(), 0);
    }
}
