//! When requests are due and whose they are: Poisson arrivals, drawn once from a seed.

use std::time::Duration;

use rand::distr::Distribution as _;
use rand::distr::weighted::WeightedIndex;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::Exp1;
use rand_pcg::Pcg64;

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// When it is to be sent, from the beginning of the load.
    pub(super) due: Duration,
    /// Who sends it.
    pub(super) client: usize,
    /// Which lambda it is for.
    pub(super) lambda: usize,
}

/// The requests of `phases`, each with its length and its rate per second, one after the other.
/// Clients send in proportion to their `weights`, which makes each of them a Poisson process of
/// its own; each of so many `lambdas` is asked for equally often.
pub(super) fn draw(
    phases: &[(Duration, f64)],
    weights: &[f64],
    lambdas: usize,
    seed: u64,
) -> anyhow::Result<Vec<Arrival>> {
    let clients = WeightedIndex::new(weights)?;
    let mut random = Pcg64::seed_from_u64(seed);
    let mut arrivals = Vec::new();
    let mut begin = Duration::ZERO;
    for &(length, rate) in phases {
        let mut at = 0.0;
        loop {
            let gap: f64 = random.sample(Exp1);
            at += gap / rate;
            if at >= length.as_secs_f64() {
                break;
            }
            arrivals.push(Arrival {
                due: begin + Duration::from_secs_f64(at),
                client: clients.sample(&mut random),
                lambda: random.random_range(0..lambdas),
            });
        }
        begin += length;
    }
    Ok(arrivals)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [(Duration, f64); 3] = [
        (Duration::from_secs(10), 400.0),
        (Duration::from_secs(10), 2400.0),
        (Duration::from_secs(10), 400.0),
    ];

    fn arrivals(seed: u64) -> Vec<Arrival> {
        draw(&PHASES, &[10.0, 1.0, 1.0], 2, seed).unwrap()
    }

    fn share(arrivals: &[Arrival], of: impl Fn(&Arrival) -> bool) -> f64 {
        arrivals.iter().filter(|arrival| of(arrival)).count() as f64 / arrivals.len() as f64
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(arrivals(1), arrivals(1));
        assert_ne!(arrivals(1), arrivals(2));
    }

    #[test]
    fn each_phase_has_its_rate() {
        let arrivals = arrivals(3);
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.due));
        for (number, (length, rate)) in PHASES.into_iter().enumerate() {
            let begin = length * u32::try_from(number).unwrap();
            let of_phase = |a: &&Arrival| (begin..begin + length).contains(&a.due);
            let count = arrivals.iter().filter(of_phase).count() as f64;
            assert!((count / (rate * 10.0) - 1.0).abs() < 0.05, "{count}");
        }
    }

    #[test]
    fn clients_ask_in_proportion_to_their_weights_and_for_all_lambdas_alike() {
        let arrivals = arrivals(4);
        assert!((share(&arrivals, |a| a.client == 0) - 10.0 / 12.0).abs() < 0.02);
        assert!((share(&arrivals, |a| a.client == 2) - 1.0 / 12.0).abs() < 0.02);
        assert!((share(&arrivals, |a| a.lambda == 1) - 0.5).abs() < 0.02);
    }
}
