//! The thread that lets time pass: it wakes up when a task ends and once per second.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use edge_proto::rpc::Utilization;

use super::shared::Shared;
use crate::sim::SimTime;

/// Time between two samples of utilisation.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Runs until the platform stops.
pub(super) fn tick(shared: &Shared) {
    let mut next_sample = SimTime::ZERO + SAMPLE_EVERY;
    let mut inner = shared.lock();
    while !inner.stopped {
        let now = shared.now();
        let deliveries = inner.collect(now);
        let sample = (now >= next_sample).then(|| inner.computer.sample_utilization(now));
        if deliveries.is_empty() && sample.is_none() {
            let wake_up = match inner.computer.next_completion() {
                Some(completion) => completion.min(next_sample),
                None => next_sample,
            };
            inner.armed = wake_up;
            let waited = shared.changed.wait_timeout(inner, wake_up.since(now));
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
            inner.armed = SimTime::ZERO;
            continue;
        }
        drop(inner);
        deliveries.send();
        if let Some(values) = sample {
            // A machine that was suspended has missed samples; it does not make up for them.
            while next_sample <= now {
                next_sample = next_sample + SAMPLE_EVERY;
            }
            let sample = Arc::new(Utilization { values });
            // An error means that nobody is interested.
            drop(shared.samples.send(sample));
        }
        inner = shared.lock();
    }
}
