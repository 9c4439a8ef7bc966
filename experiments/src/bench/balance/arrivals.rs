//! What is asked for and when: Poisson arrivals of exponential size, the same for all peers.

use std::time::Duration;

use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_distr::Exp1;
use rand_pcg::Pcg64;

/// Mean size of an input, in bytes.
pub(super) const MEAN_BYTES: f64 = 100.0;
/// Largest input: keeps the longest execution at ten times the mean one.
const MAX_BYTES: f64 = 1000.0;

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// When it is to be sent, from the beginning of the load.
    pub(super) due: Duration,
    /// Size of its input, to which the time of its execution is proportional.
    pub(super) bytes: usize,
    /// Random: on which connection it travels.
    pub(super) lane: u32,
}

/// The requests of `length` at `rate` per second.
pub(super) fn draw(rate: f64, length: Duration, seed: u64) -> Vec<Arrival> {
    let mut random = Pcg64::seed_from_u64(seed);
    let mut exponential = {
        let random = &mut random;
        move || -> (f64, f64, u32) { (random.sample(Exp1), random.sample(Exp1), random.next_u32()) }
    };
    let mut at = 0.0;
    let mut arrivals = Vec::new();
    loop {
        let (gap, size, lane) = exponential();
        at += gap / rate;
        if at >= length.as_secs_f64() {
            return arrivals;
        }
        arrivals.push(Arrival {
            due: Duration::from_secs_f64(at),
            bytes: (size * MEAN_BYTES).clamp(1.0, MAX_BYTES).round() as usize,
            lane,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(100);

    #[test]
    fn the_seed_decides() {
        let one = draw(300.0, LENGTH, 1);
        assert_eq!(one, draw(300.0, LENGTH, 1));
        assert_ne!(one, draw(300.0, LENGTH, 2));
    }

    #[test]
    fn rate_and_size_are_as_asked_for() {
        let arrivals = draw(300.0, LENGTH, 7);
        let count = arrivals.len() as f64;
        assert!((29_000.0..31_000.0).contains(&count), "{count}");
        let mean = arrivals.iter().map(|a| a.bytes as f64).sum::<f64>() / count;
        assert!((97.0..103.0).contains(&mean), "{mean}");
        assert!(arrivals.is_sorted_by_key(|a| a.due));
        assert!(arrivals.iter().all(|a| a.due < LENGTH));
    }

    #[test]
    fn connections_share_the_requests_evenly() {
        let arrivals = draw(300.0, LENGTH, 7);
        for broker in 0..4 {
            let share = arrivals.iter().filter(|a| a.lane % 4 == broker).count();
            let share = share as f64 / arrivals.len() as f64;
            assert!((0.23..0.27).contains(&share), "{share}");
        }
    }
}
