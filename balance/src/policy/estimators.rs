//! The dispatcher's estimators: policies that predict the time of each request instead of averaging
//! over all.

mod fit;
mod predicting;
mod probing;
mod spread;
mod window;

use super::shared::Built;
use crate::Nanos;
use std::fmt;

/// By which prediction a dispatcher chooses, after the `PtimeEstimator`s of the C++ reference.
///
/// | estimator | use it when | smallest of |
/// |---|---|---|
/// | rtt | computers are alike and the network is what differs | time that is not spent at the destination |
/// | util | destinations report processing times and loads | network + processing time |
/// | delay | destinations report loads only | time until the answer |
/// | probe | destinations estimate well and a round trip before each request is affordable | network + their own estimates |
///
/// Network times are fitted to the size of the input, processing times and delays to size and load,
/// by least squares over a moving window for each pair of lambda and destination. Unlike in the
/// reference, one fit serves all sizes, no prediction is negative, requests in flight count, and a
/// destination that was not measured gets one request rather than all until it answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EstimatorConfig {
    /// Time on the network, as a function of the size of the input.
    Rtt {
        /// Samples that count, at least 1.
        window_size: usize,
        /// Older samples do not count; zero: they always do.
        stale_period: Nanos,
    },
    /// Time on the network and processing time, the latter as a function of size and load.
    Util {
        /// Samples of network times that count, at least 1.
        rtt_window_size: usize,
        /// Older samples of network times do not count; zero: they always do.
        rtt_stale_period: Nanos,
        /// Samples of processing times that count, at least 1.
        util_window_size: usize,
        /// Older samples of processing times do not count; zero: they always do.
        util_stale_period: Nanos,
        /// A load that was reported longer ago is taken for none.
        util_load_timeout: Nanos,
    },
    /// Time until the answer, as a function of size and load.
    Delay {
        /// Samples that count, at least 1.
        util_window_size: usize,
        /// Older samples do not count; zero: they always do.
        util_stale_period: Nanos,
        /// A load that was reported longer ago is taken for none.
        util_load_timeout: Nanos,
    },
    /// What the destinations say when they are asked, see
    /// [`ForwardingTable::inquire`](crate::ForwardingTable::inquire).
    Probe,
}

impl EstimatorConfig {
    /// The type string.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            EstimatorConfig::Rtt { .. } => "rtt",
            EstimatorConfig::Util { .. } => "util",
            EstimatorConfig::Delay { .. } => "delay",
            EstimatorConfig::Probe => "probe",
        }
    }

    /// Fresh state for one lambda.
    pub(super) fn build(self) -> Built {
        match predicting::Spans::of(self) {
            Some(spans) => Built::for_one(predicting::Predicting::new(spans)),
            None => Built::for_one(probing::Probing::default()),
        }
    }
}

impl fmt::Display for EstimatorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an estimator predicted for a request when it was picked. It stays with the
/// [`Pick`](crate::Pick), whatever becomes of the route meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Forecast {
    /// Size of the input in bytes.
    pub input_bytes: usize,
    /// The last load that is known of the destination, from 0 to 1; 0 if it is too old, or unused.
    pub load: f64,
    /// Seconds on the network; 0 if unknown, or unused.
    pub network: f64,
    /// Seconds at the destination (under `delay`, until the answer), with what the requests of this
    /// broker add that are under way there; 0 if unknown, or unused.
    pub processing: f64,
}

impl Forecast {
    /// Seconds until the answer.
    fn seconds(&self) -> f64 {
        self.network + self.processing
    }

    pub(crate) fn span(&self) -> Option<Nanos> {
        let seconds = self.seconds();
        (seconds > 0.0).then(|| Nanos::from_secs_f64(seconds))
    }
}
