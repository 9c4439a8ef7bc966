//! How busy the host was during a validation: the figures of a busy one are not those of the daemons.

use anyhow::Context as _;
use serde::Serialize;

/// Programs that ran or wanted to, on average over a minute, as Linux counts them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct LoadAverage {
    before: f64,
    after: f64,
}

/// The validation itself needs about one core, for a moment now and then.
const BUSY: f64 = 1.5;

impl LoadAverage {
    pub(super) fn new(before: f64, after: f64) -> Self {
        LoadAverage { before, after }
    }

    /// Whether others kept the host busy.
    pub(super) fn is_busy(self) -> bool {
        self.before > BUSY || self.after > BUSY
    }

    /// For people.
    pub(super) fn text(self) -> String {
        let remark = if self.is_busy() {
            format!(
                ": above {BUSY} other programs delay the daemons, and what is outside may be their doing"
            )
        } else {
            String::new()
        };
        format!(
            "load average {:.2} before, {:.2} after{remark}",
            self.before, self.after
        )
    }
}

/// The load average now.
///
/// # Errors
/// The host does not tell it.
pub(super) fn load_average() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").context("cannot read the load average")?;
    parse(&text)
}

fn parse(text: &str) -> anyhow::Result<f64> {
    let first = text.split_whitespace().next();
    first
        .and_then(|first| first.parse().ok())
        .with_context(|| format!("'{text}' does not begin with a load average"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_of_the_last_minute_is_read() {
        assert_eq!(parse("2.18 3.61 2.85 4/320 12345\n").unwrap(), 2.18);
        assert!(parse("").is_err());
    }

    #[test]
    fn a_host_that_is_busy_before_or_after_is_called_so() {
        for (before, after, busy) in [(0.1, 1.4, false), (1.6, 0.2, true), (0.2, 3.0, true)] {
            let load = LoadAverage::new(before, after);
            assert_eq!(load.is_busy(), busy);
            assert_eq!(load.text().contains("other programs"), busy);
        }
    }
}
