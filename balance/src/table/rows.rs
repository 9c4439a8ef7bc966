//! Tables as text, exactly as the C++ reference prints them.

use crate::Owner;
use std::fmt;

/// One route as the table service shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct TableEntry {
    /// The lambda.
    pub lambda: String,
    /// Where requests for it may go.
    pub destination: String,
    /// Cost, smaller is better: announced, or measured seconds.
    pub weight: f32,
    /// Whether the destination executes lambdas itself instead of forwarding them.
    pub is_final: bool,
    /// Who answers for it.
    pub owner: Owner,
}

/// Prints entries one a line, in the order given: the lambda, left out where it repeats that of the
/// line before, the weight in brackets, the destination, and `(F)` if it is final, in columns.
/// Nothing is printed for no entries.
///
/// ```
/// use edge_balance::{Owner, Rows, TableEntry};
///
/// let entry = |destination: &str, weight, is_final| TableEntry {
///     lambda: "resize".into(), destination: destination.into(), weight, is_final,
///     owner: Owner::NOBODY,
/// };
/// let entries = [entry("edge-1:6473", 0.106305, true), entry("edge-2:6473", 1.0, false)];
/// assert_eq!(
///     Rows(&entries).to_string(),
///     "resize [0.106305] edge-1:6473 (F)\n       [1       ] edge-2:6473\n",
/// );
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a>(pub &'a [TableEntry]);

/// What follows a longer name is out of line. A formatter takes no width beyond 65535.
const WIDEST: usize = 1024;

impl fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weights: Vec<String> = self.0.iter().map(|entry| general(entry.weight)).collect();
        let lengths = self.0.iter().map(|entry| entry.lambda.len());
        let lambda_width = lengths.max().unwrap_or(0).min(WIDEST);
        let weight_width = weights.iter().map(String::len).max().unwrap_or(0);
        let mut above = None;
        for (entry, weight) in self.0.iter().zip(&weights) {
            let repeated = above == Some(&entry.lambda);
            above = Some(&entry.lambda);
            let lambda = if repeated { "" } else { &entry.lambda };
            // Width counts bytes, as there; the formatter's own padding would count characters.
            let indent = lambda_width.saturating_sub(lambda.len());
            write!(
                f,
                "{lambda}{:indent$} [{weight:weight_width$}] {}",
                "", entry.destination
            )?;
            f.write_str(if entry.is_final { " (F)\n" } else { "\n" })?;
        }
        Ok(())
    }
}

/// As a C++ stream writes a float by default (`%g`): six significant digits without trailing
/// zeros, in scientific notation when the exponent is below -4 or above 5.
fn general(value: f32) -> String {
    const DIGITS: i32 = 6;
    let value = f64::from(value);
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() || value == 0.0 {
        return value.to_string();
    }
    let scientific = format!("{value:.*e}", DIGITS as usize - 1);
    // What has just been written has an exponent.
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..DIGITS).contains(&exponent) {
        let decimals = usize::try_from(DIGITS - 1 - exponent).unwrap_or(0);
        return without_trailing_zeros(&format!("{value:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!(
        "{}e{sign}{:02}",
        without_trailing_zeros(mantissa),
        exponent.abs()
    )
}

fn without_trailing_zeros(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_print_as_a_cpp_stream_does() {
        let cases = [
            (1.0, "1"),
            (0.5, "0.5"),
            (0.106305, "0.106305"),
            (42.0, "42"),
            (100.0, "100"),
            (99_999.0, "99999"),
            (123_456.0, "123456"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.23457e+06"),
            (999_999.5, "1e+06"),
            (1.0 / 3.0, "0.333333"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000_123_456_78, "0.000123457"),
            (1.5e-9, "1.5e-09"),
            (f32::MAX, "3.40282e+38"),
            (f32::MIN_POSITIVE, "1.17549e-38"),
            (1e-45, "1.4013e-45"),
            (0.0, "0"),
            (-0.0, "-0"),
            (-2.5, "-2.5"),
            (f32::INFINITY, "inf"),
            (f32::NEG_INFINITY, "-inf"),
            (f32::NAN, "nan"),
        ];
        for (weight, text) in cases {
            assert_eq!(general(weight), text);
        }
    }

    #[test]
    fn lambdas_are_padded_by_bytes() {
        let entry = |lambda: &str| TableEntry {
            lambda: lambda.into(),
            destination: "d".into(),
            weight: 1.0,
            is_final: false,
            owner: Owner::NOBODY,
        };
        let text = Rows(&[entry("a"), entry("\u{e9}\u{e9}")]).to_string();
        assert_eq!(text, "a    [1] d\n\u{e9}\u{e9} [1] d\n");
    }

    #[test]
    fn a_name_of_any_length_can_be_printed() {
        let entry = |lambda: String| TableEntry {
            lambda,
            destination: "a:1".to_owned(),
            weight: 1.0,
            is_final: false,
            owner: Owner::NOBODY,
        };
        let rows = Rows(&[entry("f".to_owned()), entry("g".repeat(70_000))]).to_string();
        let lines: Vec<_> = rows.lines().collect();
        assert_eq!(lines[0], format!("f{} [1] a:1", " ".repeat(WIDEST - 1)));
        assert_eq!(lines[1], format!("{} [1] a:1", "g".repeat(70_000)));
    }
}
