//! Linear least squares over a few samples, in one or two regressors.

/// What one request taught: a time, and what it is thought to depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// Size of the input in bytes.
    pub(super) size: f64,
    /// Load of the destination, from 0 to 1; always 0 where load does not matter.
    pub(super) load: f64,
    /// In seconds.
    pub(super) seconds: f64,
}

/// Below this share of the product of both variances what is left of their determinant is rounding:
/// the regressors tell the same.
const COLLINEAR: f64 = 1e-9;

/// A plane through the mean of the points: `seconds = y + b_size (size - x) + b_load (load - z)`.
///
/// The slopes are those of least squares under the condition that none is negative: no request gets
/// quicker because its input is larger or its destination busier, and a slope that says so is noise,
/// which predicts nothing at all for a request that is unlike the others. What is constant among the
/// points, or varies with the other regressor only, has no slope of its own. So one point, or points
/// with equal regressors, give the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fit {
    mean: Point,
    size_slope: f64,
    load_slope: f64,
}

/// Sums of products of deviations from the mean: x size, z load, y seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    xx: f64,
    zz: f64,
    xz: f64,
    xy: f64,
    zy: f64,
}

impl Fit {
    /// None if there are no points.
    pub(super) fn of<'a>(points: impl Iterator<Item = &'a Point> + Clone) -> Option<Self> {
        // Deviations from the first point are exact zeros where all are equal; deviations from a
        // rounded mean are not, and would make a slope out of rounding.
        let first = *points.clone().next()?;
        let mut count = 0.0;
        let mut mean = Point {
            size: 0.0,
            load: 0.0,
            seconds: 0.0,
        };
        for point in points.clone() {
            let point = point.from(&first);
            count += 1.0;
            mean.size += point.size;
            mean.load += point.load;
            mean.seconds += point.seconds;
        }
        mean.size /= count;
        mean.load /= count;
        mean.seconds /= count;
        let mut sums = Sums::default();
        for point in points {
            let d = point.from(&first).from(&mean);
            sums.xx += d.size * d.size;
            sums.zz += d.load * d.load;
            sums.xz += d.size * d.load;
            sums.xy += d.size * d.seconds;
            sums.zy += d.load * d.seconds;
        }
        let (size_slope, load_slope) = sums.slopes();
        let mean = Point {
            size: first.size + mean.size,
            load: first.load + mean.load,
            seconds: first.seconds + mean.seconds,
        };
        Some(Fit {
            mean,
            size_slope,
            load_slope,
        })
    }

    /// The time to expect, in seconds; not negative.
    pub(super) fn at(&self, size: f64, load: f64) -> f64 {
        let mean = &self.mean;
        let seconds = mean.seconds
            + self.size_slope * (size - mean.size)
            + self.load_slope * (load - mean.load);
        // `max` also takes the NaN of an overflow to 0.
        seconds.max(0.0)
    }
}

impl Point {
    fn from(&self, origin: &Point) -> Point {
        Point {
            size: self.size - origin.size,
            load: self.load - origin.load,
            seconds: self.seconds - origin.seconds,
        }
    }
}

