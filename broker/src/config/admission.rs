//! How many requests may be where, and who waits.

use std::time::Duration;

use edge_balance::{CoreLimit, LimitConfig, QueueConfig};
use serde::{Deserialize, Serialize};

/// The section `admission`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AdmissionConfig {
    /// Requests that may wait for a place at a destination, 1 to 65536.
    pub max_waiting: usize,
    /// Those that would wait for longer, and for longer than twenty times what requests of their
    /// lambda execute, are refused at once; up to a minute.
    #[serde(with = "edge_daemon::duration")]
    pub max_wait: Duration,
    /// Whether the requests of this router at a destination that says how busy it is are limited to
    /// what keeps it busy; all that is below concerns this limit.
    pub limits: bool,
    /// The limit is never lower, 1 to 1000000.
    pub min_limit: u32,
    /// Nor higher.
    pub max_limit: u32,
    /// How many times longer than without any wait answers may take before the limit falls, 1.1 to
    /// 10.
    pub tolerance: f32,
    /// Requests that one core of this router answers at the same time, 1024 to 1000000; less where
    /// the core cannot keep up.
    pub max_in_flight_per_core: u32,
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        let limits = LimitConfig::default();
        Self {
            max_waiting: QueueConfig::default().max_waiting,
            max_wait: Duration::from_millis(500),
            limits: true,
            min_limit: limits.min,
            max_limit: limits.max,
            tolerance: limits.tolerance,
            max_in_flight_per_core: 16_384,
        }
    }
}

impl AdmissionConfig {
    pub(crate) fn queue(&self) -> QueueConfig {
        QueueConfig {
            max_waiting: self.max_waiting,
            max_wait: self.max_wait.into(),
        }
    }

    pub(crate) fn limits(&self) -> Option<LimitConfig> {
        self.limits.then(|| LimitConfig {
            min: self.min_limit,
            max: self.max_limit,
            start: LimitConfig::default()
                .start
                .clamp(self.min_limit, self.max_limit),
            tolerance: self.tolerance,
        })
    }

    pub(crate) fn core_limit(&self) -> CoreLimit {
        CoreLimit::new(self.max_in_flight_per_core)
    }

    /// What is out of range, if anything: key and problem.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        const MOST: u32 = 1_000_000;
        let out_of_range = |value: &dyn std::fmt::Display,
                            low: &dyn std::fmt::Display,
                            high: &dyn std::fmt::Display| {
            format!("{value} is not between {low} and {high}")
        };
        if !(1..=65_536).contains(&self.max_waiting) {
            return Err((
                "admission.max-waiting",
                out_of_range(&self.max_waiting, &1, &65_536),
            ));
        }
        if self.max_wait > Duration::from_secs(60) {
            let problem = format!("{:?} is longer than a minute", self.max_wait);
            return Err(("admission.max-wait", problem));
        }
        if !(1..=MOST).contains(&self.min_limit) {
            return Err((
                "admission.min-limit",
                out_of_range(&self.min_limit, &1, &MOST),
            ));
        }
        if !(self.min_limit..=MOST).contains(&self.max_limit) {
            let problem = out_of_range(&self.max_limit, &self.min_limit, &MOST);
            return Err(("admission.max-limit", problem));
        }
        if !(1.1..=10.0).contains(&self.tolerance) {
            return Err((
                "admission.tolerance",
                out_of_range(&self.tolerance, &1.1, &10),
            ));
        }
        if !(1024..=MOST).contains(&self.max_in_flight_per_core) {
            let problem = out_of_range(&self.max_in_flight_per_core, &1024, &MOST);
            return Err(("admission.max-in-flight-per-core", problem));
        }
        Ok(())
    }
}
