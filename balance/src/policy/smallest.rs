//! The smallest of many numbers that lie side by side.

/// So many are compared side by side.
const LANES: usize = 8;

/// The smallest of numbers that are not NaN; infinite if there is none.
pub(super) fn smallest(numbers: &[f64]) -> f64 {
    let less = |a: f64, b: f64| if a < b { a } else { b };
    let mut lanes = [f64::INFINITY; LANES];
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane = less(*number, *lane);
        }
    }
    let all = lanes.iter().chain(rest);
    all.fold(f64::INFINITY, |smallest, number| less(*number, smallest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_wherever_it_is() {
        assert_eq!(smallest(&[]), f64::INFINITY);
        for count in 1..40 {
            for place in 0..count {
                let mut numbers = vec![7.0; count];
                numbers[place] = 3.0;
                assert_eq!(smallest(&numbers), 3.0, "{place} of {count}");
            }
        }
    }
}
