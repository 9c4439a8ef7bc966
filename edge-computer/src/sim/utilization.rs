//! How busy a processor was: a sample per interval, and means over the last 10 and 30 samples.

use std::collections::VecDeque;

use super::time::Moment;

const SHORT_WINDOW: usize = 10;
const LONG_WINDOW: usize = 30;

/// Utilisation of a processor as fractions from 0 to 1; zeros before the first sample.
///
/// With one sample per second these are the loads over the last 1, 10 and 30 seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loads {
    /// The latest sample.
    pub load1: f32,
    /// Mean of the last 10 samples, or of as many as there are.
    pub load10: f32,
    /// Mean of the last 30 samples, or of as many as there are.
    pub load30: f32,
}

impl Loads {
    /// The three loads in percent, rounded, as lambda responses carry them.
    pub fn percent(&self) -> [u32; 3] {
        [self.load1, self.load10, self.load30].map(|load| (0.5 + 100.0 * load) as u32)
    }
}

/// Integrates the busy cores of one processor and keeps the samples.
#[derive(Clone, Debug)]
pub(super) struct UtilizationMeter {
    cores: u32,
    interval_start: Moment,
    observed_until: Moment,
    busy_core_seconds: f64,
    samples: VecDeque<f32>,
    loads: Loads,
}

impl UtilizationMeter {
    /// A meter whose first interval starts at time zero.
    pub(super) fn new(cores: u32) -> Self {
        UtilizationMeter {
            cores,
            interval_start: Moment::default(),
            observed_until: Moment::default(),
            busy_core_seconds: 0.0,
            samples: VecDeque::with_capacity(LONG_WINDOW),
            loads: Loads::default(),
        }
    }

    /// Notes that `running` tasks ran from the last observation until `at`. More tasks than cores
    /// keep all cores busy, not more.
    pub(super) fn observe(&mut self, at: Moment, running: u32) {
        let at = at.max(self.observed_until);
        let busy = f64::from(running.min(self.cores));
        self.busy_core_seconds += busy * at.since(self.observed_until);
        self.observed_until = at;
    }

    /// Closes the interval at `at` and returns its utilisation. An interval without length is no
    /// sample: the latest one is returned.
    pub(super) fn sample(&mut self, at: Moment, running: u32) -> f32 {
        self.observe(at, running);
        let elapsed = self.observed_until.since(self.interval_start);
        if elapsed <= 0.0 {
            return self.loads.load1;
        }
        let capacity = f64::from(self.cores) * elapsed;
        let sample = (self.busy_core_seconds / capacity).min(1.0) as f32;
        self.interval_start = self.observed_until;
        self.busy_core_seconds = 0.0;
        if self.samples.len() == LONG_WINDOW {
            self.samples.pop_back();
        }
        self.samples.push_front(sample);
        self.loads = Loads {
            load1: sample,
            load10: self.mean_of_last(SHORT_WINDOW),
            load30: self.mean_of_last(LONG_WINDOW),
        };
        sample
    }

    /// The loads as of the latest sample.
    pub(super) fn loads(&self) -> Loads {
        self.loads
    }

    fn mean_of_last(&self, window: usize) -> f32 {
        let count = self.samples.len().min(window);
        let sum: f32 = self.samples.iter().take(count).sum();
        sum / count as f32
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::SimTime;
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from(SimTime::from_nanos(millis * 1_000_000))
    }

    #[test]
    fn l4_l5_loads_are_rounded_percentages() {
        let loads = Loads {
            load1: 0.2,
            load10: 0.5,
            load30: 0.1,
        };
        assert_eq!(loads.percent(), [20, 50, 10]);
        let loads = Loads {
            load1: 0.004,
            load10: 0.005,
            load30: 1.0,
        };
        assert_eq!(loads.percent(), [0, 1, 100]);
    }

    #[test]
    fn loads_are_zero_before_the_first_sample() {
        assert_eq!(UtilizationMeter::new(4).loads(), Loads::default());
    }

    #[test]
    fn queued_work_beyond_the_cores_does_not_count_twice() {
        let mut meter = UtilizationMeter::new(1);
        meter.observe(at(100), 10);
        assert_eq!(meter.sample(at(1000), 0), 0.1);
        let mut meter = UtilizationMeter::new(4);
        meter.observe(at(500), 2);
        assert_eq!(meter.sample(at(1000), 100), 0.75);
    }

    #[test]
    fn an_interval_without_length_is_no_sample() {
        let mut meter = UtilizationMeter::new(1);
        assert_eq!(meter.sample(at(0), 1), 0.0);
        assert_eq!(meter.sample(at(1000), 1), 1.0);
        assert_eq!(meter.sample(at(1000), 0), 1.0);
        assert_eq!(meter.loads().load10, 1.0);
    }

    #[test]
    fn windows_are_of_10_and_30_samples() {
        let mut meter = UtilizationMeter::new(1);
        let mut now = 0;
        let mut samples = |meter: &mut UtilizationMeter, count, running| {
            for _ in 0..count {
                now += 1000;
                meter.sample(at(now), running);
            }
        };
        samples(&mut meter, 2, 1);
        samples(&mut meter, 2, 0);
        let loads = meter.loads();
        assert_eq!((loads.load1, loads.load10, loads.load30), (0.0, 0.5, 0.5));
        samples(&mut meter, 8, 0);
        assert_eq!(meter.loads().load10, 0.0);
        assert_eq!(meter.loads().load30, 2.0 / 12.0);
        samples(&mut meter, 18, 0);
        assert_eq!(meter.loads().load30, 2.0 / 30.0);
        samples(&mut meter, 2, 0);
        assert_eq!(meter.loads().load30, 0.0);
    }
}
