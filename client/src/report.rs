//! What a run amounted to: counts, rates, percentiles, shares.

mod json;
mod text;

use std::time::Duration;

use hdrhistogram::Histogram;

pub use crate::tally::{Failures, MOST_DESTINATIONS, OTHERS, Second, Served, Tally};

/// How requests were generated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// At this rate, in requests per second, whatever became of them.
    Open {
        /// Requests per second.
        rate: f64,
    },
    /// By clients that wait for one answer before the next request.
    Closed {
        /// How many clients.
        clients: usize,
    },
}

/// The result of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// How requests were generated.
    pub mode: Mode,
    /// From the beginning to the last answer or, if that is later, to the end
    /// of the time for which an open loop was to send, or to when the last of
    /// its requests was due.
    pub elapsed: Duration,
    /// What became of the requests.
    pub tally: Tally,
}

impl Report {
    /// Requests answered with "OK", per second; 0 if there were none.
    #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53 requests")]
    pub fn rate_reached(&self) -> f64 {
        if self.tally.ok == 0 || self.elapsed.is_zero() {
            return 0.0;
        }
        self.tally.ok as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency below which the fraction `quantile` of the answers stayed;
    /// `None` if there was no answer.
    pub fn latency(&self, quantile: f64) -> Option<Duration> {
        at(quantile, &self.tally.latency, self.tally.served().longest)
    }

    /// How long after it was due the fraction `quantile` of the requests had left; `None` in a
    /// closed loop.
    pub fn lag(&self, quantile: f64) -> Option<Duration> {
        at(quantile, &self.tally.lag, self.tally.longest_lag)
    }

    /// For people.
    pub fn to_text(&self) -> String {
        text::render(self)
    }

    /// For programs: one JSON object in one line, without a line feed.
    ///
    /// | key | meaning |
    /// |---|---|
    /// | `mode` | `open` or `closed` |
    /// | `sent` | requests that were due; always `ok` + `errors` |
    /// | `ok` | requests answered with "OK" |
    /// | `errors` | requests that failed |
    /// | `errors_by_kind` | object: kind (`connect`, `deadline`, `retcode:not-found`, …) to `count` and an `example`, which is cut if it is long |
    /// | `elapsed_s` | [`elapsed`](Self::elapsed) |
    /// | `rate_asked` | requests per second asked for; null in a closed loop |
    /// | `rate_reached` | answers "OK" per second |
    /// | `latency_ms` | `mean`, `p50`, `p90`, `p99`, `p99_9`, `max` of the answers "OK" in milliseconds; null without any |
    /// | `lag_ms` | `p50`, `p99`, `max` of the time from due to sent in milliseconds; null in a closed loop |
    /// | `destinations` | list: `responder`, `count`, `share` (0 to 1), `mean_ms`, `max_ms`; responders beyond [`MOST_DESTINATIONS`] as [`OTHERS`] |
    /// | `per_second` | list, one element per second in which requests were due: `second`, `sent`, `ok`, `errors`, `mean_ms`, `max_ms` |
    pub fn to_json(&self) -> String {
        json::render(self)
    }
}

/// What a histogram of nanoseconds says, which is exact to three digits, but no more than the
/// `longest`, which is exact.
fn at(quantile: f64, histogram: &Histogram<u64>, longest: Duration) -> Option<Duration> {
    let value = || Duration::from_nanos(histogram.value_at_quantile(quantile));
    (!histogram.is_empty()).then(|| value().min(longest))
}

/// A duration in milliseconds.
fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
