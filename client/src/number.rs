//! Numbers as C++ streams print them, for output that existing scripts read.

/// `value` with six significant digits, in the shortest form, as `%g` and the
/// default of C++ streams have it: `0.109332`, `42`, `1e-05`, `1.23457e+06`.
pub(crate) fn general(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    // Rounds to six digits first, because rounding can carry into the exponent.
    let scientific = format!("{value:.5e}");
    let (digits, exponent) = scientific
        .split_once('e')
        .expect("scientific notation has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        return shortest(&format!("{value:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let digits = shortest(digits);
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// `digits` without zeros at the end of its decimals.
fn shortest(digits: &str) -> &str {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::general;

    #[test]
    fn numbers_look_as_those_of_a_c_plus_plus_stream() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.5, "0.5"),
            (1.110_78, "1.11078"),
            (0.109_332_4, "0.109332"),
            (12.345_678_9, "12.3457"),
            (100.0, "100"),
            (123_456.0, "123456"),
            (999_999.5, "1e+06"),
            (1_234_567.0, "1.23457e+06"),
            (0.000_123_456_7, "0.000123457"),
            (0.000_012_345_67, "1.23457e-05"),
            (0.00001, "1e-05"),
            (0.999_999_9, "1"),
            (-2.5, "-2.5"),
            (1e100, "1e+100"),
        ] {
            assert_eq!(general(value), text);
        }
    }
}
