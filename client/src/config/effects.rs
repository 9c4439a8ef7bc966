//! Settings that mean nothing beside others.

use super::{Config, ConfigProblem, is_stdout, require};

const FOR_OPEN_LOOP: &str = "it is for an open loop; give a `rate`";
const FOR_ETSI: &str = "it goes with `etsi.api-root`: give one";
const FOR_CLOSED_LOOP: &str = "it is for a closed loop; leave `rate` away";

impl Config {
    /// Whether all that is not as by default has an effect. (What is as by default may stand
    /// there in so many words, as in a configuration that was printed.)
    pub(super) fn validate_effects(&self) -> Result<(), ConfigProblem> {
        let default = Self::default();
        let is_open = self.rate.is_some();
        let has_file = self
            .output_file
            .as_deref()
            .is_some_and(|path| !is_stdout(path));
        let etsi = &self.etsi;
        let follows = etsi.api_root.is_some();
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
            (
                "sizes",
                self.sizes != default.sizes,
                self.content.is_none(),
                "there is a `content`, too: give only one of them",
            ),
            (
                "append",
                self.append,
                has_file,
                "there is nothing to add to: give the file as `output-file`",
            ),
            (
                "etsi.notification-uri",
                etsi.notification_uri != default.etsi.notification_uri,
                follows,
                FOR_ETSI,
            ),
            (
                "etsi.token-file",
                etsi.token_file.is_some(),
                follows,
                FOR_ETSI,
            ),
            ("etsi.ca-file", etsi.ca_file.is_some(), follows, FOR_ETSI),
            (
                "etsi.certificate",
                etsi.certificate.is_some(),
                follows,
                FOR_ETSI,
            ),
        ] {
            require(key, has_effect || !is_set, problem)?;
        }
        Ok(())
    }
}
