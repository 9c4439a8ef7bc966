//! The utilisation of pools that are not simulated: how many of their workers are busy, once per
//! second.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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

/// Takes samples of pools by name.
#[derive(Debug)]
pub(crate) struct Sampler {
    samples: broadcast::Sender<Arc<Utilization>>,
    past: Arc<Mutex<Past>>,
    _task: AbortOnDropHandle<()>,
}

/// The latest samples of each pool, the newest first.
type Past = BTreeMap<String, VecDeque<f32>>;

impl Sampler {
    /// Asks `busy` once per second for the share of each pool that is busy, from 0 to 1, on the
    /// present runtime, until it is dropped.
    pub(crate) fn start(busy: impl Fn() -> BTreeMap<String, f32> + Send + 'static) -> Self {
        let samples = broadcast::Sender::new(KEPT);
        let past = Arc::new(Mutex::new(Past::new()));
        let (sending, remembering) = (samples.clone(), past.clone());
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                let values = busy();
                remember(&remembering, &values);
                let values = values.into_iter().collect();
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

    /// The loads of the pool `name`.
    pub(crate) fn loads(&self, name: &str) -> Loads {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.get(name).map_or_else(Loads::default, loads)
    }
}

fn remember(past: &Mutex<Past>, values: &BTreeMap<String, f32>) {
    let mut past = past.lock().unwrap_or_else(PoisonError::into_inner);
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
    fn loads_are_means_of_what_there_is_and_pools_that_are_gone_are_forgotten() {
        let past = Mutex::new(Past::new());
        for busy in [0.0, 1.0] {
            remember(&past, &BTreeMap::from([("a".to_owned(), busy)]));
        }
        let all = past.lock().unwrap();
        let Loads {
            load1,
            load10,
            load30,
        } = loads(&all["a"]);
        assert_eq!((load1, load10, load30), (1.0, 0.5, 0.5));
        drop(all);
        for _ in 0..2 * REMEMBERED {
            remember(&past, &BTreeMap::from([("b".to_owned(), 0.25)]));
        }
        let all = past.lock().unwrap();
        assert_eq!((all.len(), all["b"].len()), (1, REMEMBERED));
    }
}
