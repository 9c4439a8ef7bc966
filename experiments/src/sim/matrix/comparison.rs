//! What the runs say: each contender against the oracle per scenario, and all scenarios together.

use super::design;
use super::factor::Levels;
use super::lineup::{Entry, ORACLE};
use super::runs::{Cost, Runs};
use super::statistics::{Mean, Ratio, geometric_mean, mean, quantile};
use crate::sim::Outcome;

/// All contenders in all scenarios.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) scenarios: Vec<Point>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) seeds: usize,
    /// What the simulation of each entry took.
    costs: Vec<Cost>,
    /// By scenario, then by entry.
    cells: Vec<Vec<Cell>>,
}

/// One scenario of the design.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) index: usize,
    pub(crate) levels: Levels,
    pub(crate) requests: usize,
}

/// One contender in one scenario: means over the seeds.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// Latencies, in seconds.
    pub(crate) mean: Mean,
    pub(crate) p50: Mean,
    pub(crate) p99: Mean,
    pub(crate) p999: Mean,
    /// Per request.
    pub(crate) errors: Mean,
    pub(crate) attempts: f64,
    pub(crate) refusals: f64,
    pub(crate) probes: f64,
    /// Of all completed requests, per executor.
    pub(crate) share: Vec<Mean>,
    /// Logarithms of the p99, by seed.
    log_p99: Vec<f64>,
    /// To the oracle's, paired by seed.
    pub(crate) p99_ratio: Ratio,
    pub(crate) mean_ratio: f64,
    pub(crate) p999_ratio: f64,
    /// Logarithms of the ratios of the p99, by seed.
    log_ratios: Vec<f64>,
}

/// One contender over all scenarios.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    /// Over scenarios, of the p99 ratio.
    pub(crate) median: f64,
    /// Its interval is that of the seeds: the scenarios are given, not drawn.
    pub(crate) geometric: Ratio,
    pub(crate) p90: f64,
    pub(crate) worst: f64,
    /// Where it is worst, counted as in [`Comparison::scenarios`].
    pub(crate) worst_scenario: usize,
    pub(crate) median_mean: f64,
    pub(crate) median_p999: f64,
    pub(crate) worst_p999: f64,
    /// Per request, mean over scenarios.
    pub(crate) errors: f64,
    pub(crate) attempts: f64,
    pub(crate) refusals: f64,
    pub(crate) probes: f64,
    /// What the simulation took.
    pub(crate) cost: Cost,
}

/// A scenario in which another contender does better than the one that is judged.
#[derive(Clone, Debug)]
pub(crate) struct Defeat {
    /// Counted as in [`Comparison::scenarios`].
    pub(crate) scenario: usize,
    /// The best of the others, counted as in [`Comparison::entries`].
    pub(crate) winner: usize,
    /// p99 of the judged one over that of the winner; the interval is above 1.
    pub(crate) ratio: Ratio,
}

impl Comparison {
    /// # Errors
    /// The oracle did not take part.
    pub(crate) fn of(runs: &Runs) -> anyhow::Result<Self> {
        let entries = runs.plan.entries.clone();
        let oracle = entries
            .iter()
            .position(|entry| entry.name == ORACLE)
            .ok_or_else(|| anyhow::anyhow!("{ORACLE} must take part"))?;
        let scenarios: Vec<Point> = runs
            .plan
            .scenarios
            .iter()
            .map(|&index| Point::of(index))
            .collect();
        let cells = (0..scenarios.len())
            .map(|scenario| {
                let reference = runs.by_seed(scenario, oracle);
                (0..entries.len())
                    .map(|entry| {
                        Cell::of(
                            runs.by_seed(scenario, entry),
                            reference,
                            &scenarios[scenario],
                        )
                    })
                    .collect()
            })
            .collect();
        Ok(Comparison {
            scenarios,
            entries,
            seeds: runs.plan.seed_count(),
            costs: runs.costs.clone(),
            cells,
        })
    }

