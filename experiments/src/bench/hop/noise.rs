//! Was the machine quiet enough to believe the figures?

use std::fmt;
use std::time::{Duration, Instant};

use super::row::Row;
use super::stage::Stage;
use crate::bench::machine::Ticks;
use crate::bench::percentile::median;

/// Share of the machine that others may use.
const OTHERS: f64 = 0.05;
/// Share of the time that the host may give to other machines.
const STOLEN: f64 = 0.02;
/// By how much the CPU time of half of the rows may differ between rounds.
const SPREAD: f64 = 1.15;

/// Watches the machine while hops are measured.
#[derive(Debug)]
pub(super) struct Watch {
    ticks: Ticks,
    started: Instant,
    cpu: Duration,
}

/// What else happened on the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noise {
    others: f64,
    stolen: f64,
    spread: f64,
}

impl Watch {
    pub(super) fn begin(stage: &Stage) -> anyhow::Result<Self> {
        Ok(Self {
            ticks: Ticks::now()?,
            started: Instant::now(),
            cpu: stage.cpu()?,
        })
    }

    pub(super) fn end(&self, stage: &Stage, rows: &[Row]) -> anyhow::Result<Noise> {
        let now = Ticks::now()?;
        let processors = std::thread::available_parallelism()?.get() as f64;
        let ours = stage.cpu()?.saturating_sub(self.cpu).as_secs_f64();
        let ours = ours / (self.started.elapsed().as_secs_f64() * processors);
        let stolen = now.stolen_since(self.ticks);
        let idle = now.idle_since(self.ticks);
        let measured = rows.iter().filter(|row| row.cpu_us > 0.0);
        Ok(Noise {
            others: (1.0 - idle - stolen - ours).max(0.0),
            stolen,
            spread: median(measured.map(|row| row.spread)),
        })
    }
}

impl Noise {
    fn is_quiet(&self) -> bool {
        // Without hops there is no spread.
        let alike = self.spread.is_nan() || self.spread <= SPREAD;
        self.others <= OTHERS && self.stolen <= STOLEN && alike
    }
}

impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_quiet() {
            "quiet enough"
        } else {
            "TOO NOISY TO BELIEVE anything but ratios of CPU times, and those with care"
        };
        write!(
            f,
            "machine: {:.1} % of it used by others (at most {:.0} %), {:.1} % stolen (at most {:.0} %)",
            self.others * 100.0,
            OTHERS * 100.0,
            self.stolen * 100.0,
            STOLEN * 100.0,
        )?;
        if !self.spread.is_nan() {
            write!(
                f,
                ", CPU times of half the rows differ by up to {:.0} % between rounds (at most {:.0} %)",
                (self.spread - 1.0) * 100.0,
                (SPREAD - 1.0) * 100.0
            )?;
        }
        write!(f, ": {verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_theft_and_spread_are_noise() {
        let quiet = Noise {
            others: 0.01,
            stolen: 0.0,
            spread: 1.05,
        };
        assert!(quiet.is_quiet());
        assert!(quiet.to_string().ends_with("quiet enough"));
        let noisy = [
            Noise {
                others: 0.3,
                ..quiet
            },
            Noise {
                stolen: 0.1,
                ..quiet
            },
            Noise {
                spread: 1.5,
                ..quiet
            },
        ];
        for noise in noisy {
            assert!(noise.to_string().contains("TOO NOISY"), "{noise}");
        }
    }
}
