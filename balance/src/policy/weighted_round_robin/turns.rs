//! Whose turn it is, and how often it comes: earliest due time first.

use super::super::smallest::smallest;
use crate::Nanos;
use crate::routes::Change;
use crate::stamp::unpack;
use std::ops::Range;

/// Weights are computed so often.
const UPDATE: Nanos = Nanos::from_secs(1);
/// Counts of a longer interval say nothing: nobody asked for most of it.
const LONGEST_INTERVAL: Nanos = Nanos::from_secs(10);
/// A weight counts so long after the first report.
const BLACKOUT: Nanos = Nanos::from_secs(10);
/// A weight counts until so long after the last report.
const EXPIRY: Nanos = Nanos::from_secs(180);
/// Time constant of the averages, in seconds.
const MEMORY: f64 = 10.0;
/// Weights are kept within these multiples of their mean, so that none is starved, and none buried
/// under requests for a single odd report.
const SMALLEST: f64 = 0.01;
const LARGEST: f64 = 10.0;

/// What is known of one destination, and when it is due.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// First report without a long gap since, last report.
    reports: Option<(Nanos, Nanos)>,
    /// Sums over the recent past, in which older seconds weigh less.
    seconds: f64,
    busy_seconds: f64,
    requests: f64,
    failures: f64,
    computed: f64,
    /// When it is due, and how long until the next time; none until it takes part.
    schedule: Option<Schedule>,
    /// Whether a request was sent there and something may be counted, so that of many destinations
    /// those are left in peace to which nothing goes.
    awaited: bool,
}

#[derive(Clone, Copy, Debug)]
struct Schedule {
    due: f64,
    period: f64,
}

impl Turn {
    /// Takes what was counted during the last `span`, in a word of failures and answers, and the
    /// last report, a word of the utilisation or 0 if there was none.
    pub(super) fn observe(
        &mut self,
        counts: u64,
        report: u64,
        span: Nanos,
        penalty: f64,
        now: Nanos,
    ) {
        let (failures, answers) = unpack(counts);
        let utilization = f64::from(f32::from_bits(unpack(report).0));
        if span > LONGEST_INTERVAL {
            return;
        }
        if utilization <= 0.0 || answers == 0 {
            // Without a report it cannot be told what they mean for the rate, but they happened.
            self.requests += f64::from(failures);
            self.failures += f64::from(failures);
            return;
        }
        let since = match self.reports {
            Some((first, last)) if now.since(last) < EXPIRY => first,
            _ => {
                *self = Turn {
                    schedule: self.schedule,
                    awaited: self.awaited,
                    ..Turn::default()
                };
                now
            }
        };
        self.reports = Some((since, now));
        let span = span.as_secs_f64();
        let kept = (-span / MEMORY).exp();
        self.seconds = kept * self.seconds + span;
        self.busy_seconds = kept * self.busy_seconds + utilization * span;
        self.requests = kept * self.requests + f64::from(answers) + f64::from(failures);
        self.failures = kept * self.failures + f64::from(failures);
        let rate = self.requests / self.seconds;
        let errors = self.failures / self.seconds;
        self.computed = rate / (self.busy_seconds / self.seconds + penalty * errors / rate);
    }

    /// Whether there may be counts to observe.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited
    }

    /// There are not going to be any until the next turn.
    pub(super) fn settled(&mut self) {
        self.awaited = false;
    }

    /// The weight, as long as it counts.
    pub(super) fn weight(&self, now: Nanos) -> Option<f64> {
        let (first, last) = self.reports?;
        (now.since(first) >= BLACKOUT && now.since(last) < EXPIRY).then_some(self.computed)
    }

    /// Between two turns, 1 on average.
    pub(super) fn period(&self) -> f64 {
        self.schedule.map_or(1.0, |schedule| schedule.period)
    }
}

