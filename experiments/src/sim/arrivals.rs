//! The stream of requests of a run, the same for all contenders of a seed.

use std::sync::Arc;

use rand::{Rng, RngExt as _};
use rand_distr::weighted::WeightedAliasIndex;
use rand_distr::{Distribution, Exp1, LogNormal};
use rand_pcg::Pcg64Mcg;

use super::random::{Stream, stream};
use super::scenario::{Arrivals, RouterShares, Scenario, Service};

/// A request as it comes to a router.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Arrival {
    /// Nanoseconds.
    pub(super) at: u64,
    pub(super) router: u32,
    pub(super) lambda: u32,
    /// Seconds at speed 1.
    pub(super) work: f64,
    /// For the draws that belong to it.
    pub(super) key: u64,
}

/// All requests of a scenario, one after the other, without end.
#[derive(Debug)]
pub(super) struct ArrivalStream {
    random: Pcg64Mcg,
    clock: Clock,
    routers: RouterPick,
    lambdas: LambdaPick,
    work: Work,
}

impl ArrivalStream {
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Self {
        ArrivalStream {
            random: stream(seed, Stream::Arrivals, 0),
            clock: Clock::new(scenario),
            routers: RouterPick::new(scenario),
            lambdas: LambdaPick::new(scenario),
            work: Work::new(scenario.service),
        }
    }

    pub(super) fn next(&mut self) -> Arrival {
        let random = &mut self.random;
        let (at, router) = loop {
            let at = self.clock.tick(random);
            let router = self.routers.pick(random);
            if self.clock.accepts(router, at, random) {
                break (at, router);
            }
        };
        let lambda = self.lambdas.pick(random);
        let work = self.work.draw(random) * self.lambdas.sizes[lambda];
        Arrival {
            at: (at * 1e9 + 0.5) as u64,
            router: router as u32,
            lambda: lambda as u32,
            work,
            key: random.next_u64(),
        }
    }
}

/// The point process. Seconds.
#[derive(Debug)]
enum Clock {
    Poisson {
        now: f64,
        gap: f64,
    },
    /// The rate is `1 / gaps[phase]` until `switch`.
    Bursts {
        now: f64,
        gaps: [f64; 2],
        lasts: [f64; 2],
        phase: usize,
        switch: f64,
    },
    /// Candidates come at the rate of routers that are all on; those of a router that is off pass
    /// in proportion to its rate.
    Ipp {
        now: f64,
        gap: f64,
        lasts: f64,
        phases: Vec<(bool, f64)>,
    },
    Trace {
        moments: Arc<[f64]>,
        next: usize,
        cycle: f64,
        stretch: f64,
        start: f64,
    },
}

/// Rates relative to the mean, on and off, of both modulated processes.
const BURST_RATES: [f64; 2] = [2.2, 0.6];
const IPP_RATES: [f64; 2] = [1.8, 0.2];

impl Clock {
    fn new(scenario: &Scenario) -> Self {
        let gap = 1.0 / scenario.rate();
        let service = scenario.mean_work();
        match &scenario.arrivals {
            Arrivals::Poisson => Clock::Poisson { now: 0.0, gap },
            Arrivals::Bursts => Clock::Bursts {
                now: 0.0,
                gaps: BURST_RATES.map(|rate| gap / rate),
                lasts: [50.0 * service, 150.0 * service],
                phase: 1,
                switch: 0.0,
            },
            Arrivals::Ipp => Clock::Ipp {
                now: 0.0,
                gap: gap / IPP_RATES[0],
                lasts: 100.0 * service,
                phases: vec![(false, 0.0); scenario.routers],
            },
            Arrivals::Trace(moments) => {
                let length = moments[moments.len() - 1] - moments[0];
                let mean = length / (moments.len() - 1) as f64;
                Clock::Trace {
                    moments: Arc::clone(moments),
                    next: 0,
                    cycle: length + mean,
                    stretch: gap / mean,
                    start: 0.0,
                }
            }
        }
    }

