//! What is to be reached, and whether this run has reached it.

use super::kind::Kind;
use super::plan::Cell;
use super::row::Row;

/// CPU time of the C++ reference's router as shipped, per request of 100 bytes at 64 in flight.
const REFERENCE_US: f64 = 82.0;

/// A goal: a figure of our router that is not to be above (or below) a limit.
struct Goal {
    text: String,
    ours: f64,
    limit: f64,
    met: bool,
}

/// Prints all goals that this run can say anything about.
pub(super) fn print(rows: &[Row], service_ms: f64) {
    let goals: Vec<Goal> = if service_ms > 0.0 {
        slow_lambda(rows, service_ms)
    } else {
        let rows = Rows(rows);
        let all = [
            rows.cpu(),
            rows.throughput(),
            rows.latency(),
            rows.bodies(),
            rows.tls(),
            rows.quic(),
        ];
        all.into_iter().flatten().collect()
    };
    if goals.is_empty() {
        return;
    }
    println!("\ngoals (router)");
    for goal in goals {
        let verdict = if goal.met { "met" } else { "MISSED" };
        println!(
            "{verdict:<7} {:<62} {:>9.1}, goal {:>9.1}",
            goal.text, goal.ours, goal.limit
        );
    }
}

/// 50 ms, 64 clients, one computer.
fn slow_lambda(rows: &[Row], service_ms: f64) -> Vec<Goal> {
    let mut goals = Vec::new();
    for row in rows.iter().filter(|row| row.kind == Kind::Router) {
        // 1100 of the 1280 that 64 clients can have answered at 50 ms each.
        let limit = 1100.0 / 1280.0 * row.in_flight as f64 * 1e3 / service_ms;
        let text = format!(
            "requests/s, {} clients, {service_ms} ms, {} bytes",
            row.in_flight, row.bytes
        );
        goals.push(at_least(text, row.rps, limit));
    }
    goals
}

fn at_most(text: String, ours: f64, limit: f64) -> Goal {
    Goal {
        text,
        ours,
        limit,
        met: ours <= limit,
    }
}

fn at_least(text: String, ours: f64, limit: f64) -> Goal {
    Goal {
        text,
        ours,
        limit,
        met: ours >= limit,
    }
}

struct Rows<'a>(&'a [Row]);