    pub(crate) fn levels(&self) -> Vec<Levels> {
        self.scenarios.iter().map(|point| point.levels).collect()
    }

    pub(crate) fn cell(&self, scenario: usize, entry: usize) -> &Cell {
        &self.cells[scenario][entry]
    }

    /// The entry of that name, counted as in `entries`.
    pub(crate) fn entry(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.name == name)
    }

    /// Over all scenarios.
    pub(crate) fn summary(&self, entry: usize) -> Summary {
        let cells: Vec<&Cell> = self.cells.iter().map(|row| &row[entry]).collect();
        let each = |value: fn(&Cell) -> f64| -> Vec<f64> {
            cells.iter().map(|cell| value(cell)).collect()
        };
        let ratios = each(|cell| cell.p99_ratio.mean);
        let p999 = each(|cell| cell.p999_ratio);
        let (worst_scenario, &worst) = ratios
            .iter()
            .enumerate()
            .max_by(|one, other| one.1.total_cmp(other.1))
            .expect(SOME_SCENARIO);
        let by_seed: Vec<f64> = (0..self.seeds)
            .map(|seed| {
                average(
                    &cells
                        .iter()
                        .map(|cell| cell.log_ratios[seed])
                        .collect::<Vec<f64>>(),
                )
            })
            .collect();
        Summary {
            median: quantile(&ratios, 0.5).expect(SOME_SCENARIO),
            geometric: Ratio::of_logs(&by_seed).expect(SOME_SEED),
            p90: quantile(&ratios, 0.9).expect(SOME_SCENARIO),
            worst,
            worst_scenario,
            median_mean: quantile(&each(|cell| cell.mean_ratio), 0.5).expect(SOME_SCENARIO),
            median_p999: quantile(&p999, 0.5).expect(SOME_SCENARIO),
            worst_p999: quantile(&p999, 1.0).expect(SOME_SCENARIO),
            errors: average(&each(|cell| cell.errors.value)),
            attempts: average(&each(|cell| cell.attempts)),
            refusals: average(&each(|cell| cell.refusals)),
            probes: average(&each(|cell| cell.probes)),
            cost: self.costs[entry],
        }
    }

    /// What the simulation of all entries took.
    pub(crate) fn cost(&self) -> Cost {
        self.costs
            .iter()
            .fold(Cost::default(), |sum, cost| sum + *cost)
    }

    /// The geometric mean of the p99 ratio over the scenarios that `which` selects, `None` if it
    /// selects none.
    pub(crate) fn geometric_over(
        &self,
        entry: usize,
        which: impl Fn(&Levels) -> bool,
    ) -> Option<f64> {
        let selected = self
            .scenarios
            .iter()
            .zip(&self.cells)
            .filter(|(point, _)| which(&point.levels));
        geometric_mean(selected.map(|(_, row)| row[entry].p99_ratio.mean))
    }

    /// p99 of `one` over p99 of `other` in one scenario, paired by seed.
    pub(crate) fn versus(&self, scenario: usize, one: usize, other: usize) -> Ratio {
        let row = &self.cells[scenario];
        let logs: Vec<f64> = row[one]
            .log_p99
            .iter()
            .zip(&row[other].log_p99)
            .map(|(one, other)| one - other)
            .collect();
        Ratio::of_logs(&logs).expect(SOME_SEED)
    }

    /// Where another contender has a lower p99 than `judged`, beyond the interval of the paired
    /// difference. Oracles do not count. Some of many equal pairs differ by chance: an interval of
    /// 95 % errs on this side once in forty.
    pub(crate) fn defeats(&self, judged: usize) -> Vec<Defeat> {
        let others = |entry: &usize| *entry != judged && !self.entries[*entry].is_oracle();
        (0..self.scenarios.len())
            .filter_map(|scenario| {
                (0..self.entries.len())
                    .filter(others)
                    .map(|winner| Defeat {
                        scenario,
                        winner,
                        ratio: self.versus(scenario, judged, winner),
                    })
                    .filter(|defeat| defeat.ratio.low > 1.0)
                    .max_by(|one, other| one.ratio.mean.total_cmp(&other.ratio.mean))
            })
            .collect()
    }

    /// In how many scenarios each of the others, oracles excluded, has a lower p99 than `judged`
    /// beyond the interval of the paired difference; those with none are left out, most first.
    pub(crate) fn victors(&self, judged: usize) -> Vec<(&'static str, usize)> {
        let wins = |other: usize| {
            let won = |scenario: &usize| self.versus(*scenario, judged, other).low > 1.0;
            (0..self.scenarios.len()).filter(won).count()
        };
        let mut victors: Vec<_> = (0..self.entries.len())
            .filter(|&other| other != judged && !self.entries[other].is_oracle())
            .map(|other| (self.entries[other].name, wins(other)))
            .filter(|(_, wins)| *wins > 0)
            .collect();
        victors.sort_by_key(|(_, wins)| std::cmp::Reverse(*wins));
        victors
    }
}

