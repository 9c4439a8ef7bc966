//! What a run comes to.

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
pub(crate) const FAILURE_COSTS: f64 = 2.0;
