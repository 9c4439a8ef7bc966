//! Policies among queues of unequal servers, on virtual time: whoever sees more waits less.

use crate::{Bench, L, exponents, seconds};
use edge_balance::{Nanos, Pick, PolicyConfig, Report, Request, Tried};
use rand::RngExt;
use std::cmp::Reverse;
use std::collections::BTreeMap;

const SERVERS: usize = 12;
const REQUESTS: usize = 60_000;
/// Per second; 60 % of what all servers can do.
const RATE: f64 = 960.0;
/// On the way there and back.
const RTT: f64 = 0.002;

/// One worker and its line, first come first served.
#[derive(Clone, Debug, Default)]
struct Server {
    mean_service: f64,
    free_at: f64,
    leaving: Vec<f64>,
    busy: BTreeMap<u64, f64>,
}

impl Server {
    /// Takes a request that arrives now; when it is done, and how long it executes.
    fn take(&mut self, now: f64, draw: f64) -> (f64, f64) {
        let service = -self.mean_service * (1.0 - draw).ln();
        self.free_at = self.free_at.max(now) + service;
        self.leaving.push(self.free_at);
        *self.busy.entry(self.free_at as u64).or_default() += service;
        (self.free_at, service)
    }

    fn report(&mut self, now: f64, service: Option<f64>) -> Report {
        self.leaving.retain(|leaving| *leaving > now);
        let last_second = (now as u64).checked_sub(1);
        let busy = last_second.and_then(|second| self.busy.get(&second));
        Report {
            in_flight: Some(self.leaving.len() as u32),
            workers: Some(1),
            service: service.map(seconds),
            utilization: Some(busy.map_or(0.0, |busy| busy.min(1.0) as f32)),
            ..Report::default()
        }
    }
}

fn number(pick: &Pick) -> usize {
    pick.destination().name()[1..].parse().unwrap()
}

/// Mean latency in seconds of the later half; every other server is three times slower.
fn mean_latency(policy: PolicyConfig) -> f64 {
    let mut bench = Bench::new(policy);
    let mut servers = vec![Server::default(); SERVERS];
    for (i, server) in servers.iter_mut().enumerate() {
        server.mean_service = if i % 2 == 0 { 0.005 } else { 0.015 };
        bench.add(&format!("d{i}"), server.mean_service as f32);
    }
    let mut under_way: BTreeMap<Reverse<Nanos>, (Pick, f64, f64)> = BTreeMap::new();
    let mut sum = 0.0;
    let mut now = 1.0;
    for i in 0..REQUESTS {
        now -= (1.0 - bench.rng.random::<f64>()).ln() / RATE;
        while let Some(next) = under_way.last_entry() {
            let answered = next.key().0;
            if answered > seconds(now) {
                break;
            }
            let (pick, sent, service) = next.remove();
            bench.now = answered;
            let done = answered.as_secs_f64() - RTT / 2.0;
            let report = servers[number(&pick)].report(done, Some(service));
            pick.succeeded(answered.since(seconds(sent)), &report, answered);
        }
        bench.now = seconds(now);
        let request = Request {
            lambda: L,
            input_bytes: 0,
            affinity: i as u64,
        };
        let pick = bench
            .table
            .pick(request, &Tried::new(), bench.now, &mut bench.rng)
            .unwrap();
        let server = &mut servers[number(&pick)];
        let (done, service) = server.take(now + RTT / 2.0, bench.rng.random());
        let mut answered = seconds(done + RTT / 2.0);
        if i >= REQUESTS / 2 {
            sum += answered.since(bench.now).as_secs_f64();
        }
        while under_way.contains_key(&Reverse(answered)) {
            answered = answered + Nanos(1);
        }
        under_way.insert(Reverse(answered), (pick, now, service));
        for probe in bench.table.probes(L, bench.now, &mut bench.rng) {
            let server = &mut servers[probe.destination().name()[1..].parse::<usize>().unwrap()];
            let estimate = (server.free_at - now).max(0.0) + server.mean_service;
            let report = server.report(now, None);
            probe.answered(seconds(RTT), Some(seconds(estimate)), &report, bench.now);
        }
    }
    sum / (REQUESTS / 2) as f64
}

fn named(name: &str) -> f64 {
    mean_latency(PolicyConfig::from_name(name, &exponents()).unwrap())
}

#[test]
fn policies_that_look_at_all_queues_come_close_to_each_other() {
    let best = named("predicted-completion").min(named("least-cost"));
    for (name, most) in [
        ("predicted-completion", 1.1),
        ("least-cost", 1.1),
        ("least-request", 1.1),
        ("c3", 1.1),
        ("prequal", 1.15),
        ("consistent-hash", 1.3),
    ] {
        let ratio = named(name) / best;
        assert!(ratio < most, "{name}: {ratio} times the best");
    }
}

#[test]
fn policies_that_see_less_do_better_than_chance_in_proportion_to_capacities() {
    let chance = named("random");
    for (name, most) in [
        ("weighted-round-robin", 0.8),
        ("power-of-d", 0.85),
        ("peak-ewma", 0.85),
    ] {
        let ratio = named(name) / chance;
        assert!(ratio < most, "{name}: {ratio} times that of chance");
    }
}
