//! `lab sim validate`: the simulator beside real daemons on loopback, with the same requests.

mod host;
mod load;
mod world;

use anyhow::ensure;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::course::requests;
use super::engine::Engine;
use super::scenario::{Foresight, Network, Scenario, Service};
use super::single::contender;
use super::topology::Topology;
use host::{LoadAverage, load_average};
use load::Measured;
use world::World;

/// Options of `lab sim validate`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Requests at each point
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(100..))]
    requests: u32,
    /// Where the randomness starts
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Which points, counted from 1 [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NUMBER,...",
          value_parser = clap::value_parser!(u32).range(1..=POINTS as i64))]
    points: Vec<u32>,
    /// Declare requests idempotent, so that routers send copies of late ones, which the simulator does not
    #[arg(long)]
    idempotent: bool,
    /// Print a JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// How many points there are.
const POINTS: usize = 5;

/// How much the simulated mean may differ from the measured one.
const MEAN_WITHIN: f64 = 0.05;
/// How much the simulated 95th percentile may differ from the measured one.
const P95_WITHIN: f64 = 0.10;

/// One point, measured and simulated. Milliseconds.
#[derive(Debug, Serialize)]
struct Point {
    name: String,
    /// Of a request beside its execution where it is alone; the simulated network.
    overhead_ms: f64,
    measured_mean_ms: f64,
    simulated_mean_ms: f64,
    measured_p95_ms: f64,
    simulated_p95_ms: f64,
    within: bool,
}

/// The JSON document.
#[derive(Debug, Serialize)]
struct Document<'a> {
    points: &'a [Point],
    load_average: LoadAverage,
}

/// Measures and simulates all points.
///
/// # Errors
/// A point is outside, a request failed, daemons do not start.
pub(crate) async fn execute(flags: &Flags) -> anyhow::Result<()> {
    let asked = |number: &u32| flags.points.is_empty() || flags.points.contains(number);
    let scenarios: Vec<_> = (1..)
        .zip(scenarios(flags.requests as usize))
        .filter(|(number, _)| asked(number))
        .map(|(_, scenario)| scenario)
        .collect();
    let total = scenarios.len() * flags.requests as usize;
    let bar = ProgressBar::new(total as u64).with_style(ProgressStyle::with_template(
        "{msg:>32} {wide_bar} {human_pos}/{human_len} requests {eta:>4}",
    )?);
    let before = load_average()?;
    let mut points = Vec::new();
    for scenario in scenarios {
        bar.set_message(scenario.name.clone());
        points.push(point(scenario, flags, &bar).await?);
    }
    bar.finish_and_clear();
    let load_average = LoadAverage::new(before, load_average()?);
    if flags.json {
        let document = Document {
            points: &points,
            load_average,
        };
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        print(&points);
        println!("{}", load_average.text());
    }
    let outside = points.iter().filter(|point| !point.within).count();
    ensure!(
        outside == 0,
        "{outside} of {} points are outside: mean within {:.0} %, p95 within {:.0} %",
        points.len(),
        MEAN_WITHIN * 100.0,
        P95_WITHIN * 100.0
    );
    Ok(())
}

async fn point(scenario: Scenario, flags: &Flags, bar: &ProgressBar) -> anyhow::Result<Point> {
    let requests = load::Requests {
        seed: flags.seed,
        idempotent: flags.idempotent,
    };
    let world = World::start(&scenario).await?;
    let load::Run {
        figures: measured,
        overhead,
    } = load::run(&world, &scenario, requests, || bar.inc(1)).await?;
    world.stop().await;

    let scenario = Scenario {
        network: Network::Constant(overhead),
        ..scenario
    };
    let simulated = simulated(&scenario, flags.seed)?;
    let off = |simulated: f64, measured: f64| (simulated / measured - 1.0).abs();
    Ok(Point {
        name: scenario.name,
        overhead_ms: overhead * 1e3,
        measured_mean_ms: measured.mean * 1e3,
        simulated_mean_ms: simulated.mean * 1e3,
        measured_p95_ms: measured.p95 * 1e3,
        simulated_p95_ms: simulated.p95 * 1e3,
        within: off(simulated.mean, measured.mean) <= MEAN_WITHIN
            && off(simulated.p95, measured.p95) <= P95_WITHIN,
    })
}

fn simulated(scenario: &Scenario, seed: u64) -> anyhow::Result<Measured> {
    let contender = contender("predicted-completion")?;
    let topology = Topology::new(scenario, seed);
    let engine = Engine::new(scenario, &topology, &contender, seed);
    let mut tally = engine.tally(requests(scenario, &topology, seed), |_| ());
    Ok(Measured {
        p95: tally.percentile(0.95),
        mean: tally.outcome().mean,
    })
}

/// Service takes 20 to 50 ms, long enough for the noise of the host to be small.
fn scenarios(requests: usize) -> [Scenario; POINTS] {
    let base = Scenario {
        requests,
        load: 0.6,
        foresight: Foresight::Exact,
        ..Scenario::default()
    };
    let exponential = |mean| Service::Exponential { mean };
    [
        Scenario {
            name: "1 computer, exponential".to_owned(),
            service: exponential(0.02),
            ..base.clone()
        },
        Scenario {
            name: "2 equal, constant".to_owned(),
            speeds: vec![1.0; 2],
            service: Service::Constant { mean: 0.03 },
            load: 0.7,
            ..base.clone()
        },
        Scenario {
            name: "3 unequal, exponential".to_owned(),
            speeds: vec![2.0, 1.0, 0.5],
            service: exponential(0.03),
            ..base.clone()
        },
        Scenario {
            name: "2 routers, 4 equal, exponential".to_owned(),
            routers: 2,
            speeds: vec![1.0; 4],
            service: exponential(0.04),
            ..base.clone()
        },
        Scenario {
            name: "2 with 4 workers, bimodal".to_owned(),
            speeds: vec![1.0, 0.5],
            workers: 4,
            service: Service::Bimodal { mean: 0.05 },
            ..base
        },
    ]
}

fn print(points: &[Point]) {
    println!(
        "{:<32} {:>9} {:>10} {:>10} {:>8} {:>10} {:>10} {:>8}",
        "", "overhead", "mean ms", "simulated", "", "p95 ms", "simulated", ""
    );
    let off = |simulated: f64, measured: f64| (simulated / measured - 1.0) * 100.0;
    for point in points {
        println!(
            "{:<32} {:>6.2} ms {:>10.2} {:>10.2} {:>+6.1} % {:>10.2} {:>10.2} {:>+6.1} %  {}",
            point.name,
            point.overhead_ms,
            point.measured_mean_ms,
            point.simulated_mean_ms,
            off(point.simulated_mean_ms, point.measured_mean_ms),
            point.measured_p95_ms,
            point.simulated_p95_ms,
            off(point.simulated_p95_ms, point.measured_p95_ms),
            if point.within { "within" } else { "OUTSIDE" }
        );
    }
}
