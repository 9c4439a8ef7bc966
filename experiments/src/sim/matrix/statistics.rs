//! Means of log ratios with Student intervals, medians and quantiles.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// How likely an interval contains the true value.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// An arithmetic mean, with the interval in which the true one lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mean {
    pub(crate) value: f64,
    /// The interval reaches so far to both sides; infinitely where there is one sample only.
    pub(crate) margin: f64,
}

impl Mean {
    /// Of independent values: t s / sqrt(n) to both sides, with Student's t for n - 1 degrees of
    /// freedom. `None` of no values.
    pub(crate) fn of(values: &[f64]) -> Option<Mean> {
        let count = values.len() as f64;
        let value = mean(values)?;
        let margin = if values.len() < 2 {
            f64::INFINITY
        } else {
            let squares: f64 = values.iter().map(|one| (one - value).powi(2)).sum();
            let deviation = (squares / (count - 1.0)).sqrt();
            student_t(count - 1.0) * deviation / count.sqrt()
        };
        Some(Mean { value, margin })
    }
}

/// A geometric mean of ratios, with the interval in which the true one lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) mean: f64,
    /// 0 where there is one sample only, from which no interval follows.
    pub(crate) low: f64,
    /// Infinite where there is one sample only.
    pub(crate) high: f64,
}

impl Ratio {
    /// From the logarithms of independent ratios, whose mean and interval it is. `None` of no ratios.
    pub(crate) fn of_logs(logs: &[f64]) -> Option<Ratio> {
        let Mean { value, margin } = Mean::of(logs)?;
        Some(Ratio {
            mean: value.exp(),
            low: (value - margin).exp(),
            high: (value + margin).exp(),
        })
    }

    /// The larger of the distances to the ends of the interval, as a share of the mean.
    pub(crate) fn half_width(&self) -> f64 {
        self.high / self.mean - 1.0
    }
}

/// The two-sided quantile of Student's distribution for [`CONFIDENCE`].
fn student_t(freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom)
        .expect("at least one degree of freedom")
        .inverse_cdf(0.5 + CONFIDENCE / 2.0)
}

/// The arithmetic mean, `None` of nothing.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The geometric mean of numbers above 0, `None` of nothing.
pub(crate) fn geometric_mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let logs: Vec<f64> = values.into_iter().map(f64::ln).collect();
    mean(&logs).map(f64::exp)
}

/// The quantile `q` from 0 to 1, interpolated linearly between order statistics (type 7 of Hyndman
/// and Fan, 1996); `None` of nothing.
pub(crate) fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let place = q * (sorted.len().checked_sub(1)?) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    Some(sorted[below] + (place - place.floor()) * (sorted[above] - sorted[below]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
    }

    #[test]
    fn student_quantiles_are_those_of_the_tables() {
        for (freedom, expected) in [
            (1.0, 12.706_205),
            (2.0, 4.302_653),
            (4.0, 2.776_445),
            (9.0, 2.262_157),
            (29.0, 2.045_230),
            (120.0, 1.979_930),
        ] {
            close(student_t(freedom), expected);
        }
    }

    #[test]
    fn a_mean_has_the_interval_of_student() {
        // Standard deviation 0.1, so t(2) * 0.1 / sqrt(3) = 0.248414.
        let of_three = Mean::of(&[0.1, 0.2, 0.3]).unwrap();
        close(of_three.value, 0.2);
        close(of_three.margin, 0.248_413_77);
        assert_eq!(Mean::of(&[2.0; 10]).unwrap().margin, 0.0);
        assert_eq!(Mean::of(&[2.0]).unwrap().margin, f64::INFINITY);
        assert_eq!(Mean::of(&[]), None);
    }

    #[test]
    fn a_ratio_is_the_geometric_mean_with_the_interval_of_its_logarithm() {
        // Mean 0.2, standard deviation 0.1, so t(2) * 0.1 / sqrt(3) = 0.248414.
        let ratio = Ratio::of_logs(&[0.1, 0.2, 0.3]).unwrap();
        close(ratio.mean, 1.221_402_76);
        close(ratio.low.ln(), 0.2 - 0.248_413_77);
        close(ratio.high.ln(), 0.2 + 0.248_413_77);
        close(ratio.half_width(), 0.248_413_77_f64.exp() - 1.0);
    }

    #[test]
    fn equal_ratios_have_an_interval_of_no_width() {
        let ratio = Ratio::of_logs(&[0.0; 10]).unwrap();
        assert_eq!((ratio.low, ratio.mean, ratio.high), (1.0, 1.0, 1.0));
    }

    #[test]
    fn one_sample_says_nothing_about_the_interval() {
        let ratio = Ratio::of_logs(&[0.0]).unwrap();
        assert_eq!((ratio.low, ratio.mean), (0.0, 1.0));
        assert!(ratio.high.is_infinite());
        assert_eq!(Ratio::of_logs(&[]), None);
    }

    #[test]
    fn means_and_quantiles_match_values_computed_by_hand() {
        close(mean(&[1.0, 2.0, 6.0]).unwrap(), 3.0);
        close(geometric_mean([1.0, 8.0]).unwrap(), 8.0_f64.sqrt());
        close(quantile(&[4.0, 1.0, 3.0, 2.0], 0.5).unwrap(), 2.5);
        close(quantile(&[5.0, 1.0, 2.0, 4.0, 3.0], 0.9).unwrap(), 4.6);
        close(quantile(&[7.0], 0.9).unwrap(), 7.0);
        close(quantile(&[1.0, 2.0], 1.0).unwrap(), 2.0);
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(geometric_mean([]), None);
    }
}
