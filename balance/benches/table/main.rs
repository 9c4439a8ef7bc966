//! What large tables cost: changes, pages and picks, beside those of small ones in the same run.
//!
//! `cargo bench -p edge-balance --bench table` prints microseconds, which differ from machine to
//! machine and hour to hour, and ratios, which do so less.
#![allow(
    clippy::print_stdout,
    reason = "printing is what a program that measures does"
)]

mod cpu_time;
mod rounds;
#[path = "../pick/workload.rs"]
mod workload;

use edge_balance::{
    Destinations, ForwardingTable, Nanos, PolicyConfig, PolicyKeys, Report, RouteChange, Tried,
};
use rand::RngExt;
use rand_pcg::Pcg32;
use rand_pcg::rand_core::SeedableRng;
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use workload::Workload;

const NOW: Nanos = Nanos::from_secs(1);
/// One measurement takes so long.
const SPAN: Duration = Duration::from_millis(150);
const PAGE: usize = 1000;

/// Microseconds that `once` takes, in the median and 99 times of 100.
fn micros(mut once: impl FnMut()) -> (f64, f64) {
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed() < SPAN || times.len() < 16 {
        let before = Instant::now();
        once();
        times.push(before.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_unstable_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn table(policy: &str, lambdas: usize, destinations: usize) -> ForwardingTable {
    let keys = PolicyKeys {
        alpha: Some(1.0),
        beta: Some(1.0),
        ..PolicyKeys::default()
    };
    let policy = PolicyConfig::from_name(policy, &keys).expect("the names are those listed");
    let table = ForwardingTable::new(policy, Arc::new(Destinations::new()));
    let names: Vec<_> = (0..destinations).map(name).collect();
    let routes: Vec<_> = names
        .iter()
        .map(|name| RouteChange {
            destination: name,
            weight: 1.0,
            is_final: true,
        })
        .collect();
    for lambda in 0..lambdas {
        let lambda = format!("lambda-{lambda}");
        table
            .change_many(&lambda, &routes, NOW)
            .expect("the routes are acceptable");
    }
    table
}

fn name(number: usize) -> String {
    format!("10.{}.{}.1:{number}", number / 256, number % 256)
}

/// One destination goes and comes back, and a request is picked after each, which counts too: some
/// policies put work off until then.
fn changes(policy: &str, destinations: usize) -> (f64, f64) {
    let table = table(policy, 1, destinations);
    let mut rng = Pcg32::seed_from_u64(1);
    let pick = |rng: &mut Pcg32| {
        let pick = table.pick("lambda-0", &Tried::new(), NOW, rng);
        drop(black_box(pick));
    };
    pick(&mut rng);
    let (median, most) = micros(|| {
        let name = name(rng.random_range(0..destinations));
        assert!(table.remove("lambda-0", &name, NOW));
        pick(&mut rng);
        table
            .change("lambda-0", &name, 1.0, true, NOW)
            .expect("it was there");
        pick(&mut rng);
    });
    (median / 2.0, most / 2.0)
}

fn pages(lambdas: usize, destinations: usize) -> (f64, f64) {
    let table = table("predicted-completion", lambdas, destinations);
    let total = lambdas * destinations;
    let mut offset = 0;
    micros(|| {
        black_box(table.page(offset, PAGE));
        offset = (offset + 7 * PAGE) % total;
    })
}

/// A request to one of so many lambdas, each of which is asked in its turn, answered when 64 more have
/// been picked, and fetched with so many others.
fn lambdas(lambdas: usize, together: usize) -> f64 {
    let table = table("predicted-completion", lambdas, 1);
    let names: Vec<_> = (0..lambdas).map(|n| format!("lambda-{n}")).collect();
    let mut rng = Pcg32::seed_from_u64(1);
    let (mut number, mut now) = (0, NOW);
    let mut under_way = VecDeque::new();
    let turn = |number: usize| &names[number * 7919 % lambdas];
    let mut round = || {
        if together > 1 {
            table.fetch((number..number + together).map(|number| turn(number).as_str()));
        }
        for _ in 0..together {
            now = now + Nanos::from_micros(10);
            let pick = table.pick(turn(number).as_str(), &Tried::new(), now, &mut rng);
            under_way.push_back(pick.expect("there is a destination"));
            number += 1;
            if under_way.len() > 64
                && let Some(pick) = under_way.pop_front()
            {
                pick.succeeded(Nanos::from_micros(640), &Report::default(), now);
            }
        }
    };
    (0..lambdas.div_ceil(together)).for_each(|_| round());
    let (hundred, _) = micros(|| (0..1600 / together).for_each(|_| round()));
    hundred * 1000.0 / 1600.0
}

/// A request.
fn request(policy: &str, destinations: usize) -> Box<dyn FnMut()> {
    let mut workload = Workload::new(policy, destinations);
    Box::new(move || workload.request())
}

/// A pick of a lambda of whose destinations one in so many is open, and its end.
fn few_open(policy: &str, destinations: usize, one_in: usize) -> Box<dyn FnMut()> {
    let table = table(policy, 1, destinations);
    let mut rng = Pcg32::seed_from_u64(1);
    let others = (0..destinations).filter(|number| number % one_in != 0);
    for name in others.map(name) {
        table
            .change("only", &name, 1.0, true, NOW)
            .expect("the route is acceptable");
        let pick = table.pick("only", &Tried::new(), NOW, &mut rng);
        pick.expect("there is a destination").failed(NOW);
        table.remove("only", &name, NOW);
    }
    let mut pick = move || {
        let pick = table.pick("lambda-0", &Tried::new(), NOW, &mut rng);
        drop(black_box(pick));
    };
    (0..2 * destinations).for_each(|_| pick());
    Box::new(pick)
}

fn main() {
    println!("a request to one of many lambdas, ns, alone and 16 at a time");
    for count in [1, 100, 10_000, 100_000] {
        println!(
            "{count:>7} {:>8.0} {:>8.0}",
            lambdas(count, 1),
            lambdas(count, 16)
        );
    }
    println!("pages of {PAGE} entries, us (99 % below)");
    let (few, most_few) = pages(16, 64);
    println!("   16 x 64      {few:>9.1} ({most_few:.0})");
    for (lambdas, destinations) in [(1, 65_000), (10_000, 64)] {
        let (many, most) = pages(lambdas, destinations);
        let times = many / few;
        println!("{lambdas:>5} x {destinations:<6} {many:>9.1} ({most:.0}), {times:.1} times");
    }
    println!("a change and a pick after it, us (99 % below)");
    let sizes = [64, 10_000, 65_000];
    for policy in PolicyConfig::NAMES {
        print!("{policy:<22}");
        for (median, most) in sizes.map(|destinations| changes(policy, destinations)) {
            print!(" {median:>9.1} ({most:>6.0})");
        }
        println!();
    }
    println!("a request (pick and answer) with 64, 1000 and 10000 destinations:");
    println!("CPU ns at the least and in the median, and times that with 64 (four of five rounds)");
    for policy in PolicyConfig::NAMES {
        let rows = rounds::compare(&mut [64, 1000, 10_000].map(|n| request(policy, n)));
        rounds::print(policy, &rows);
    }
    println!("a pick while half of 64 are open, half of 10000, and one in 1000 of these: the same");
    for policy in PolicyConfig::NAMES {
        let cases = [(64, 2), (10_000, 2), (10_000, 1000)];
        let rows = rounds::compare(&mut cases.map(|(n, one_in)| few_open(policy, n, one_in)));
        rounds::print(policy, &rows);
    }
}
