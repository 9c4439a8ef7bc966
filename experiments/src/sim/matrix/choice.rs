//! Which scenarios of the design are run.

use edge_daemon::UsageError;

use super::factor::{Levels, SCENARIOS};
use super::order::STEP;

/// Indices of the chosen scenarios, ascending: the given ones, or those whose names have all words
/// of the filter, or all; `quick` takes [every tenth](super::order) of the design from the latter two.
///
/// # Errors
/// No scenario at all.
pub(crate) fn scenarios(
    indices: &[usize],
    filter: Option<&str>,
    quick: bool,
) -> Result<Vec<usize>, UsageError> {
    let words: Vec<&str> = filter.unwrap_or_default().split_whitespace().collect();
    let chosen: Vec<usize> = (0..SCENARIOS)
        .step_by(if quick { STEP } else { 1 })
        .filter(|index| indices.is_empty() || indices.contains(index))
        .filter(|&index| {
            let levels = Levels::of(index).words();
            words
                .iter()
                .all(|word| levels.iter().any(|level| level == word))
        })
        .collect();
    if chosen.is_empty() {
        let example = Levels::of(0).name();
        return Err(UsageError(format!(
            "--filter matches no scenario: it takes words of names like {example}"
        )));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_choice_all_scenarios_are_run_and_quick_takes_every_tenth() {
        assert_eq!(scenarios(&[], None, false).unwrap().len(), SCENARIOS);
        let quick = scenarios(&[], None, true).unwrap();
        assert_eq!(quick.len(), 17);
        assert!(quick.iter().all(|index| index % 10 == 0));
        assert!(scenarios(&[], Some("R1"), true).unwrap().len() < quick.len());
    }

    #[test]
    fn words_of_the_filter_must_all_be_words_of_the_name() {
        let chosen = scenarios(&[], Some("R1 load0.7"), false).unwrap();
        assert_eq!(chosen.len(), 18);
        assert!(chosen.iter().all(|&index| Levels::of(index).routers == 1));
        assert!(scenarios(&[], Some("R2"), false).is_err());
    }

    #[test]
    fn indices_are_taken_once_in_ascending_order() {
        assert_eq!(scenarios(&[7, 3, 7], None, false).unwrap(), [3, 7]);
    }
}