impl Rows<'_> {
    fn find(&self, kind: Kind, bytes: usize, in_flight: usize) -> Option<&Row> {
        let cell = Cell { bytes, in_flight };
        self.0.iter().find(|row| row.kind == kind && row.is(cell))
    }

    fn cpu(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        for in_flight in [1, 16, 64] {
            let Some(ours) = self.find(Kind::Router, 100, in_flight) else {
                continue;
            };
            let mut against = |kind: Kind, factor: f64, what: &str| {
                if let Some(peer) = self.find(kind, 100, in_flight) {
                    let text = format!("CPU us, 100 bytes, {in_flight} in flight: {what}");
                    goals.push(at_most(text, ours.cpu_us, factor * peer.cpu_us));
                }
            };
            against(Kind::Haproxy, 1.0, "no more than HAProxy");
            if in_flight == 1 {
                against(Kind::Envoy, 1.0, "less than Envoy");
                against(Kind::Nginx, 1.0, "less than nginx");
            } else {
                against(Kind::Envoy, 0.5, "half of Envoy");
            }
            against(Kind::Floor, 1.15, "1.15 times bare h2");
            if in_flight == 64 {
                let text = "CPU us, 100 bytes, 64 in flight: a tenth of the C++ reference";
                goals.push(at_most(text.to_owned(), ours.cpu_us, REFERENCE_US / 10.0));
            }
        }
        goals
    }

    fn throughput(&self) -> Vec<Goal> {
        let pairs = [1, 16, 64].into_iter().filter_map(|in_flight| {
            let ours = self.find(Kind::Router, 100, in_flight)?;
            let peer = self.find(Kind::Haproxy, 100, in_flight)?;
            let text =
                format!("requests/s, 100 bytes, {in_flight} in flight: no fewer than HAProxy");
            Some(at_least(text, ours.rps, peer.rps))
        });
        pairs.collect()
    }

    fn latency(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        for peer in Kind::PEERS {
            let (ours, theirs) = (self.find(Kind::Router, 100, 1), self.find(peer, 100, 1));
            let direct = self.find(Kind::Direct, 100, 1);
            if let (Some(ours), Some(theirs), Some(direct)) = (ours, theirs, direct) {
                let text = format!("added p50 us, 1 in flight: less than {}", peer.name());
                let added = |row: &Row| row.p50_us - direct.p50_us;
                goals.push(at_most(text, added(ours), added(theirs)));
            }
            let half = |kind: Kind| {
                let mut rows = self.0.iter().filter(|row| row.kind == kind);
                rows.find_map(|row| row.half_load)
            };
            if let (Some(ours), Some(theirs)) = (half(Kind::Router), half(peer)) {
                let text = format!("p99 us at half load: less than {}", peer.name());
                goals.push(at_most(text, ours.p99_us, theirs.p99_us));
            }
        }
        goals
    }

    /// CPU time with TLS, beside others with TLS.
    fn tls(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        for ours in self.0.iter().filter(|row| row.kind == Kind::RouterTls) {
            if !matches!((ours.bytes, ours.in_flight), (100 | 10_000, 1 | 16 | 64)) {
                continue;
            }
            for peer in Kind::TLS_PEERS {
                if let Some(theirs) = self.find(peer, ours.bytes, ours.in_flight) {
                    let text = format!(
                        "CPU us of router-tls, {} bytes, {} in flight: no more than {}",
                        ours.bytes,
                        ours.in_flight,
                        peer.name()
                    );
                    goals.push(at_most(text, ours.cpu_us, theirs.cpu_us));
                }
            }
        }
        goals
    }

    /// What encryption over UDP may cost, beside TCP with TLS and without: of a bare pass-through, and of
    /// our own router, which costs a third of that.
    fn quic(&self) -> Vec<Goal> {
        let beside_plain = [(1, 1.3), (64, 0.7)]
            .map(|(in_flight, factor)| (Kind::RouterQuic, 100, in_flight, factor));
        let beside_tls = [1, 16, 64].map(|n| {
            [
                (Kind::RouterQuic, 10_000, n, 1.0),
                (Kind::RouterH3, 100, n, 1.5),
            ]
        });
        let mut goals = Vec::new();
        for (plain, tls) in [
            (Kind::Floor, Kind::FloorTls),
            (Kind::Router, Kind::RouterTls),
        ] {
            let plain = beside_plain.iter().map(|goal| (goal, plain));
            let tls = beside_tls.iter().flatten().map(|goal| (goal, tls));
            goals.extend(plain.chain(tls).filter_map(
                |(&(kind, bytes, in_flight, factor), beside)| {
                    let ours = self.find(kind, bytes, in_flight)?;
                    let limit = factor * self.find(beside, bytes, in_flight)?.cpu_us;
                    let (kind, beside) = (kind.name(), beside.name());
                    let text = format!(
                        "CPU us of {kind}, {bytes} bytes, {in_flight} in flight: {factor} times {beside}"
                    );
                    Some(at_most(text, ours.cpu_us, limit))
                },
            ));
        }
        goals
    }

    fn bodies(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        for ours in self.0.iter().filter(|row| row.kind == Kind::Router) {
            let cheapest = Kind::PEERS
                .iter()
                .filter_map(|&peer| self.find(peer, ours.bytes, ours.in_flight))
                .map(|peer| peer.cpu_us)
                .min_by(f64::total_cmp);
            if let (true, Some(cheapest)) = (ours.bytes >= 10_000 && ours.in_flight > 0, cheapest) {
                let text = format!(
                    "CPU us, {} bytes, {} in flight: the cheapest of the peers",
                    ours.bytes, ours.in_flight
                );
                goals.push(at_most(text, ours.cpu_us, cheapest));
            }
        }
        goals
    }
}
