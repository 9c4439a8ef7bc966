//! The situations that are compared: how fast the computers are, and what happens to the first.

use std::time::Duration;

/// Computers of each cell.
pub(super) const COMPUTERS: usize = 6;
/// Requests that a computer executes at the same time, each as fast as if it were alone.
pub(super) const WORKERS: usize = 2;
/// Mean time that a computer of speed 1 takes for a request.
pub(super) const SERVICE: Duration = Duration::from_millis(20);

/// A situation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Cell {
    /// All computers are equal
    Equal,
    /// Three are four times as fast as the other three
    Unequal,
    /// One of equals becomes eight times slower for a while
    Slowed,
    /// One of equals is frozen (SIGSTOP) for a while
    Paused,
    /// One of equals is killed (SIGKILL) and comes back
    Killed,
}

/// What happens to the first computer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Trouble {
    /// It works so many times slower.
    Slow(f64),
    /// Its process is stopped, its sockets stay open.
    Pause,
    /// Its process dies.
    Kill,
}

/// When the trouble starts, as a fraction of the measured time.
pub(super) const TROUBLE_FROM: f64 = 0.2;
/// When it is over.
pub(super) const TROUBLE_UNTIL: f64 = 0.6;
/// When nothing of it is left: queues are worked off, and the computer is used again.
const TROUBLE_FORGOTTEN: f64 = 0.7;
/// What was due so shortly before it may be under way when it starts, and is hit as well: longer
/// than any but one in a thousand requests takes when nothing is wrong.
const UNDER_WAY: Duration = Duration::from_millis(200);

/// When requests are due that may feel the trouble of a run, counted from its beginning.
pub(super) fn trouble_felt(warm_up: Duration, measured: Duration) -> (Duration, Duration) {
    let moment = |share| warm_up + measured.mul_f64(share);
    let from = moment(TROUBLE_FROM).saturating_sub(UNDER_WAY);
    (from, moment(TROUBLE_FORGOTTEN))
}

impl Cell {
    /// All of them, in the order of the table.
    pub(super) const ALL: [Self; 5] = [
        Self::Equal,
        Self::Unequal,
        Self::Slowed,
        Self::Paused,
        Self::Killed,
    ];

    /// Its name in tables and JSON lines.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Unequal => "unequal",
            Self::Slowed => "slowed",
            Self::Paused => "paused",
            Self::Killed => "killed",
        }
    }

    /// Speeds of the computers. Their sum is the same in all cells, so that the same rate means
    /// the same utilisation.
    pub(super) fn speeds(self) -> [f64; COMPUTERS] {
        match self {
            Self::Unequal => [1.6, 0.4, 1.6, 0.4, 1.6, 0.4],
            _ => [1.0; COMPUTERS],
        }
    }

    pub(super) fn trouble(self) -> Option<Trouble> {
        match self {
            Self::Equal | Self::Unequal => None,
            Self::Slowed => Some(Trouble::Slow(8.0)),
            Self::Paused => Some(Trouble::Pause),
            Self::Killed => Some(Trouble::Kill),
        }
    }
}

/// Requests per second that keep such a share of all workers busy.
pub(super) fn rate(utilisation: f64) -> f64 {
    (COMPUTERS * WORKERS) as f64 / SERVICE.as_secs_f64() * utilisation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_cells_have_the_same_capacity() {
        for cell in Cell::ALL {
            let sum: f64 = cell.speeds().iter().sum();
            assert!((sum - COMPUTERS as f64).abs() < 1e-9, "{cell:?}");
        }
        assert!((rate(0.6) - 360.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_under_way_when_the_trouble_starts_feels_it() {
        let [warm_up, measured] = [2, 20].map(Duration::from_secs);
        let (from, until) = trouble_felt(warm_up, measured);
        assert_eq!((from.as_millis(), until.as_millis()), (5_800, 16_000));
    }

    #[test]
    fn unequal_computers_differ_by_four() {
        let speeds = Cell::Unequal.speeds();
        let fastest = speeds.iter().copied().fold(f64::MIN, f64::max);
        let slowest = speeds.iter().copied().fold(f64::MAX, f64::min);
        assert!((fastest / slowest - 4.0).abs() < 1e-9);
    }
}
