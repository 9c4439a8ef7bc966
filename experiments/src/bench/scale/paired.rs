//! How many times as much one thing costs as another, from rounds in which both were measured.

/// From so many rounds on, something can be said about how far they differ.
const FEWEST: usize = 5;

/// The ratios of all rounds in short.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Paired {
    /// The median.
    pub(super) ratio: f64,
    /// Half of the ratios are within a range of this width, between the quartiles.
    pub(super) spread: f64,
    /// How far the median may be from that of endless rounds, in 95 of 100 cases: half a notch of
    /// a box plot (McGill, Tukey and Larsen, "Variations of box plots", 1978). Infinite if there are too
    /// few rounds to tell.
    pub(super) doubt: f64,
}

impl Paired {
    /// Of what was measured in each round of both.
    pub(super) fn of(of: &[f64], beside: &[f64]) -> Self {
        let mut ratios: Vec<_> = of
            .iter()
            .zip(beside)
            .map(|(of, beside)| of / beside)
            .collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let spread = quantile(&ratios, 0.75) - quantile(&ratios, 0.25);
        let doubt = if ratios.len() < FEWEST {
            f64::INFINITY
        } else {
            1.57 * spread / (ratios.len() as f64).sqrt()
        };
        Self {
            ratio: quantile(&ratios, 0.5),
            spread,
            doubt,
        }
    }
}

/// Between two of `sorted`, in proportion. NaN of nothing.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let at = |place: f64| sorted.get(place as usize).copied().unwrap_or(f64::NAN);
    let (below, above) = (at(place.floor()), at(place.ceil()));
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hits_a_whole_round_cancels_out() {
        let beside = [10.0, 50.0, 11.0, 10.0, 30.0];
        let of: Vec<_> = beside.iter().map(|cost| cost * 1.25).collect();
        let paired = Paired::of(&of, &beside);
        assert_eq!(
            (paired.ratio, paired.spread, paired.doubt),
            (1.25, 0.0, 0.0)
        );
    }

    #[test]
    fn the_middle_half_tells_how_far_rounds_differ_whatever_the_others_are() {
        let ones = [1.0; 9];
        let of = [1.0, 1.1, 1.2, 0.1, 1.3, 1.4, 9.0, 1.25, 1.15];
        let paired = Paired::of(&of, &ones);
        assert_eq!(paired.ratio, 1.2);
        assert!((paired.spread - 0.2).abs() < 1e-9, "{paired:?}");
        assert!((paired.doubt - 1.57 * 0.2 / 3.0).abs() < 1e-9, "{paired:?}");
    }

    #[test]
    fn a_few_rounds_say_nothing_of_how_far_they_differ() {
        assert_eq!(Paired::of(&[1.0; 4], &[1.0; 4]).doubt, f64::INFINITY);
        assert_eq!(Paired::of(&[1.0; 5], &[1.0; 5]).doubt, 0.0);
        assert!(Paired::of(&[], &[]).ratio.is_nan());
    }

    #[test]
    fn quantiles_lie_between_two_in_proportion() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(quantile(&sorted, 0.25), 1.75);
        assert_eq!(quantile(&sorted, 0.5), 3.0);
        assert_eq!(quantile(&sorted, 1.0), 8.0);
    }
}