    /// The moment of the next candidate.
    fn tick(&mut self, random: &mut Pcg64Mcg) -> f64 {
        let mut exponential = || -> f64 { Exp1.sample(random) };
        match self {
            Clock::Poisson { now, gap } | Clock::Ipp { now, gap, .. } => {
                *now += *gap * exponential();
                *now
            }
            Clock::Bursts {
                now,
                gaps,
                lasts,
                phase,
                switch,
            } => {
                let mut due = exponential();
                while *now + due * gaps[*phase] > *switch {
                    due -= (*switch - *now) / gaps[*phase];
                    *now = *switch;
                    *phase = 1 - *phase;
                    *switch += lasts[*phase] * exponential();
                }
                *now += due * gaps[*phase];
                *now
            }
            Clock::Trace {
                moments,
                next,
                cycle,
                stretch,
                start,
            } => {
                let at = *start + moments[*next] - moments[0];
                *next += 1;
                if *next == moments.len() {
                    *next = 0;
                    *start += *cycle;
                }
                at * *stretch
            }
        }
    }

    /// Whether the candidate is a request of that router.
    fn accepts(&mut self, router: usize, at: f64, random: &mut Pcg64Mcg) -> bool {
        let Clock::Ipp { lasts, phases, .. } = self else {
            return true;
        };
        let (on, switch) = &mut phases[router];
        if *switch == 0.0 {
            // A router may be found in either phase, which are equally long.
            *on = random.random();
            *switch = *lasts * Distribution::<f64>::sample(&Exp1, random);
        }
        while *switch < at {
            *on = !*on;
            *switch += *lasts * Distribution::<f64>::sample(&Exp1, random);
        }
        *on || random.random::<f64>() < IPP_RATES[1] / IPP_RATES[0]
    }
}

#[derive(Debug)]
enum RouterPick {
    Equal(usize),
    Weighted(WeightedAliasIndex<f64>),
}

impl RouterPick {
    fn new(scenario: &Scenario) -> Self {
        match scenario.shares {
            RouterShares::Equal => RouterPick::Equal(scenario.routers),
            RouterShares::Zipf(exponent) => {
                let weights = (1..=scenario.routers).map(|k| (k as f64).powf(-exponent));
                RouterPick::Weighted(alias(weights.collect()))
            }
        }
    }

    fn pick(&self, random: &mut Pcg64Mcg) -> usize {
        match self {
            RouterPick::Equal(1) => 0,
            RouterPick::Equal(routers) => random.random_range(..*routers),
            RouterPick::Weighted(weighted) => weighted.sample(random),
        }
    }
}

fn alias(weights: Vec<f64>) -> WeightedAliasIndex<f64> {
    WeightedAliasIndex::new(weights).expect("a scenario has shares above 0")
}

#[derive(Debug)]
struct LambdaPick {
    sizes: Vec<f64>,
    shares: Option<WeightedAliasIndex<f64>>,
}

impl LambdaPick {
    fn new(scenario: &Scenario) -> Self {
        let lambdas = &scenario.lambdas;
        LambdaPick {
            sizes: lambdas.iter().map(|lambda| lambda.size).collect(),
            shares: (lambdas.len() > 1)
                .then(|| alias(lambdas.iter().map(|lambda| lambda.share).collect())),
        }
    }

    fn pick(&self, random: &mut Pcg64Mcg) -> usize {
        self.shares
            .as_ref()
            .map_or(0, |shares| shares.sample(random))
    }
}

/// Draws from a service distribution.
#[derive(Debug)]
enum Work {
    Constant(f64),
    Exponential(f64),
    HeavyTail(LogNormal<f64>),
    Bimodal(f64),
}

impl Work {
    fn new(service: Service) -> Self {
        match service {
            Service::Constant { mean } => Work::Constant(mean),
            Service::Exponential { mean } => Work::Exponential(mean),
            Service::HeavyTail { mean } => Work::HeavyTail(
                LogNormal::from_mean_cv(mean, 2.0).expect("the mean of a service is above 0"),
            ),
            Service::Bimodal { mean } => Work::Bimodal(mean),
        }
    }

