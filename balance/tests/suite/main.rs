//! The crate from outside: conformance rows of the C++ reference, properties, and state machines on
//! virtual time.
#![allow(clippy::unwrap_used)] // Clippy knows tests only by their attribute.

mod adaptive_limit;
mod c3;
mod concurrency;
mod conditional_acceptance;
mod consistent_hash;
mod estimators;
mod fair_queue;
mod fair_queue_properties;
mod forwarding_table;
mod health;
mod idle_probes;
mod least_cost;
mod least_request;
mod many_destinations;
mod optimizer;
mod peak_ewma;
mod policies;
mod policy_config;
mod power_of_d;
mod predicted_completion;
mod prequal;
mod prequal_quiet;
mod properties;
mod push_back;
mod queues;
mod retry_budget;
mod table_listing;
mod weighted_round_robin;

use edge_balance::{
    Destinations, ForwardingTable, Nanos, Pick, PolicyConfig, PolicyKeys, Report, Tried,
};
use rand_pcg::Pcg32;
use rand_pcg::rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::sync::Arc;

const L: &str = "lambda1";

/// A table on virtual time, with a seeded generator.
struct Bench {
    table: ForwardingTable,
    now: Nanos,
    rng: Pcg32,
}

impl Bench {
    fn new(policy: PolicyConfig) -> Self {
        let table = ForwardingTable::new(policy, Arc::new(Destinations::new()));
        Bench {
            table,
            now: seconds(1.0),
            rng: Pcg32::seed_from_u64(42),
        }
    }

    /// With routes from [`L`] to these destinations, all final.
    fn with(policy: PolicyConfig, routes: &[(&str, f32)]) -> Self {
        let bench = Bench::new(policy);
        for (destination, weight) in routes {
            bench.add(destination, *weight);
        }
        bench
    }

    fn add(&self, destination: &str, weight: f32) {
        self.table
            .change(L, destination, weight, true, self.now)
            .unwrap();
    }

    fn pass(&mut self, span: f64) {
        self.now = self.now + seconds(span);
    }

    fn pick(&mut self) -> Pick {
        self.pick_without(&Tried::new())
    }

    fn pick_without(&mut self, tried: &Tried) -> Pick {
        self.table.pick(L, tried, self.now, &mut self.rng).unwrap()
    }

    /// A request that has nowhere else to go.
    fn pick_of(&mut self, destination: &str) -> Pick {
        let mut others = Tried::new();
        for known in self.table.destinations().in_use() {
            if known.name() != destination {
                others.push(known.id());
            }
        }
        self.pick_without(&others)
    }

    /// Picks, and abandons the request at once.
    fn choose(&mut self) -> String {
        self.pick().destination().name().to_owned()
    }

    /// One request of a sequential client that takes `latency` seconds and succeeds.
    fn serve(&mut self, latency: impl Fn(&str) -> f64) -> String {
        let pick = self.pick();
        let name = pick.destination().name().to_owned();
        let latency = latency(&name);
        self.pass(latency);
        pick.succeeded(seconds(latency), &Report::default(), self.now);
        name
    }

    /// One request that goes to `name`, takes `latency` seconds and succeeds, at one moment.
    fn teach(&mut self, name: &str, latency: f64, report: &Report) {
        let mut tried = Tried::new();
        for entry in self.table.page(0, usize::MAX) {
            if entry.destination != name {
                let other = self.table.destinations().intern(&entry.destination);
                tried.push(other.id());
            }
        }
        let pick = self.pick_without(&tried);
        assert_eq!(pick.destination().name(), name);
        pick.succeeded(seconds(latency), report, self.now);
    }

    /// How often each destination comes up in `n` repetitions.
    fn shares(&mut self, n: usize, mut once: impl FnMut(&mut Self) -> String) -> Shares {
        let mut shares = BTreeMap::new();
        for _ in 0..n {
            *shares.entry(once(self)).or_insert(0) += 1;
        }
        Shares(shares)
    }

    fn in_flight(&self, destination: &str) -> u32 {
        self.table.destinations().intern(destination).in_flight()
    }
}

#[derive(Debug, PartialEq)]
struct Shares(BTreeMap<String, usize>);

impl Shares {
    fn of(&self, destination: &str) -> usize {
        self.0.get(destination).copied().unwrap_or(0)
    }
}

/// What no policy can do without.
fn exponents() -> PolicyKeys {
    PolicyKeys {
        alpha: Some(1.0),
        beta: Some(1.0),
        ..PolicyKeys::default()
    }
}

/// Every policy, as by default.
fn all_policies() -> impl Iterator<Item = PolicyConfig> {
    let policy = |name| PolicyConfig::from_name(name, &exponents()).unwrap();
    PolicyConfig::NAMES.into_iter().map(policy)
}

fn seconds(seconds: f64) -> Nanos {
    Nanos::from_secs_f64(seconds)
}

fn seeded(seed: u64) -> Pcg32 {
    Pcg32::seed_from_u64(seed)
}
