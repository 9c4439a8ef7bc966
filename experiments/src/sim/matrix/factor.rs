//! The factors of the design and their levels.

use serde::{Deserialize, Serialize};

use super::order;

/// Offered work over nominal capacity.
pub(crate) const LOADS: [f64; 3] = [0.3, 0.7, 0.95];
/// How many executors there are.
pub(crate) const EXECUTORS: [usize; 3] = [2, 8, 64];
/// How many times faster the fastest executor is than the slowest.
pub(crate) const SPREADS: [f64; 3] = [1.0, 4.0, 16.0];
/// How many routers there are, each of which decides alone.
pub(crate) const ROUTERS: [usize; 3] = [1, 4, 16];
/// Whether executors get into trouble.
pub(crate) const ANTAGONIST: [bool; 2] = [false, true];

/// How many scenarios the full factorial design has.
pub(crate) const SCENARIOS: usize =
    LOADS.len() * EXECUTORS.len() * SPREADS.len() * ROUTERS.len() * ANTAGONIST.len();

/// How service demands are distributed; a secondary factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Demand {
    /// All the same.
    Constant,
    /// Exponential.
    Exponential,
    /// Lognormal with a coefficient of variation of 2.
    HeavyTail,
}

impl Demand {
    pub(crate) const ALL: [Demand; 3] = [Demand::Constant, Demand::Exponential, Demand::HeavyTail];

    /// As in tables and names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Demand::Constant => "constant",
            Demand::Exponential => "exponential",
            Demand::HeavyTail => "heavy-tail",
        }
    }
}

/// How requests arrive; a secondary factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rhythm {
    /// Independently of each other.
    Poisson,
    /// In turns much faster and slower than on average.
    Bursts,
}

impl Rhythm {
    pub(crate) const ALL: [Rhythm; 2] = [Rhythm::Poisson, Rhythm::Bursts];

    /// As in tables and names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Rhythm::Poisson => "poisson",
            Rhythm::Bursts => "bursts",
        }
    }
}

/// The levels of one scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Levels {
    pub(crate) load: f64,
    pub(crate) executors: usize,
    /// Fastest over slowest executor.
    pub(crate) spread: f64,
    pub(crate) routers: usize,
    pub(crate) antagonist: bool,
    pub(crate) demand: Demand,
    pub(crate) rhythm: Rhythm,
    pub(crate) workers: u32,
}

/// The primary levels of that cell of the design, counted from 0: load innermost, then executors,
/// speeds, routers, antagonist outermost.
pub(crate) fn primary(cell: usize) -> [usize; 5] {
    let mut rest = cell;
    let mut level = |levels: usize| {
        let level = rest % levels;
        rest /= levels;
        level
    };
    [
        level(LOADS.len()),
        level(EXECUTORS.len()),
        level(SPREADS.len()),
        level(ROUTERS.len()),
        level(ANTAGONIST.len()),
    ]
}

impl Levels {
    /// The levels of the scenario of that index, below [`SCENARIOS`].
    pub(crate) fn of(index: usize) -> Self {
        Self::of_cell(order::cell(index))
    }

    /// The levels of that cell of the design, which has as many as there are scenarios.
    ///
    /// The secondary factors follow from the primary ones as in a fractional factorial design: each
    /// level of a secondary factor meets each level of every primary factor equally often, so that no
    /// effect of a primary factor hides one of a secondary factor. With the primary levels counted
    /// from 0,
    /// * demand = (load + executors + speeds + routers) mod 3,
    /// * four workers where (load + 2 executors + speeds + 2 routers) mod 3 = 1, else one,
    /// * bursts where an odd number of these hold: load 1, executors 1, speeds 0, routers 0,
    ///   antagonist; so each cell of the first four primary factors has bursts once, with the
    ///   antagonist or without. (The parity of the sum of all levels would be that of the cell.)
    pub(crate) fn of_cell(cell: usize) -> Self {
        let [load, executors, spread, routers, antagonist] = primary(cell);
        let sum = load + executors + spread + routers;
        let four_workers = (load + 2 * executors + spread + 2 * routers) % 3 == 1;
        let odd = [
            load == 1,
            executors == 1,
            spread == 0,
            routers == 0,
            antagonist == 1,
        ]
        .iter()
        .fold(false, |odd, &holds| odd != holds);
        Levels {
            load: LOADS[load],
            executors: EXECUTORS[executors],
            spread: SPREADS[spread],
            routers: ROUTERS[routers],
            antagonist: ANTAGONIST[antagonist],
            demand: Demand::ALL[sum % 3],
            rhythm: Rhythm::ALL[usize::from(odd)],
            workers: if four_workers { 4 } else { 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// The words of the names, by factor.
    fn words(indices: impl Iterator<Item = usize>) -> Vec<Vec<String>> {
        indices
            .map(|index| Levels::of(index).words().to_vec())
            .collect()
    }

    #[test]
    fn the_design_is_a_full_factorial_of_162_distinct_scenarios() {
        let names: BTreeSet<_> = (0..SCENARIOS)
            .map(|index| Levels::of(index).name())
            .collect();
        assert_eq!((SCENARIOS, names.len()), (162, 162));
        let primary: BTreeSet<_> = words(0..SCENARIOS)
            .iter()
            .map(|words| words[..5].join(" "))
            .collect();
        assert_eq!(primary.len(), 162);
    }

    #[test]
    fn load_changes_fastest_and_the_antagonist_slowest() {
        assert_eq!(
            Levels::of_cell(0).name(),
            "load0.3 E2 1:1 R1 calm constant poisson w1"
        );
        assert_eq!(Levels::of_cell(1).load, 0.7);
        assert_eq!(Levels::of_cell(3).executors, 8);
        assert_eq!(Levels::of_cell(9).spread, 4.0);
        assert_eq!(Levels::of_cell(27).routers, 4);
        assert!(!Levels::of_cell(80).antagonist && Levels::of_cell(81).antagonist);
    }

    #[test]
    fn secondary_factors_meet_every_primary_level_equally_often() {
        let all = words(0..SCENARIOS);
        // Demand and workers with the four factors of three levels, rhythm with all but the
        // antagonist, demand with workers and rhythm.
        for (one, other) in (0..4)
            .flat_map(|primary| [(primary, 5), (primary, 6), (primary, 7)])
            .chain([(4, 5), (4, 7), (5, 6), (5, 7)])
        {
            let mut met: BTreeMap<(&str, &str), usize> = BTreeMap::new();
            let mut levels: BTreeMap<&str, usize> = BTreeMap::new();
            let mut others: BTreeMap<&str, usize> = BTreeMap::new();
            for words in &all {
                *met.entry((&words[one], &words[other])).or_default() += 1;
                *levels.entry(&words[one]).or_default() += 1;
                *others.entry(&words[other]).or_default() += 1;
            }
            for (&(level, with), &count) in &met {
                assert_eq!(
                    count * SCENARIOS,
                    levels[level] * others[with],
                    "{level} {with}"
                );
            }
            assert_eq!(met.len(), levels.len() * others.len());
        }
    }
}
