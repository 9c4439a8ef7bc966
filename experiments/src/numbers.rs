//! Numbers on the command line: what they may be, and what is said if they are not.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Takes whole numbers of this range.
pub(crate) fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Display + Clone,
{
    move |text| within(text, &range, "whole numbers")
}

/// Takes numbers of this range.
pub(crate) fn any(range: RangeInclusive<f64>) -> impl Fn(&str) -> Result<f64, String> + Clone {
    move |text| within(text, &range, "numbers")
}

fn within<T>(text: &str, range: &RangeInclusive<T>, what: &str) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let number = text.trim().parse().ok();
    let problem = || format!("it takes {what} from {} to {}", range.start(), range.end());
    number
        .filter(|number| range.contains(number))
        .ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_or_out_of_range_is_told_what_would_be_right() {
        let percent = whole(0..=50_u32);
        assert_eq!(percent("50"), Ok(50));
        assert_eq!(percent(" 7"), Ok(7), "as in a list with spaces");
        for wrong in ["foo", "", "51", "-1", "1.5"] {
            let problem = percent(wrong).unwrap_err();
            assert_eq!(problem, "it takes whole numbers from 0 to 50", "{wrong}");
        }
        let factor = any(0.01..=50.0);
        assert_eq!(factor("0.5"), Ok(0.5));
        for wrong in ["foo", "0", "inf", "NaN"] {
            let problem = factor(wrong).unwrap_err();
            assert_eq!(problem, "it takes numbers from 0.01 to 50", "{wrong}");
        }
    }
}
