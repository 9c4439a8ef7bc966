//! The links of the published experiments.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::impair::quality::Quality;

/// Names of links; how slow they are depends on the experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Speed {
    Slow,
    Medium,
    Fast,
}

impl Speed {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Medium => "medium",
            Self::Fast => "fast",
        }
    }

    /// Experiment 302: each link with that loss, in per cent.
    pub(crate) fn of_302(self, loss_percent: f64) -> Quality {
        let (delay, megabits) = match self {
            Self::Slow => (Duration::from_millis(10), 1),
            Self::Medium => (Duration::from_millis(1), 10),
            Self::Fast => (Duration::from_micros(100), 100),
        };
        Quality::new(delay, megabits, loss_percent)
    }

    /// Experiment 303.
    pub(crate) fn of_303(self) -> Quality {
        let (delay, megabits) = match self {
            Self::Slow => (Duration::from_millis(50), 1),
            Self::Medium => (Duration::from_millis(10), 10),
            Self::Fast => (Duration::from_micros(100), 100),
        };
        Quality::new(delay, megabits, 0.0)
    }
}
