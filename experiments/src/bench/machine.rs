//! How busy the whole machine is.

use anyhow::Context as _;

/// CPU time of all processors so far, in ticks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    idle: u64,
    stolen: u64,
    all: u64,
}

impl Ticks {
    /// As of now.
    pub(crate) fn now() -> anyhow::Result<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat")?).context("unexpected /proc/stat")
    }

    /// The first line: user, nice, system, idle, iowait, irq, softirq, steal; what follows is
    /// contained in these.
    fn parse(stat: &str) -> Option<Self> {
        let fields = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = fields
            .split_whitespace()
            .take(8)
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        let idle = ticks.get(3)? + ticks.get(4)?;
        Some(Self {
            idle,
            stolen: ticks.get(7).copied().unwrap_or(0),
            all: ticks.iter().sum(),
        })
    }

    /// Share of the time from `earlier` until now that was idle.
    pub(crate) fn idle_since(self, earlier: Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all).max(1);
        self.idle.saturating_sub(earlier.idle) as f64 / all as f64
    }

    /// Share of the time from `earlier` until now that the host gave to other machines.
    pub(crate) fn stolen_since(self, earlier: Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all).max(1);
        self.stolen.saturating_sub(earlier.stolen) as f64 / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_disks_is_idle() {
        let before = Ticks::parse("cpu  10 0 10 100 0 0 0 0 0 0\ncpu0 1").unwrap();
        let after = Ticks::parse("cpu  20 5 15 150 20 3 4 3 20 0\ncpu0 1").unwrap();
        assert_eq!(after.idle_since(before), 0.7);
        assert_eq!(after.stolen_since(before), 3.0 / 100.0);
        assert!(Ticks::parse("cpu  1 2").is_none());
    }
}
