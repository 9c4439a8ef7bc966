//! The colour of a ratio, on a logarithmic scale.

/// Up to here the scale runs from the first colour to the second, so that differences among the good
/// ones can be seen.
const MIDDLE: f64 = 2.0;
/// From here on there is only the last colour.
const END: f64 = 20.0;

/// Ratios that a legend shows.
pub(crate) const TICKS: [f64; 9] = [0.5, 0.8, 1.0, 1.25, 1.6, 2.0, 5.0, 10.0, 20.0];

/// A CSS colour out of those of the style sheet, which differ in light and dark surroundings: equal
/// at 1, better below, middling at 2, bad from 20 on.
pub(crate) fn of(ratio: f64) -> String {
    let (from, to, way) = if ratio < 1.0 {
        ("equal", "better", ratio.recip().ln() / MIDDLE.ln())
    } else if ratio < MIDDLE {
        ("equal", "middling", ratio.ln() / MIDDLE.ln())
    } else {
        (
            "middling",
            "bad",
            (ratio / MIDDLE).ln() / (END / MIDDLE).ln(),
        )
    };
    let percent = way.clamp(0.0, 1.0) * 100.0;
    format!("color-mix(in oklab,var(--{to}) {percent:.0}%,var(--{from}))")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_run_from_better_over_equal_and_middling_to_bad() {
        let mix = |to: &str, percent: u32, from: &str| {
            format!("color-mix(in oklab,var(--{to}) {percent}%,var(--{from}))")
        };
        assert_eq!(of(0.1), mix("better", 100, "equal"));
        assert_eq!(of(1.0), mix("middling", 0, "equal"));
        assert_eq!(of(2.0_f64.sqrt()), mix("middling", 50, "equal"));
        assert_eq!(of(2.0), mix("bad", 0, "middling"));
        assert_eq!(of(40.0_f64.sqrt()), mix("bad", 50, "middling"));
        assert_eq!(of(1e6), mix("bad", 100, "middling"));
    }
}