/// The mean of the weights that are known, if there are two at least.
pub(super) fn mean(weights: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_u32);
    for weight in weights.flatten() {
        sum += weight;
        count += 1;
    }
    (count >= 2).then(|| sum / f64::from(count))
}

/// The course of turns, in a time of its own that passes by one when all have had their average
/// share.
#[derive(Debug, Default)]
pub(super) struct Turns {
    now: f64,
    updated: Nanos,
    /// When each destination is due, side by side for the pick; NaN for those that take no part yet.
    dues: Vec<f64>,
    /// Before this position all take part.
    new_from: usize,
}

impl Turns {
    /// The time since the last update, if it is time for another.
    pub(super) fn begin_update(&mut self, now: Nanos) -> Option<Nanos> {
        let span = now.since(self.updated);
        if span < UPDATE {
            return None;
        }
        self.updated = now;
        Some(span)
    }

    /// The period follows the weight; what is left of it until the next turn is kept in proportion.
    pub(super) fn set_period(&self, turn: &mut Turn, mean: Option<f64>, now: Nanos) {
        let share = match (turn.weight(now), mean) {
            (Some(weight), Some(mean)) => (weight / mean).clamp(SMALLEST, LARGEST),
            _ => 1.0,
        };
        let period = 1.0 / share;
        if let Some(schedule) = &mut turn.schedule {
            let left = (schedule.due - self.now).max(0.0) / schedule.period;
            *schedule = Schedule {
                due: self.now + left * period,
                period,
            };
        }
    }

    /// The one at this position, if it is new, begins somewhere (`start`, from 0 to 1) in its period.
    pub(super) fn enter(&mut self, at: usize, turn: &mut Turn, start: impl FnOnce() -> f64) {
        let schedule = turn.schedule.get_or_insert_with(|| Schedule {
            due: self.now + start(),
            period: 1.0,
        });
        self.dues[at] = schedule.due;
        self.new_from = self.new_from.max(at + 1);
    }

