//! `lab sim run`: one scenario, described on the command line.

use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use edge_daemon::UsageError;

use super::scenario::{
    Acceleration, Antagonist, Arrivals, Discipline, LambdaMix, Network, RouterShares, Scenario,
    Service,
};
use super::{Contender, Outcome, run};
use crate::numbers::{any, whole};

/// Pairs of a router and an executor, at the most: some gigabytes.
const MOST_PAIRS: usize = 10_000_000;
const MOST_LAMBDAS: usize = 10_000;

/// Options of `lab sim run`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Who chooses: a policy of the forwarding table, an estimator of the dispatcher (`rtt`, `util`,
    /// `delay`),
    /// `uniform`, `oracleE`, `oracleW`, or several of them
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "predicted-completion,least-cost,oracleE"
    )]
    policy: Vec<String>,
    /// Number of routers
    #[arg(long, default_value = "1")]
    routers: NonZeroUsize,
    /// Number of executors
    #[arg(long, default_value = "4")]
    executors: NonZeroUsize,
    /// Speeds, which the executors take in turn
    #[arg(long, value_delimiter = ':', default_value = "1", value_parser = any(1e-3..=1e3))]
    speeds: Vec<f64>,
    /// Numbers of workers, which the executors take in turn
    #[arg(long, value_delimiter = ':', default_value = "1",
          value_parser = whole(NonZeroU32::MIN..=NonZeroU32::MAX))]
    workers: Vec<NonZeroU32>,
    /// Offered work over capacity
    #[arg(long, default_value_t = 0.7)]
    load: f64,
    /// Distribution of service times
    #[arg(long, value_enum, default_value_t = Distribution::Exponential)]
    service: Distribution,
    /// Mean service time at speed 1, in milliseconds
    #[arg(long, default_value_t = 10.0, value_name = "MS")]
    mean_ms: f64,
    /// How requests come
    #[arg(long, value_enum, default_value_t = Process::Poisson)]
    arrivals: Process,
    /// Requests come at the moments in this file, in seconds, one per line, stretched to the load
    #[arg(long, value_name = "FILE", conflicts_with = "arrivals")]
    trace: Option<PathBuf>,
    /// Every so-manieth executor says nothing of its load, answers no probes and turns nothing down
    #[arg(long, value_name = "N")]
    silent_every: Option<NonZeroUsize>,
    /// The k-th router gets requests in proportion to 1 / k to this power
    #[arg(long, value_name = "EXPONENT")]
    zipf: Option<f64>,
    /// Something that goes wrong for a share of the run: slow=TIMES, pause, crash or
    /// fail=PROBABILITY
    #[arg(long, value_name = "EXECUTOR:KIND@FROM-TO")]
    antagonist: Vec<Antagonist>,
    /// Round trip in milliseconds; with two numbers log-uniform between them, and noisy
    #[arg(
        long,
        value_delimiter = ':',
        value_name = "MS[:MS]",
        default_value = "0.5:10",
        value_parser = any(0.0..=1e6)
    )]
    rtt_ms: Vec<f64>,
    /// Executors share their workers among all requests instead of letting some wait
    #[arg(long)]
    sharing: bool,
    /// Number of lambdas
    #[arg(long, default_value = "1")]
    lambdas: NonZeroUsize,
    /// Every so-manieth executor runs the first lambda faster, by this factor
    #[arg(long, value_name = "EVERY:FACTOR", value_delimiter = ':', value_parser = any(1e-6..=1e6))]
    accelerate: Vec<f64>,
    /// Number of requests
    #[arg(long, default_value = "60000")]
    requests: NonZeroUsize,
    /// Share of the requests to leave out, the first ones
    #[arg(long, default_value_t = 0.15)]
    warm_up: f64,
    /// Where the randomness starts
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print what is simulated, and which executor got how much
    #[arg(long)]
    explain: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Distribution {
    Constant,
    Exponential,
    /// Log-normal with a coefficient of variation of 2
    HeavyTail,
    /// Nine short ones, one long one
    Bimodal,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Process {
    Poisson,
    /// Bursts that all routers see
    Bursts,
    /// Bursts of each router
    Ipp,
}

/// Runs it.
pub(crate) fn execute(flags: &Flags) -> anyhow::Result<()> {
    let scenario = flags.scenario()?;
    let contenders: Vec<Contender> = flags
        .policy
        .iter()
        .map(|name| contender(name))
        .collect::<anyhow::Result<_>>()?;
    if flags.explain {
        println!("{scenario:#?}");
        println!("requests per second: {:.1}\n", scenario.rate());
    }
    println!(
        "{:<28} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>12}",
        "policy",
        "mean ms",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "attempts",
        "refused",
        "errors",
        "simulated/s"
    );
    for contender in contenders {
        let started = Instant::now();
        let outcome = run(&scenario, &contender, flags.seed);
        let speed = scenario.requests as f64 / started.elapsed().as_secs_f64();
        print(&contender, &outcome, speed);
        if flags.explain {
            explain(&scenario, &outcome);
        }
    }
    Ok(())
}

fn print(contender: &Contender, outcome: &Outcome, speed: f64) {
    let ms = |seconds: f64| format!("{:.3}", seconds * 1e3);
    let per_request = |n: u64| n as f64 / outcome.requests.max(1) as f64;
    println!(
        "{:<28} {:>9} {:>9} {:>9} {:>9} {:>8.3} {:>8.3} {:>8} {:>12.0}",
        contender.name(),
        ms(outcome.mean),
        ms(outcome.p50),
        ms(outcome.p99),
        ms(outcome.p999),
        per_request(outcome.attempts),
        per_request(outcome.refusals),
        outcome.errors,
        speed,
    );
}

fn explain(scenario: &Scenario, outcome: &Outcome) {
    for (executor, share) in outcome.share.iter().enumerate() {
        let capacity: f64 = scenario.speeds.iter().sum();
        println!(
            "  executor {executor:>4}  speed {:>6.2}  {:>6.2} % of the capacity  {:>6.2} % of the requests",
            scenario.speeds[executor],
            scenario.speeds[executor] / capacity * 100.0,
            share * 100.0
        );
    }
}

/// The contender of that name.
pub(crate) fn contender(name: &str) -> anyhow::Result<Contender> {
    let invalid = |_| {
        let known = Contender::names().collect::<Vec<_>>().join(", ");
        UsageError(format!("--policy knows no {name}, only {known}"))
    };
    Ok(Contender::named(name).map_err(invalid)?)
}

pub(super) fn check(holds: bool, problem: &str) -> Result<(), UsageError> {
    let error = || UsageError(problem.to_owned());
    holds.then_some(()).ok_or_else(error)
}

pub(super) fn within(
    option: &str,
    value: f64,
    range: RangeInclusive<f64>,
) -> Result<f64, UsageError> {
    let (least, most) = (range.start(), range.end());
    let problem = format!("{option} takes {least} to {most}, not {value}");
    check(range.contains(&value), &problem)?;
    Ok(value)
}

impl Flags {
    fn scenario(&self) -> anyhow::Result<Scenario> {
        let mean = within("--mean-ms", self.mean_ms, 1e-3..=1e6)? * 1e-3;
        check(
            (0.0..1.0).contains(&self.warm_up),
            "--warm-up takes 0 to below 1",
        )?;
        let (routers, executors) = (self.routers.get(), self.executors.get());
        let pairs = routers.checked_mul(executors);
        check(
            pairs.is_some_and(|pairs| pairs <= MOST_PAIRS),
            "--routers times --executors may be 10000000",
        )?;
        check(
            self.lambdas.get() <= MOST_LAMBDAS,
            "--lambdas takes 1 to 10000",
        )?;
        for antagonist in &self.antagonist {
            let problem = format!(
                "--antagonist: there is no executor {}, they are numbered from 0 to {}",
                antagonist.executor,
                executors - 1
            );
            check(antagonist.executor < executors, &problem)?;
        }
        let workers = self.workers.iter().map(|workers| workers.get());
        Ok(Scenario {
            name: "command line".to_owned(),
            routers,
            speeds: self
                .speeds
                .iter()
                .copied()
                .cycle()
                .take(executors)
                .collect(),
            worker_mix: Some(workers.cycle().take(executors).collect()),
            silent_every: self.silent_every.map(NonZeroUsize::get),
            load: within("--load", self.load, 1e-3..=100.0)?,
            service: match self.service {
                Distribution::Constant => Service::Constant { mean },
                Distribution::Exponential => Service::Exponential { mean },
                Distribution::HeavyTail => Service::HeavyTail { mean },
                Distribution::Bimodal => Service::Bimodal { mean },
            },
            arrivals: self.arrivals()?,
            shares: match self.zipf {
                None => RouterShares::Equal,
                Some(exponent) => RouterShares::Zipf(within("--zipf", exponent, 1e-3..=100.0)?),
            },
            antagonists: self.antagonist.clone(),
            network: self.network()?,
            requests: self.requests.get(),
            warm_up: self.warm_up,
            lambdas: self.lambdas()?,
            discipline: if self.sharing {
                Discipline::Sharing
            } else {
                Discipline::Fifo
            },
            ..Scenario::default()
        })
    }

    fn lambdas(&self) -> Result<Vec<LambdaMix>, UsageError> {
        let mut lambdas = vec![LambdaMix::ONLY; self.lambdas.get()];
        match self.accelerate[..] {
            [] => (),
            [every, factor] if every >= 1.0 => {
                lambdas[0].accelerated = Some(Acceleration {
                    every: every as usize,
                    factor,
                });
            }
            _ => check(
                false,
                "--accelerate takes a number from 1 and a factor above 0",
            )?,
        }
        Ok(lambdas)
    }

    fn arrivals(&self) -> Result<Arrivals, UsageError> {
        let Some(path) = &self.trace else {
            return Ok(match self.arrivals {
                Process::Poisson => Arrivals::Poisson,
                Process::Bursts => Arrivals::Bursts,
                Process::Ipp => Arrivals::Ipp,
            });
        };
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| UsageError(format!("--trace: cannot read {name}: {error}")))?;
        let moments: Vec<f64> = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(number, line)| {
                let problem = |_| UsageError(format!("--trace: {name}:{}: no number", number + 1));
                line.trim().parse().map_err(problem)
            })
            .collect::<Result<_, _>>()?;
        check(
            moments.iter().all(|at| at.is_finite())
                && moments.is_sorted()
                && moments.first() < moments.last(),
            &format!("--trace: {name} must hold at least two moments in ascending order"),
        )?;
        Ok(Arrivals::Trace(moments.into()))
    }

    fn network(&self) -> Result<Network, UsageError> {
        match self.rtt_ms[..] {
            [0.0] => Ok(Network::None),
            [rtt] => Ok(Network::Constant(rtt * 1e-3)),
            [min, max] if min > 0.0 && max >= min => Ok(Network::LogUniform {
                min: min * 1e-3,
                max: max * 1e-3,
            }),
            _ => Err(UsageError(
                "--rtt-ms takes one time or two, the smaller first and above 0".to_owned(),
            )),
        }
    }
}
