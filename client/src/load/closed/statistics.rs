//! What one client logs in the end, as a client of the C++ reference does.

use crate::Answer;
use crate::moments::Moments;
use crate::number::general;

/// Latency and processing time of one client's answers, in seconds.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    latency: Moments,
    processing: Moments,
}

impl Statistics {
    pub(super) fn add(&mut self, answer: &Answer) {
        self.latency.add(answer.latency.as_secs_f64());
        self.processing.add(f64::from(answer.response.ptime) / 1e3);
    }

    /// Logs means and standard deviations, if there was an answer.
    pub(super) fn log(&self, client: u64) {
        for (name, moments) in [("latency", &self.latency), ("processing", &self.processing)] {
            if let Some((mean, deviation)) = moments.summary() {
                let (mean, deviation) = (general(mean), general(deviation));
                tracing::info!(client, "{name} {mean} +- {deviation}");
            }
        }
    }
}
