//! A moving window of samples, limited in number and in age, and the fit over it.

use super::fit::{Fit, Point};
use crate::Nanos;
use std::collections::VecDeque;

/// How many samples count, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// At least 1.
    pub(super) samples: usize,
    /// Samples of this age no longer count; zero: they always do.
    pub(super) stale: Nanos,
}

/// The latest samples of one lambda at one destination, of inputs of any size. Its memory is bounded
/// by the number of samples of its [`Span`], and grows up to there only as samples come.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// The oldest first.
    samples: VecDeque<(Nanos, Point)>,
    /// Over `samples` as they are; none if there are none.
    fit: Option<Fit>,
}

impl Window {
    /// Takes a sample; the oldest makes room for it.
    pub(super) fn record(&mut self, point: Point, span: Span, now: Nanos) {
        while self.samples.len() >= span.samples.max(1) {
            self.samples.pop_front();
        }
        self.samples.push_back((now, point));
        self.drop_stale(span, now);
        self.refit();
    }

    /// The fit over the samples that count; none if there are none.
    pub(super) fn fit(&mut self, span: Span, now: Nanos) -> Option<Fit> {
        if self.drop_stale(span, now) {
            self.refit();
        }
        self.fit
    }

    /// Whether there was any.
    fn drop_stale(&mut self, span: Span, now: Nanos) -> bool {
        let before = self.samples.len();
        if span.stale > Nanos::ZERO {
            // Cores read the clock a moment apart, so the order is not strict; a sample that hides
            // behind a younger one counts a moment longer.
            while let Some((at, _)) = self.samples.front()
                && now.since(*at) >= span.stale
            {
                self.samples.pop_front();
            }
        }
        self.samples.len() < before
    }

    /// Anew from the samples: a running sum that is added to and subtracted from drifts.
    fn refit(&mut self) {
        self.fit = Fit::of(self.samples.iter().map(|(_, point)| point));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(seconds: f64) -> Point {
        Point {
            size: 0.0,
            load: 0.0,
            seconds,
        }
    }

    fn mean(window: &mut Window, span: Span, now: u64) -> Option<f64> {
        let fit = window.fit(span, Nanos::from_secs(now))?;
        Some(fit.at(0.0, 0.0))
    }

    #[test]
    fn the_oldest_sample_makes_room() {
        let span = Span {
            samples: 2,
            stale: Nanos::ZERO,
        };
        let mut window = Window::default();
        for seconds in [100.0, 1.0, 3.0] {
            window.record(sample(seconds), span, Nanos::ZERO);
        }
        assert_eq!(mean(&mut window, span, 1_000_000), Some(2.0), "never stale");
    }

    #[test]
    fn samples_count_until_they_have_the_age_of_the_stale_period() {
        let span = Span {
            samples: 50,
            stale: Nanos::from_secs(10),
        };
        let mut window = Window::default();
        window.record(sample(1.0), span, Nanos::from_secs(0));
        window.record(sample(3.0), span, Nanos::from_secs(5));
        assert_eq!(mean(&mut window, span, 9), Some(2.0));
        assert_eq!(mean(&mut window, span, 10), Some(3.0));
        assert_eq!(mean(&mut window, span, 14), Some(3.0));
        assert_eq!(mean(&mut window, span, 15), None);
    }

    proptest! {
        #[test]
        fn memory_is_bounded_however_many_sizes_there_are(
            samples in 1..64_usize,
            sizes in prop::collection::vec(0..1_000_000_u32, 0..500),
        ) {
            let span = Span { samples, stale: Nanos::ZERO };
            let mut window = Window::default();
            for (at, size) in sizes.iter().enumerate() {
                let point = Point { size: f64::from(*size), ..sample(1.0) };
                window.record(point, span, Nanos(at as u64));
                prop_assert!(window.samples.len() <= samples);
            }
            prop_assert!(window.samples.capacity() <= (2 * samples).max(8));
        }
    }
}