const SOME_SEED: &str = "there is at least one seed";
const SOME_SCENARIO: &str = "there is at least one scenario";

impl Point {
    fn of(index: usize) -> Self {
        let levels = Levels::of(index);
        Point {
            index,
            levels,
            requests: design::requests(&levels),
        }
    }
}

impl Cell {
    fn of(outcomes: &[Outcome], oracle: &[Outcome], point: &Point) -> Self {
        let each =
            |value: fn(&Outcome) -> f64| -> Vec<f64> { outcomes.iter().map(value).collect() };
        let sure = |value: fn(&Outcome) -> f64| Mean::of(&each(value)).expect(SOME_SEED);
        let per_request = |value: fn(&Outcome) -> u64| {
            let each = outcomes.iter();
            let each: Vec<f64> = each
                .map(|one| value(one) as f64 / one.requests as f64)
                .collect();
            Mean::of(&each).expect(SOME_SEED)
        };
        let log_ratios = |value: fn(&Outcome) -> f64| -> Vec<f64> {
            let pairs = outcomes.iter().zip(oracle);
            pairs
                .map(|(one, oracle)| (value(one) / value(oracle)).ln())
                .collect()
        };
        let p99 = log_ratios(|outcome| outcome.p99);
        Cell {
            mean: sure(|outcome| outcome.mean),
            p50: sure(|outcome| outcome.p50),
            p99: sure(|outcome| outcome.p99),
            p999: sure(|outcome| outcome.p999),
            errors: per_request(|outcome| outcome.errors),
            attempts: per_request(|outcome| outcome.attempts).value,
            refusals: per_request(|outcome| outcome.refusals).value,
            // Counted over the whole run, the warm-up included.
            probes: average(&each(|outcome| outcome.probes as f64)) / point.requests as f64,
            share: shares(outcomes),
            log_p99: each(|outcome| outcome.p99.ln()),
            p99_ratio: Ratio::of_logs(&p99).expect(SOME_SEED),
            mean_ratio: average(&log_ratios(|outcome| outcome.mean)).exp(),
            p999_ratio: average(&log_ratios(|outcome| outcome.p999)).exp(),
            log_ratios: p99,
        }
    }
}

/// Per executor, the mean over the seeds.
fn shares(outcomes: &[Outcome]) -> Vec<Mean> {
    let executors = outcomes.first().expect(SOME_SEED).share.len();
    (0..executors)
        .map(|executor| {
            let each: Vec<f64> = outcomes.iter().map(|one| one.share[executor]).collect();
            Mean::of(&each).expect(SOME_SEED)
        })
        .collect()
}

fn average(values: &[f64]) -> f64 {
    mean(values).expect("there is at least one seed and one scenario")
}

#[cfg(test)]
mod tests {
    use super::super::lineup::{PROPORTIONAL_WEIGHTING, default_policy};
    use super::super::sample;
    use super::*;

