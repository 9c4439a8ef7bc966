//! What a run comes to.

use super::job::Job;
use super::scenario::Scenario;

/// Figures of one run, without its warm-up. Latencies are in seconds as clients see them; a request
/// that failed for good counts as its latency so far and 2 s.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// Requests that count.
    pub(crate) requests: u64,
    /// Of them, those that failed for good.
    pub(crate) errors: u64,
    /// Times that they were sent to an executor.
    pub(crate) attempts: u64,
    /// Attempts that an executor refused because of the wait.
    pub(crate) refusals: u64,
    /// Probes sent, in the whole run.
    pub(crate) probes: u64,
    /// Mean latency.
    pub(crate) mean: f64,
    /// Median.
    pub(crate) p50: f64,
    /// 99th percentile.
    pub(crate) p99: f64,
    /// 99.9th percentile.
    pub(crate) p999: f64,
    /// Share of each executor in the completed requests.
    pub(crate) share: Vec<f64>,
    /// Virtual time from the start to the last answer.
    pub(crate) simulated_seconds: f64,
}

/// What a request that failed for good costs, in seconds, on top of the time it took.
const FAILURE_COSTS: f64 = 2.0;

/// Counts while the run lasts.
#[derive(Debug)]
pub(super) struct Tally {
    answered: usize,
    /// When the last answer came, in nanoseconds.
    last: u64,
    /// Seconds; exact to 7 digits.
    latencies: Vec<f32>,
    sum: f64,
    errors: u64,
    attempts: u64,
    refusals: u64,
    probes: u64,
    completed: Vec<u64>,
}

impl Tally {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Tally {
            answered: 0,
            last: 0,
            latencies: Vec::with_capacity(scenario.requests),
            sum: 0.0,
            errors: 0,
            attempts: 0,
            refusals: 0,
            probes: 0,
            completed: vec![0; scenario.speeds.len()],
        }
    }

    /// Requests that are over, counted or not.
    pub(super) fn answered(&self) -> usize {
        self.answered
    }

    pub(super) fn done(&mut self, job: &Job, now: u64) {
        if self.ended(job, now, 0.0) {
            self.completed[job.to.executor as usize] += 1;
        }
    }

    pub(super) fn probed(&mut self) {
        self.probes += 1;
    }

    pub(super) fn refused(&mut self, job: &Job) {
        self.refusals += u64::from(job.counts);
    }

    pub(super) fn failed(&mut self, job: &Job, now: u64) {
        if self.ended(job, now, FAILURE_COSTS) {
            self.errors += 1;
        }
    }

    fn ended(&mut self, job: &Job, now: u64, extra: f64) -> bool {
        self.answered += 1;
        self.last = self.last.max(now);
        if job.counts {
            let latency = (now - job.request.at) as f64 * 1e-9 + extra;
            self.latencies.push(latency as f32);
            self.sum += latency;
            self.attempts += u64::from(job.attempts);
        }
        job.counts
    }

    /// A latency in seconds that a share `q` of the requests that count did not exceed.
    pub(super) fn percentile(&mut self, q: f64) -> f64 {
        let [value] = percentiles(&mut self.latencies, [q]);
        value
    }

    pub(super) fn outcome(mut self) -> Outcome {
        let requests = self.latencies.len();
        let [p50, p99, p999] = percentiles(&mut self.latencies, [0.5, 0.99, 0.999]);
        let completed = self.completed.iter().sum::<u64>().max(1) as f64;
        Outcome {
            requests: requests as u64,
            errors: self.errors,
            attempts: self.attempts,
            refusals: self.refusals,
            probes: self.probes,
            mean: self.sum / requests.max(1) as f64,
            p50,
            p99,
            p999,
            share: self
                .completed
                .iter()
                .map(|n| *n as f64 / completed)
                .collect(),
            simulated_seconds: self.last as f64 * 1e-9,
        }
    }
}

/// For each share, in ascending order, the smallest value that this share of all does not exceed; 0
/// of none.
fn percentiles<const N: usize>(values: &mut [f32], shares: [f64; N]) -> [f64; N] {
    let count = values.len();
    // Those from `start` on are not less than those before it.
    let (mut rest, mut start) = (values, 0);
    shares.map(|share| {
        let Some(last) = count.checked_sub(1) else {
            return 0.0;
        };
        let rank = (share * count as f64).ceil() as usize;
        let index = rank.saturating_sub(1).min(last);
        let (_, value, _) = rest.select_nth_unstable_by(index - start, f32::total_cmp);
        let value = f64::from(*value);
        rest = &mut std::mem::take(&mut rest)[index - start..];
        start = index;
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut values: Vec<f32> = (1..=1000).rev().map(|i| i as f32).collect();
        let shares = [0.001, 0.5, 0.99, 0.999, 1.0];
        assert_eq!(
            percentiles(&mut values, shares),
            [1.0, 500.0, 990.0, 999.0, 1000.0]
        );
        let one = f64::from(values[7]);
        assert_eq!(percentiles(&mut values[7..8], [0.5, 0.999]), [one, one]);
        assert_eq!(percentiles(&mut [], [0.5]), [0.0]);
    }
}
