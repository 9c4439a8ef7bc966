//! Peak EWMA: of two destinations drawn at random, the smaller decaying peak latency times requests
//! in flight.

use super::draw::{Drawn, draw};
use super::{Choice, Cost, Executed, Policy, Scene, Wanted, costs_of};
use crate::Nanos;
use crate::average::{SHORTEST, replace, sample};
use crate::route::Route;
use crate::stamp::{Stamp, pack, unpack};
use rand::Rng;
use std::sync::atomic::Ordering::Relaxed;

/// Time constant, in seconds, at which an estimate decays.
const TAU: f32 = 10.0;
/// Seconds that a destination is expected to take before anything is measured.
const UNKNOWN: f32 = 0.03;
/// Seconds that a failure counts as.
const PENALTY: f32 = 5.0;

/// Draws two candidates and takes the one with the smaller `E x (in flight + 1)`, after the balancer
/// of tower and linkerd (Finagle's before them).
///
/// E jumps to a latency above it at once and approaches one below it with a time constant of 10 s
/// (`E d + r (1 - d)` with `d = exp(-age / 10 s)`). Without samples it decays to 0 at the same pace,
/// so that an idle destination is tried again. A failure counts as a latency of 5 s, as in linkerd,
/// so that a destination that fails fast does not look fast. Before the first sample E is 30 ms.
///
/// Use it for what is known from linkerd, or where destinations are too many to look at all of them
/// and not too different. In the simulation study behind [`super::least_cost`] two choices were far
/// behind a look at all (2.5 times the 99th percentile of an omniscient dispatcher against 1.3, and
/// 489 against 1.9 at the worst), and the jump to the peak was a loss, too.
///
/// It takes no lock: E and its stamp are one word. A pick costs the same however many destinations
/// there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeakEwma;

/// Seconds as of now; those of the word belong to its stamp. 0 means none yet.
fn estimate(word: u64, now: Stamp) -> f32 {
    let (bits, sampled) = unpack(word);
    match f32::from_bits(bits) {
        0.0 => UNKNOWN,
        peak => peak * (-Stamp(sampled).age(now).as_secs() / TAU).exp(),
    }
}

/// The word after a sample of so many seconds.
fn moved(word: u64, sample: f32, now: Stamp) -> u64 {
    let (bits, sampled) = unpack(word);
    let peak = f32::from_bits(bits);
    let moved = if sample >= peak {
        sample
    } else {
        let decay = (-Stamp(sampled).age(now).as_secs() / TAU).exp();
        peak * decay + sample * (1.0 - decay)
    };
    pack(moved.max(SHORTEST).to_bits(), now.0)
}

fn peak(route: &Route, now: Stamp) -> f32 {
    estimate(route.scratch().load(Relaxed), now)
}

fn cost(route: &Route, now: Stamp) -> f32 {
    peak(route, now) * (route.destination().in_flight() as f32 + 1.0)
}

fn record(route: &Route, sample: f32, now: Nanos) {
    let now = Stamp::at(now);
    replace(route.scratch(), |word| moved(word, sample, now));
}

impl Policy for PeakEwma {
    fn choose<'a>(&self, scene: &Scene<'a>, rng: &mut dyn Rng) -> Option<Choice<'a>> {
        let (routes, now) = (scene.routes, Stamp::at(scene.now));
        let mut drawn = Drawn::new();
        draw(&mut drawn, scene, 2, rng, |_| true);
        let costs = drawn.iter().map(|at| (*at, cost(routes.at(*at), now)));
        let (least, _) = costs.min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Choice::from(routes.at(least)))
    }

    fn costs(&self, scene: &Scene<'_>) -> Vec<Cost> {
        let now = Stamp::at(scene.now);
        costs_of(scene, |route| {
            let terms = vec![("peak_s", f64::from(peak(route, now)))];
            (f64::from(cost(route, now)), terms)
        })
    }

    fn learnt(&self, route: &Route, executed: &Executed<'_>) {
        record(route, sample(executed.latency), executed.now);
    }

    fn failed(&self, route: &Route, now: Nanos) {
        // A destination that was slower than that is not to profit from failing.
        let known = peak(route, Stamp::at(now));
        record(route, PENALTY.max(known), now);
    }

    fn wanted(&self) -> Wanted {
        Wanted::NOTHING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Stamp {
        Stamp::at(Nanos::from_secs_f64(seconds))
    }

    fn close(actual: f32, expected: f32) -> bool {
        (actual - expected).abs() < 1e-3 * expected
    }

    #[test]
    fn the_estimate_jumps_up_sinks_slowly_and_decays_when_nothing_comes() {
        assert_eq!(estimate(0, at(5.0)), UNKNOWN);
        let word = moved(0, 0.1, at(1.0));
        let word = moved(word, 0.4, at(1.0));
        assert_eq!(estimate(word, at(1.0)), 0.4);
        let half = TAU * 2.0_f32.ln();
        let later = at(1.0 + f64::from(half));
        assert!(close(estimate(word, later), 0.2), "read without a sample");
        let word = moved(word, 0.1, later);
        assert!(close(estimate(word, later), 0.25), "half way to the sample");
        assert!(estimate(word, at(1000.0)) < 1e-9);
    }
}
