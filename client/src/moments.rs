//! Mean and standard deviation of a stream of samples.

/// Mean and standard deviation without storing the samples (Welford,
/// Technometrics 4, 1962).
#[derive(Debug, Clone, Default)]
pub(crate) struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53 samples")]
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        let from_old = value - self.mean;
        self.mean += from_old / self.count as f64;
        self.squares += from_old * (value - self.mean);
    }

    /// Mean and population standard deviation; `None` without samples.
    #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53 samples")]
    pub(crate) fn summary(&self) -> Option<(f64, f64)> {
        (self.count > 0).then(|| (self.mean, (self.squares / self.count as f64).sqrt()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_population() {
        let mut moments = Moments::default();
        assert_eq!(moments.summary(), None);
        for value in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0] {
            moments.add(value);
        }
        let (mean, deviation) = moments.summary().unwrap();
        assert!((mean - 5.0).abs() < 1e-12 && (deviation - 2.0).abs() < 1e-12);
    }
}