impl Sums {
    /// The slopes that minimise the sum of squares, none negative. Where the free optimum has a
    /// negative one, the constrained optimum lies on an axis.
    fn slopes(&self) -> (f64, f64) {
        let determinant = self.xx * self.zz - self.xz * self.xz;
        if determinant > COLLINEAR * self.xx * self.zz {
            let size = (self.xy * self.zz - self.zy * self.xz) / determinant;
            let load = (self.zy * self.xx - self.xy * self.xz) / determinant;
            if size >= 0.0 && load >= 0.0 {
                return (size, load);
            }
        }
        let alone = |xx: f64, xy: f64| {
            if xx > 0.0 && xy > 0.0 {
                (xy / xx, xy / xx * xy)
            } else {
                (0.0, 0.0)
            }
        };
        let (size, explained_by_size) = alone(self.xx, self.xy);
        let (load, explained_by_load) = alone(self.zz, self.zy);
        if explained_by_size >= explained_by_load {
            (size, 0.0)
        } else {
            (0.0, load)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(of: &[(f64, f64, f64)]) -> Vec<Point> {
        let point = |&(size, load, seconds): &(f64, f64, f64)| Point {
            size,
            load,
            seconds,
        };
        of.iter().map(point).collect()
    }

    fn fit(of: &[(f64, f64, f64)]) -> Fit {
        Fit::of(points(of).iter()).unwrap()
    }

    #[track_caller]
    fn close(actual: f64, expected: f64) {
        let tolerance = 1e-9 * expected.abs().max(1.0);
        assert!((actual - expected).abs() < tolerance, "{actual}");
    }

    #[test]
    fn no_points_no_fit_and_one_point_is_the_mean() {
        assert_eq!(Fit::of([].iter()), None);
        let one = fit(&[(100.0, 0.5, 2.0)]);
        close(one.at(0.0, 0.0), 2.0);
        close(one.at(1e6, 1.0), 2.0);
    }

    #[test]
    fn equal_regressors_give_the_mean_whatever_rounding_does() {
        let equal = fit(&[(0.1, 0.3, 1.0), (0.1, 0.3, 2.0), (0.1, 0.3, 6.0)]);
        close(equal.at(0.1, 0.3), 3.0);
        close(equal.at(1e9, 0.9), 3.0);
    }

    #[test]
    fn one_regressor_is_the_line_computed_by_hand() {
        // x = 1, 2, 3, 4 and y = 6, 5, 7, 10: b = 1.4, a = 3.5.
        let line = fit(&[
            (1.0, 0.0, 6.0),
            (2.0, 0.0, 5.0),
            (3.0, 0.0, 7.0),
            (4.0, 0.0, 10.0),
        ]);
        close(line.at(0.0, 0.0), 3.5);
        close(line.at(10.0, 0.0), 17.5);
    }

    #[test]
    fn two_regressors_are_told_apart() {
        // seconds = 1 + 2 size + 3 load.
        let plane = fit(&[
            (0.0, 0.0, 1.0),
            (1.0, 0.0, 3.0),
            (0.0, 1.0, 4.0),
            (2.0, 0.5, 6.5),
        ]);
        close(plane.at(10.0, 0.2), 21.6);
    }

    #[test]
    fn regressors_that_tell_the_same_do_not_blow_up() {
        let plane = fit(&[(1.0, 0.1, 1.0), (2.0, 0.2, 2.0), (3.0, 0.3, 3.0)]);
        close(plane.at(4.0, 0.4), 4.0);
    }

    #[test]
    fn what_seems_to_fall_with_size_or_load_is_constant() {
        let falling = fit(&[(1.0, 0.0, 3.0), (2.0, 0.0, 2.0), (3.0, 0.0, 1.0)]);
        close(falling.at(1000.0, 0.0), 2.0);
        // 1 + 2 size - 3 load: on the axis, size explains what it can.
        let plane = fit(&[
            (0.0, 0.0, 1.0),
            (1.0, 0.0, 3.0),
            (0.0, 1.0, 0.0),
            (1.0, 1.0, 0.0),
        ]);
        assert!(plane.load_slope == 0.0 && plane.size_slope > 0.0);
    }

    #[test]
    fn large_and_distant_sizes_keep_their_digits() {
        let far = 1e9;
        let line = fit(&[
            (far, 0.0, 1.0),
            (far + 1.0, 0.0, 2.0),
            (far + 2.0, 0.0, 3.0),
        ]);
        close(line.at(far + 10.0, 0.0), 11.0);
    }

    proptest! {
        #[test]
        fn predictions_are_finite_and_not_negative(
            of in prop::collection::vec((0.0..1e9_f64, 0.0..=1.0_f64, 0.0..1e6_f64), 1..60),
            size in 0.0..1e12_f64,
            load in 0.0..=1.0_f64,
        ) {
            let seconds = fit(&of).at(size, load);
            prop_assert!(seconds.is_finite() && seconds >= 0.0, "{seconds}");
        }

        #[test]
        fn a_plane_is_found_again(
            a in 0.0..10.0_f64, b in 0.0..1e-3_f64, c in 0.0..10.0_f64,
            of in prop::collection::vec((0.0..1e5_f64, 0.0..=1.0_f64), 8..60),
        ) {
            let exact: Vec<_> = of
                .iter()
                .map(|&(size, load)| (size, load, a + b * size + c * load))
                .collect();
            let fit = fit(&exact);
            for (size, load, seconds) in exact {
                let error = (fit.at(size, load) - seconds).abs();
                prop_assert!(error < 1e-6 * (1.0 + seconds), "{error}");
            }
        }

        #[test]
        fn no_other_plane_with_slopes_that_are_not_negative_is_nearer(
            of in prop::collection::vec((0.0..10.0_f64, 0.0..=1.0_f64, 0.0..10.0_f64), 2..20),
            a in 0.0..10.0_f64, b in 0.0..2.0_f64, c in 0.0..5.0_f64,
        ) {
            let ours = fit(&of);
            let raw = |size: f64, load: f64| {
                ours.mean.seconds
                    + ours.size_slope * (size - ours.mean.size)
                    + ours.load_slope * (load - ours.mean.load)
            };
            let squares = |of_plane: &dyn Fn(f64, f64) -> f64| -> f64 {
                of.iter().map(|&(x, z, y)| (of_plane(x, z) - y).powi(2)).sum()
            };
            let other = squares(&|size, load| a + b * size + c * load);
            prop_assert!(squares(&raw) <= other + 1e-6);
        }
    }
}
