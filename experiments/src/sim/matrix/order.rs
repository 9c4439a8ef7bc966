//! In which order the design's cells are numbered: so that every tenth scenario stands for all.

use super::factor::{SCENARIOS, primary};

/// Quick runs take every so-manieth scenario.
pub(crate) const STEP: usize = 10;

/// The last cell without antagonist of the [orthogonal fraction](orthogonal). There is no room for it among
/// the tenths; those with antagonist, of which there is a figure of their own, are complete.
const LEFT_OUT: usize = 76;

/// The cell of the factorial design that the scenario of that index has, both below [`SCENARIOS`].
///
/// Every tenth index has a cell of the orthogonal fraction; the other cells have the indices between, in
/// ascending order.
pub(crate) fn cell(index: usize) -> usize {
    let of_tenths = || orthogonal().filter(|cell| *cell != LEFT_OUT);
    if index.is_multiple_of(STEP) {
        return of_tenths().nth(index / STEP).unwrap_or(index);
    }
    let mut others = (0..SCENARIOS).filter(|cell| of_tenths().all(|tenth| tenth != *cell));
    let before = index / STEP + 1;
    others.nth(index - before).unwrap_or(index)
}

/// A ninth of the design, ascending: of the scenarios with antagonist as of those without, nine of 81.
///
/// In each half, with levels counted from 0, speeds = load + executors + c and routers = load + 2
/// executors + d, both modulo 3. So each level of a primary factor meets each level of every other
/// one equally often, as an orthogonal array has it, and none is seen only in the company of another.
/// (With every tenth cell it would be nearly so for single levels, but not for pairs: 64 executors
/// would meet 16 routers only, and two executors hardly any but one router.) With nine runs each the
/// secondary factors cannot be clear of all primary ones. Of all such pairs of halves these equations,
/// of which others do as well, leave them least entangled, and all their levels occur as often as in
/// the whole design.
fn orthogonal() -> impl Iterator<Item = usize> {
    (0..SCENARIOS).filter(|&cell| {
        let [load, executors, spread, routers, antagonist] = primary(cell);
        let (c, d) = [(0, 2), (2, 1)][antagonist];
        spread == (load + executors + c) % 3 && routers == (load + 2 * executors + d) % 3
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::factor::Levels;
    use super::*;

    type Words = [String; 8];

    fn words() -> Vec<Words> {
        let levels = orthogonal().map(Levels::of_cell);
        levels.map(|levels| levels.words()).collect()
    }

    /// How often each combination of what `of` says occurs.
    fn counts<K: Ord>(of: impl Fn(&Words) -> K) -> Vec<usize> {
        let mut counts = BTreeMap::new();
        for words in words() {
            *counts.entry(of(&words)).or_default() += 1;
        }
        counts.into_values().collect()
    }

    #[test]
    fn each_cell_has_one_index_and_every_tenth_is_of_the_fraction() {
        let cells: Vec<_> = (0..SCENARIOS).map(cell).collect();
        assert_eq!(cells.iter().collect::<BTreeSet<_>>().len(), SCENARIOS);
        let tenths: Vec<_> = cells.iter().copied().step_by(STEP).collect();
        let fraction: Vec<_> = orthogonal().collect();
        assert_eq!((tenths.len(), fraction.len()), (17, 18));
        assert_eq!([&tenths[..8], &[LEFT_OUT], &tenths[8..]].concat(), fraction);
        assert!(!Levels::of_cell(LEFT_OUT).antagonist && Levels::of_cell(tenths[8]).antagonist);
    }

    #[test]
    fn primary_levels_meet_each_other_equally_often() {
        for one in 0..4 {
            assert_eq!(counts(|words| words[one].clone()), [6; 3]);
            for other in 0..one {
                let pairs = counts(|words| (words[one].clone(), words[other].clone()));
                assert_eq!(pairs, [2; 9], "{one} {other}");
            }
            let disturbed = counts(|words| (words[one].clone(), words[4].clone()));
            assert_eq!(disturbed, [3; 6], "{one}");
        }
    }

    #[test]
    fn secondary_levels_are_as_frequent_as_in_the_whole_design() {
        let whole = |factor: usize| {
            let mut counts = BTreeMap::<String, usize>::new();
            for cell in 0..SCENARIOS {
                let level = Levels::of_cell(cell).words()[factor].clone();
                *counts.entry(level).or_default() += 1;
            }
            counts.into_values().map(|n| n / 9).collect::<Vec<_>>()
        };
        for factor in 5..8 {
            assert_eq!(counts(|words| words[factor].clone()), whole(factor));
        }
        // Demand and workers with the antagonist.
        for factor in [5, 7] {
            let with = counts(|words| (words[factor].clone(), words[4].clone()));
            let each = whole(factor).into_iter().flat_map(|n| [n / 2; 2]);
            assert_eq!(with, each.collect::<Vec<_>>(), "{factor}");
        }
    }
}