    fn close(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
    }

    /// The oracle's p99 differs from seed to seed, the ratio to it does not unless `noise` is not 0.
    fn comparison(noise: f64) -> Comparison {
        sample::comparison(&[0, 1, 2, 82], 4, move |scenario, name, seed| {
            let oracle = 0.01 * seed as f64;
            let jitter = if seed.is_multiple_of(2) {
                noise
            } else {
                -noise
            };
            if name == ORACLE {
                oracle
            } else if name == default_policy() {
                oracle * (1.0 + scenario as f64).min(4.0)
            } else {
                oracle * 2.0 * jitter.exp()
            }
        })
    }

    #[test]
    fn ratios_to_the_oracle_are_paired_by_seed() {
        let comparison = comparison(0.0);
        let judged = comparison.entry(default_policy()).unwrap();
        let cell = comparison.cell(1, judged);
        close(cell.p99_ratio.mean, 2.0);
        close(cell.p99_ratio.low, 2.0);
        close(cell.p99_ratio.high, 2.0);
        // 0.02, 0.04, 0.06 and 0.08: the standard deviation is 0.0258, and t(3) is 3.1824.
        close(cell.p99.value, 0.05);
        close(cell.p99.margin, 0.041_085_205_1);
        close(cell.mean.margin, cell.p99.margin / 4.0);
        close(cell.attempts, 1.2);
        close(cell.errors.value, 0.001);
        close(cell.errors.margin, 0.0);
        // Probes are those of the whole run, which has 20000 requests.
        close(cell.probes, 0.002);
        let shares: Vec<f64> = cell.share.iter().map(|share| share.value).collect();
        assert_eq!(shares, [0.25, 0.75]);
    }

    #[test]
    fn a_summary_is_over_scenarios_of_equal_weight() {
        let comparison = comparison(0.0);
        let summary = comparison.summary(comparison.entry(default_policy()).unwrap());
        // Ratios are 1, 2, 3 and 4.
        close(summary.median, 2.5);
        close(summary.geometric.mean, 24.0_f64.powf(0.25));
        close(summary.p90, 3.7);
        close(summary.worst, 4.0);
        assert_eq!(summary.worst_scenario, 3);
    }

    #[test]
    fn geometric_means_are_taken_over_the_selected_levels() {
        let comparison = comparison(0.0);
        let judged = comparison.entry(default_policy()).unwrap();
        let over = |antagonist| {
            comparison.geometric_over(judged, |levels| levels.antagonist == antagonist)
        };
        close(over(true).unwrap(), 4.0);
        close(over(false).unwrap(), 6.0_f64.cbrt());
        assert_eq!(
            comparison.geometric_over(judged, |levels| levels.executors == 64),
            None
        );
    }

    #[test]
    fn a_defeat_is_a_difference_beyond_its_interval() {
        let exact = comparison(0.0);
        let judged = exact.entry(default_policy()).unwrap();
        let defeats = exact.defeats(judged);
        // Ratios 1 and 2 against 2 are none, 3 and 4 are; the oracle does not count.
        let lost: Vec<usize> = defeats.iter().map(|defeat| defeat.scenario).collect();
        assert_eq!(lost, [2, 3]);
        close(defeats[0].ratio.mean, 1.5);
        assert_eq!(
            exact.entries[defeats[0].winner].name,
            PROPORTIONAL_WEIGHTING
        );
        // Logarithms of the paired ratio are ln 1.5 -+ 0.3: the half-width is
        // t(3) * 0.3464 / 2 = 0.551, more than ln 1.5 = 0.405 and less than ln 2 = 0.693.
        let lost: Vec<usize> = comparison(0.3)
            .defeats(judged)
            .iter()
            .map(|defeat| defeat.scenario)
            .collect();
        assert_eq!(lost, [3]);
        let victors = comparison(0.3).victors(judged);
        assert!(!victors.is_empty() && victors.iter().all(|(_, wins)| *wins == 1));
    }
}
