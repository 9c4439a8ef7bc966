//! What a broker does with the table for one request, over and over, on virtual time.

use edge_balance::{
    Destinations, ForwardingTable, Nanos, Pick, PolicyConfig, PolicyKeys, Report, Request,
    RouteChange, Tried,
};
use rand_pcg::Pcg32;
use rand_pcg::rand_core::SeedableRng;
use std::collections::VecDeque;
use std::sync::Arc;

/// Requests that are under way at any time.
const UNDER_WAY: usize = 16;
/// Between two requests: a thousand per second.
const GAP: Nanos = Nanos::from_millis(1);

/// A table in its steady state: measured, reported, probed, with requests under way.
#[derive(Debug)]
pub(crate) struct Workload {
    table: Arc<ForwardingTable>,
    under_way: VecDeque<Pick>,
    rng: Pcg32,
    now: Nanos,
    sessions: u64,
}

impl Workload {
    /// With `n` destinations of one lambda that the policy of that name picks among.
    pub(crate) fn new(policy: &str, n: usize) -> Self {
        let keys = PolicyKeys {
            alpha: Some(1.0),
            beta: Some(1.0),
            ..PolicyKeys::default()
        };
        let policy = PolicyConfig::from_name(policy, &keys).expect("the names are those listed");
        let table = ForwardingTable::new(policy, Arc::new(Destinations::new()));
        let names: Vec<_> = (0..n)
            .map(|i| format!("10.0.{}.{}:6473", i / 256, i % 256))
            .collect();
        let routes: Vec<_> = names
            .iter()
            .map(|name| RouteChange {
                destination: name,
                weight: 1.0,
                is_final: true,
            })
            .collect();
        let now = Nanos::from_secs(1);
        table
            .change_many("lambda", &routes, now)
            .expect("the routes are acceptable");
        let mut workload = Workload::on(Arc::new(table), 1, now);
        // Twelve seconds, so that all weights count, and twenty requests for each destination.
        for _ in 0..12_000.max(20 * n) {
            workload.request();
        }
        workload
    }

    /// Another broker core's requests to the same table.
    #[allow(dead_code, reason = "not all benchmarks have several cores")]
    pub(crate) fn beside(&self, seed: u64) -> Self {
        Workload::on(Arc::clone(&self.table), seed, self.now)
    }

    fn on(table: Arc<ForwardingTable>, seed: u64, now: Nanos) -> Self {
        Workload {
            table,
            under_way: VecDeque::with_capacity(UNDER_WAY + 1),
            rng: Pcg32::seed_from_u64(seed),
            now,
            sessions: (seed - 1) << 32,
        }
    }

    /// One request is picked and sent, the oldest one is answered, and probes, where the policy
    /// wants any, are sent and answered.
    #[inline]
    pub(crate) fn request(&mut self) {
        self.now = self.now + GAP;
        let pick = self.pick();
        self.under_way.push_back(pick);
        let probes = self.table.probes("lambda", self.now, &mut self.rng);
        for probe in probes {
            let report = report(probe.destination().id());
            let (rtt, estimate) = (Nanos::from_millis(1), Nanos::from_millis(8));
            probe.answered(rtt, Some(estimate), &report, self.now);
        }
        if self.under_way.len() > UNDER_WAY {
            self.answer();
        }
    }

    fn pick(&mut self) -> Pick {
        self.sessions = self.sessions.wrapping_add(1);
        let request = Request {
            lambda: "lambda",
            input_bytes: 100,
            affinity: self.sessions % 1000,
        };
        self.table
            .pick(request, &Tried::new(), self.now, &mut self.rng)
            .expect("all destinations are healthy")
    }

    fn answer(&mut self) {
        let Some(pick) = self.under_way.pop_front() else {
            return;
        };
        let id = pick.destination().id();
        let latency = Nanos::from_micros(9_000 + 100 * (id % 50));
        pick.succeeded(latency, &report(id), self.now);
    }
}

/// What the destination of that number says of itself.
fn report(id: u64) -> Report {
    Report {
        in_flight: Some((id % 3) as u32),
        workers: Some(4),
        service: Some(Nanos::from_millis(7)),
        residence: Some(Nanos::from_millis(8)),
        cold_start: None,
        utilization: Some(0.2 + 0.1 * (id % 5) as f32),
    }
}
