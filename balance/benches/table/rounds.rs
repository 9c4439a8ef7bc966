//! Several things that are measured in turn, in many short rounds: whatever else the machine does to caches
//! and clocks hits all alike. What counts is the time of the processor, of which the thread has none while
//! others have their turn.

use super::cpu_time::{nanos, sorted};

/// Rounds.
const ROUNDS: usize = 41;
/// One of each in a round takes so many nanoseconds.
const TURN: f64 = 1.5e6;
/// It is done so often before the clock is looked at, which is a call of the system.
const AT_A_TIME: u32 = 50;

/// What one of them takes.
#[derive(Debug)]
pub(crate) struct Row {
    /// Nanoseconds of the processor: in the round in which it took the least, and in the median.
    pub(crate) least: f64,
    pub(crate) median: f64,
    /// Times what the first one takes in the same round: in a tenth of the rounds less than this one, in
    /// the median, and in a tenth more than this one.
    pub(crate) times: [f64; 3],
}

/// Measures all, the first of which the others are compared with.
pub(crate) fn compare<const N: usize>(works: &mut [Box<dyn FnMut()>; N]) -> [Row; N] {
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let nanos = std::array::from_fn::<f64, N, _>(|nth| turn(&mut *works[nth]));
        // The first one is for the caches.
        if round > 0 {
            rounds.push(nanos);
        }
    }
    std::array::from_fn(|nth| {
        let nanos = sorted(rounds.iter().map(|round| round[nth]));
        let times = sorted(rounds.iter().map(|round| round[nth] / round[0]));
        Row {
            least: nanos[0],
            median: nanos[ROUNDS / 2],
            times: [ROUNDS / 10, ROUNDS / 2, ROUNDS - 1 - ROUNDS / 10].map(|at| times[at]),
        }
    })
}

fn turn(work: &mut dyn FnMut()) -> f64 {
    let started = nanos();
    let mut done = 0;
    loop {
        (0..AT_A_TIME).for_each(|_| work());
        done += AT_A_TIME;
        let spent = nanos() - started;
        if spent >= TURN {
            return spent / f64::from(done);
        }
    }
}

/// As a line.
pub(crate) fn print(name: &str, rows: &[Row]) {
    print!("{name:<22}");
    for (nth, row) in rows.iter().enumerate() {
        print!(" {:>7.0} {:>7.0}", row.least, row.median);
        if nth > 0 {
            let [low, median, high] = row.times;
            print!(" {median:>5.2} ({low:.2} to {high:.2})");
        }
    }
    println!();
}
