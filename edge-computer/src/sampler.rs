//! The utilisation of pools that are not simulated: the share of their workers' time that was spent,
//! once per second.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use edge_proto::rpc::Utilization;
use tokio::sync::broadcast;
use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

use crate::sim::Loads;

/// Time between two samples.
const EVERY: Duration = Duration::from_secs(1);
/// Samples that a slow subscriber may be behind.
const KEPT: usize = 16;
/// Samples that loads are made of.
const REMEMBERED: usize = 30;

/// Takes samples of processors and lambdas by name.
#[derive(Debug)]
pub(crate) struct Sampler {
    samples: broadcast::Sender<Arc<Utilization>>,
    past: Arc<Mutex<Past>>,
    _task: AbortOnDropHandle<()>,
}

/// Shares that were busy, from 0 to 1, by name.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// Of all workers of a processor: what is streamed.
    pub(crate) processors: BTreeMap<String, f32>,
    /// Of those that are for one lambda only.
    pub(crate) lambdas: BTreeMap<String, f32>,
}

/// The share of `period` that was `busy`, the time of `workers` workers added up.
pub(crate) fn share(busy: Duration, workers: u32, period: Duration) -> f32 {
    let there = period.as_secs_f64() * f64::from(workers);
    if there == 0.0 {
        return 0.0;
    }
    (busy.as_secs_f64() / there).min(1.0) as f32
}

#[derive(Debug, Default)]
struct Past {
    processors: Series,
    lambdas: Series,
}

/// The latest samples by name, the newest first.
type Series = BTreeMap<String, VecDeque<f32>>;

impl Sampler {
    /// Asks `shares` once per second what was busy in the period that has ended now, on the present
    /// runtime, until it is dropped.
    pub(crate) fn start(shares: impl Fn(Instant, Duration) -> Shares + Send + 'static) -> Self {
        let samples = broadcast::Sender::new(KEPT);
        let past = Arc::new(Mutex::new(Past::default()));
        let (sending, remembering) = (samples.clone(), past.clone());
        let mut begun = Instant::now();
        let task = tokio::spawn(async move {
            let first = tokio::time::Instant::now() + EVERY;
            let mut ticks = tokio::time::interval_at(first, EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                let now = Instant::now();
                let shares = shares(now, now - begun);
                begun = now;
                let mut past = lock(&remembering);
                remember(&mut past.processors, &shares.processors);
                remember(&mut past.lambdas, &shares.lambdas);
                drop(past);
                let values = shares.processors.into_iter().collect();
                // An error means that nobody is interested.
                drop(sending.send(Arc::new(Utilization { values })));
            }
        });
        Self {
            samples,
            past,
            _task: AbortOnDropHandle::new(task),
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Utilization>> {
        self.samples.subscribe()
    }

    /// The loads of the processor `name`.
    pub(crate) fn of_processor(&self, name: &str) -> Loads {
        lock(&self.past)
            .processors
            .get(name)
            .map_or_else(Loads::default, loads)
    }

    /// The loads of the workers of the lambda `name`.
    pub(crate) fn of_lambda(&self, name: &str) -> Loads {
        lock(&self.past)
            .lambdas
            .get(name)
            .map_or_else(Loads::default, loads)
    }
}

fn lock(past: &Mutex<Past>) -> MutexGuard<'_, Past> {
    past.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember(past: &mut Series, values: &BTreeMap<String, f32>) {
    past.retain(|name, _| values.contains_key(name));
    for (name, value) in values {
        let samples = past.entry(name.clone()).or_default();
        samples.truncate(REMEMBERED - 1);
        samples.push_front(*value);
    }
}

fn loads(samples: &VecDeque<f32>) -> Loads {
    let mean = |count: usize| {
        let count = count.min(samples.len()).max(1);
        samples.iter().take(count).sum::<f32>() / count as f32
    };
    Loads {
        load1: mean(1),
        load10: mean(10),
        load30: mean(30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_time_of_all_workers() {
        let second = Duration::from_secs(1);
        assert_eq!(share(second, 4, second), 0.25);
        assert_eq!(share(second, 4, 2 * second), 0.125);
        assert_eq!(share(2 * second, 1, second), 1.0);
        assert_eq!(share(second, 0, second), 0.0);
        assert_eq!(share(second, 1, Duration::ZERO), 0.0);
    }

    #[test]
    fn loads_are_means_of_what_there_is_and_pools_that_are_gone_are_forgotten() {
        let mut past = Series::new();
        for busy in [0.0, 1.0] {
            remember(&mut past, &BTreeMap::from([("a".to_owned(), busy)]));
        }
        let Loads {
            load1,
            load10,
            load30,
        } = loads(&past["a"]);
        assert_eq!((load1, load10, load30), (1.0, 0.5, 0.5));
        for _ in 0..2 * REMEMBERED {
            remember(&mut past, &BTreeMap::from([("b".to_owned(), 0.25)]));
        }
        assert_eq!((past.len(), past["b"].len()), (1, REMEMBERED));
    }
}
