//! Settings that mean nothing beside others.

use super::{Config, ConfigProblem, require};

const FOR_OPEN_LOOP: &str = "it is for an open loop; give a `rate`";
const FOR_CLOSED_LOOP: &str = "it is for a closed loop; leave `rate` away";

impl Config {
    /// Whether all that is not as by default has an effect. (What is as by default may stand
    /// there in so many words, as in a configuration that was printed.)
    pub(super) fn validate_effects(&self) -> Result<(), ConfigProblem> {
        let default = Self::default();
        let is_open = self.rate.is_some();
        for (key, is_set, has_effect, problem) in [
            (
                "arrivals",
                self.arrivals != default.arrivals,
                is_open,
                FOR_OPEN_LOOP,
            ),
            (
                "max-outstanding",
                self.max_outstanding != default.max_outstanding,
                is_open,
                FOR_OPEN_LOOP,
            ),
            (
                "num-threads",
                self.num_threads != default.num_threads,
                !is_open,
                FOR_CLOSED_LOOP,
            ),
            (
                "inter-request-time",
                self.inter_request_time != default.inter_request_time,
                !is_open,
                FOR_CLOSED_LOOP,
            ),
            (
                "inter-request-type",
                self.inter_request_type != default.inter_request_type,
                !is_open,
                FOR_CLOSED_LOOP,
            ),
        ] {
            require(key, has_effect || !is_set, problem)?;
        }
        Ok(())
    }
}
