//! Levels as words: for names, filters and the columns of tables.

use super::factor::{Levels, SCENARIOS};

/// The factors in the order of the words of a scenario's name: the primary ones, then the secondary.
pub(crate) const FACTORS: [&str; 8] = [
    "load",
    "executors",
    "speeds",
    "routers",
    "antagonist",
    "service",
    "arrivals",
    "workers",
];

/// What distinguishes the number of one factor from that of another.
const PREFIXES: [&str; FACTORS.len()] = ["load", "E", "", "R", "", "", "", "w"];

impl Levels {
    /// The level of each factor, for where the factor's name is beside it.
    pub(crate) fn values(&self) -> [String; FACTORS.len()] {
        [
            self.load.to_string(),
            self.executors.to_string(),
            format!("{}:1", self.spread),
            self.routers.to_string(),
            if self.antagonist {
                "antagonist"
            } else {
                "calm"
            }
            .to_owned(),
            self.demand.name().to_owned(),
            self.rhythm.name().to_owned(),
            self.workers.to_string(),
        ]
    }

    /// One word per factor, each of which tells the factor as well.
    pub(crate) fn words(&self) -> [String; FACTORS.len()] {
        let mut words = self.values();
        for (word, prefix) in words.iter_mut().zip(PREFIXES) {
            word.insert_str(0, prefix);
        }
        words
    }

    /// All words, by which scenarios can be told and filtered.
    pub(crate) fn name(&self) -> String {
        self.words().join(" ")
    }
}

/// The levels that occur, per factor, in the order of the design.
pub(crate) fn present(scenarios: &[Levels]) -> [Vec<String>; FACTORS.len()] {
    let mut present: [Vec<String>; FACTORS.len()] = Default::default();
    let occurring: Vec<_> = scenarios.iter().map(Levels::values).collect();
    for values in (0..SCENARIOS).map(|index| Levels::of(index).values()) {
        for (factor, value) in values.into_iter().enumerate() {
            let occurs = occurring.iter().any(|values| values[factor] == value);
            if occurs && !present[factor].contains(&value) {
                present[factor].push(value);
            }
        }
    }
    present
}