    fn draw(&self, random: &mut Pcg64Mcg) -> f64 {
        match self {
            Work::Constant(mean) => *mean,
            Work::Exponential(mean) => {
                let unit: f64 = Exp1.sample(random);
                mean * unit
            }
            Work::HeavyTail(distribution) => distribution.sample(random),
            Work::Bimodal(mean) => mean * if random.random_bool(0.1) { 6.4 } else { 0.4 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = 400_000;

    fn arrivals(scenario: &Scenario) -> Vec<Arrival> {
        let mut stream = ArrivalStream::new(scenario, 1);
        (0..N).map(|_| stream.next()).collect()
    }

    fn mean_and_cv(values: impl Iterator<Item = f64>) -> (f64, f64) {
        let (mut n, mut sum, mut square) = (0.0, 0.0, 0.0);
        for value in values {
            n += 1.0;
            sum += value;
            square += value * value;
        }
        let mean: f64 = sum / n;
        (mean, (square / n - mean * mean).max(0.0).sqrt() / mean)
    }

    #[test]
    fn work_has_the_mean_and_the_spread_that_its_name_says() {
        let mean = 0.01;
        let expected = [
            (Service::Constant { mean }, 0.0),
            (Service::Exponential { mean }, 1.0),
            (Service::HeavyTail { mean }, 2.0),
            (Service::Bimodal { mean }, 1.8),
        ];
        for (service, cv) in expected {
            let scenario = Scenario {
                service,
                ..Scenario::default()
            };
            let work = arrivals(&scenario).into_iter().map(|arrival| arrival.work);
            let (drawn, spread) = mean_and_cv(work);
            assert!((drawn / mean - 1.0).abs() < 0.015, "{service:?}: {drawn}");
            assert!(
                (spread - cv).abs() < 0.05 * cv + 1e-6,
                "{service:?}: {spread}"
            );
        }
    }

    #[test]
    fn every_process_keeps_the_rate_of_the_load_and_its_burstiness() {
        let trace: Arc<[f64]> = vec![7.0, 7.1, 7.2, 9.0].into();
        // Where phases are long a gap is exponential at the rate of its phase, so the squared
        // coefficient of variation is twice the mean over time of 1 / relative rate, minus 1.
        let phases = |shares_and_rates: &[(f64, f64)]| {
            let inverse: f64 = shares_and_rates.iter().map(|(p, r)| p / r).sum();
            (2.0 * inverse - 1.0).sqrt()
        };
        let four_on_or_off = [(1.0, 0.2), (4.0, 0.6), (6.0, 1.0), (4.0, 1.4), (1.0, 1.8)];
        let processes = [
            (Arrivals::Poisson, 1.0),
            (Arrivals::Bursts, phases(&[(0.25, 2.2), (0.75, 0.6)])),
            (
                Arrivals::Ipp,
                phases(&four_on_or_off.map(|(ways, rate)| (ways / 16.0, rate))),
            ),
            // Gaps of 0.1, 0.1, 1.8 and then their mean.
            (Arrivals::Trace(trace), 1.041),
        ];
        for (arrivals_of, spread) in processes {
            let scenario = Scenario {
                routers: 4,
                speeds: vec![1.0; 8],
                arrivals: arrivals_of.clone(),
                ..Scenario::default()
            };
            let all = arrivals(&scenario);
            let rate = N as f64 / (all[N - 1].at as f64 * 1e-9);
            let error = (rate / scenario.rate() - 1.0).abs();
            assert!(error < 0.04, "{arrivals_of:?}: {rate}");
            let gaps = all.windows(2).map(|pair| (pair[1].at - pair[0].at) as f64);
            let (_, cv) = mean_and_cv(gaps);
            assert!((cv / spread - 1.0).abs() < 0.02, "{arrivals_of:?}: {cv}");
        }
    }

    #[test]
    fn routers_and_lambdas_get_their_shares() {
        let of = |share, size| super::super::scenario::LambdaMix {
            share,
            size,
            accelerated: None,
        };
        let scenario = Scenario {
            routers: 4,
            shares: RouterShares::Zipf(1.0),
            lambdas: vec![of(3.0, 0.5), of(1.0, 2.5)],
            ..Scenario::default()
        };
        let all = arrivals(&scenario);
        let share = |pick: &dyn Fn(&Arrival) -> bool| {
            all.iter().filter(|arrival| pick(arrival)).count() as f64 / N as f64
        };
        assert!((share(&|arrival| arrival.router == 0) - 12.0 / 25.0).abs() < 0.005);
        assert!((share(&|arrival| arrival.router == 3) - 3.0 / 25.0).abs() < 0.005);
        assert!((share(&|arrival| arrival.lambda == 1) - 0.25).abs() < 0.005);
        let (mean, _) = mean_and_cv(all.iter().map(|arrival| arrival.work));
        assert!((mean / scenario.mean_work() - 1.0).abs() < 0.015);
    }
}