    /// Takes over when each is due, after any of it was changed.
    pub(super) fn list<'a>(&mut self, turns: impl Iterator<Item = &'a Turn>) {
        self.dues.clear();
        let due = |turn: &Turn| turn.schedule.map_or(f64::NAN, |schedule| schedule.due);
        self.dues.extend(turns.map(due));
        let new = self.dues.iter().position(|due| due.is_nan());
        self.new_from = new.unwrap_or(self.dues.len());
    }

    /// Does what was done to the routes; not for those that have other positions now.
    pub(super) fn follow(&mut self, change: &Change<'_>) {
        match change {
            Change::Added(routes) => self.dues.resize(self.dues.len() + routes.len(), f64::NAN),
            Change::Removed(at, _) => {
                self.dues.remove(*at);
                self.new_from -= usize::from(*at < self.new_from);
            }
            Change::Replaced(at, _) => {
                self.dues.swap_remove(*at);
                if self.new_from > self.dues.len() {
                    self.new_from = self.dues.len();
                } else {
                    self.new_from = self.new_from.min(*at);
                }
            }
            Change::Listed(_) => {}
        }
    }

    /// From the first that takes no part yet.
    pub(super) fn newcomers(&self) -> Range<usize> {
        self.new_from..self.dues.len()
    }

    /// The position of the one that is due first, among those at the positions `among`.
    pub(super) fn first(
        &self,
        among: impl IntoIterator<Item = usize>,
        admits: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut first = None;
        let mut earliest = f64::INFINITY;
        for at in among {
            let due = self.due(at);
            if due < earliest && admits(at) {
                (first, earliest) = (Some(at), due);
            }
        }
        first
    }

    /// The same among all.
    pub(super) fn first_of_all(&self) -> Option<usize> {
        // One that is overdue is due now, and the first of those that are comes first.
        let earliest = smallest(&self.dues).max(self.now);
        self.dues.iter().position(|due| *due <= earliest)
    }

    /// One that was passed over for a while is due now, not many times over.
    #[inline]
    fn due(&self, at: usize) -> f64 {
        let due = self.dues[at];
        if due > self.now { due } else { self.now }
    }

    /// It is the turn of the one at this position now.
    pub(super) fn take(&mut self, at: usize, turn: &mut Turn) {
        self.now = self.due(at);
        turn.awaited = true;
        if let Some(schedule) = &mut turn.schedule {
            schedule.due = self.now + schedule.period;
            self.dues[at] = schedule.due;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::pack;

    const SECOND: Nanos = Nanos::from_secs(1);

    fn second(turn: &mut Turn, at: u64, answers: u32, failures: u32, utilization: f32) {
        let report = pack(utilization.to_bits(), 0);
        let now = Nanos::from_secs(at);
        turn.observe(pack(failures, answers), report, SECOND, 1.0, now);
    }

    #[test]
    fn the_weight_is_the_rate_at_full_utilisation_and_errors_add_to_it() {
        let mut turn = Turn::default();
        for at in 0..=10 {
            second(&mut turn, at, 80, 0, 0.5);
            let counts = turn.weight(Nanos::from_secs(at)).is_some();
            assert_eq!(counts, at == 10, "after {at} s");
        }
        let now = Nanos::from_secs(10);
        assert!((turn.weight(now).unwrap() - 160.0).abs() < 1e-6);
        let mut failing = Turn::default();
        for at in 0..=10 {
            second(&mut failing, at, 80, 20, 0.5);
        }
        assert!((failing.weight(now).unwrap() - 100.0 / 0.7).abs() < 1e-6);
    }

    #[test]
    fn seconds_without_a_report_change_nothing_but_their_failures_count() {
        let mut turn = Turn::default();
        for at in 0..=10 {
            second(&mut turn, at, 80, 0, 0.5);
        }
        let now = Nanos::from_secs(20);
        second(&mut turn, 15, 0, 0, 0.5);
        second(&mut turn, 16, 70, 0, 0.0);
        assert!((turn.weight(now).unwrap() - 160.0).abs() < 1e-6);
        second(&mut turn, 17, 0, 300, 0.0);
        second(&mut turn, 18, 80, 0, 0.5);
        assert!(turn.weight(now).unwrap() < 160.0);
    }

    #[test]
    fn a_second_blackout_follows_a_silence_of_three_minutes() {
        let mut turn = Turn::default();
        for at in 0..=10 {
            second(&mut turn, at, 80, 0, 0.5);
        }
        assert!(turn.weight(Nanos::from_secs(189)).is_some());
        assert_eq!(turn.weight(Nanos::from_secs(190)), None);
        second(&mut turn, 200, 80, 0, 0.25);
        assert_eq!(turn.weight(Nanos::from_secs(209)), None);
        let weight = turn.weight(Nanos::from_secs(210)).unwrap();
        assert!((weight - 320.0).abs() < 1e-6, "the past is forgotten");
    }

    #[test]
    fn means_need_two_weights() {
        assert_eq!(mean([None, Some(3.0)].into_iter()), None);
        assert_eq!(mean([Some(1.0), None, Some(3.0)].into_iter()), Some(2.0));
    }

    #[test]
    fn the_first_of_all_is_the_first_among_all_positions() {
        for count in [0, 1, 7, 8, 20] {
            for now in [0.0, 2.0, 5.0, 50.0] {
                let due = |at: usize| Turn {
                    schedule: Some(Schedule {
                        due: (at * 7 % 11) as f64,
                        period: 1.0,
                    }),
                    ..Turn::default()
                };
                let all: Vec<_> = (0..count).map(due).collect();
                let mut turns = Turns {
                    now,
                    ..Turns::default()
                };
                turns.list(all.iter());
                let expected = turns.first(0..count, |_| true);
                assert_eq!(turns.first_of_all(), expected, "{count} at {now}");
            }
        }
    }
}
