//! How the cost of our router grows: with lambdas, destinations per lambda, connections of clients,
//! and changes of its tables.
//!
//! A sweep starts one `edgerouter` per value at the same time and measures them in turn, in many short
//! rounds, so that whatever else the machine does hits all alike. The one that is measured has a core for
//! itself, client and computer share another. What counts is the CPU time per request beside that of the
//! first value in the same round; the first value is measured in a second router, too, which tells how far
//! equal things differ.

mod goals;
mod memory;
mod paired;
mod policies;
mod rounds;
mod row;
mod site;
mod subject;
mod sweep;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use edge_balance::PolicyConfig;
use edge_daemon::lifecycle::Shutdown;
use edge_daemon::{Interrupted, UsageError, signals};

use self::rounds::Rounds;
use self::site::Site;
use self::sweep::{Kind, Sweep};
use super::router;
use crate::numbers::whole;

/// Options of the benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// What grows [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    sweeps: Vec<Kind>,
    /// Lambdas with one destination each, asked for in turn
    #[arg(long, value_delimiter = ',', default_value = "1,100,10000,100000", value_parser = whole(1..=1_000_000_usize))]
    lambdas: Vec<usize>,
    /// Destinations of one lambda
    #[arg(long, value_delimiter = ',', default_value = "1,8,64,1000,10000", value_parser = whole(1..=15_000_usize))]
    destinations: Vec<usize>,
    /// Connections of clients, used in turn
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000", value_parser = whole(1..=10_000_usize))]
    connections: Vec<usize>,
    /// Changes of the table per second
    #[arg(long, value_delimiter = ',', default_value = "0,10,100,1000", value_parser = whole(0..=10_000_usize))]
    changes: Vec<usize>,
    /// How destinations are picked: names, or `all` [default: the router's default]
    #[arg(long, value_delimiter = ',')]
    policies: Vec<String>,
    /// Length of one measurement, in seconds
    #[arg(long, default_value_t = 0.1)]
    seconds: f64,
    /// Measurements of each value; fewer than five say nothing of goals
    #[arg(long, default_value_t = 21)]
    rounds: usize,
    /// All of it within a minute: short measurements
    #[arg(long, conflicts_with_all = ["seconds", "rounds"])]
    quick: bool,
    /// Our router [default: the one built with this program, built now if need be]
    #[arg(long, value_name = "PATH")]
    router: Option<PathBuf>,
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
        let seconds = (0.05..=10.0).contains(&self.seconds);
        check(seconds, "--seconds takes 0.05 to 10")?;
        check(
            (1..=1000).contains(&self.rounds),
            "--rounds takes 1 to 1000",
        )?;
        for name in &self.policies {
            let known = name == "all" || PolicyConfig::NAMES.contains(&name.as_str());
            check(known, &format!("--policies: there is no '{name}'"))?;
        }
        Ok(())
    }

    fn rounds(&self) -> Rounds {
        if self.quick {
            Rounds {
                count: 7,
                length: Duration::from_millis(50),
            }
        } else {
            Rounds {
                count: self.rounds,
                length: Duration::from_secs_f64(self.seconds),
            }
        }
    }

    fn sweeps(&self) -> Vec<Sweep> {
        let mut sweeps = Vec::new();
        for kind in Kind::ALL.into_iter().filter(|kind| self.wants(*kind)) {
            let values = match kind {
                Kind::Lambdas => &self.lambdas,
                Kind::Destinations => &self.destinations,
                Kind::Connections => &self.connections,
                Kind::Changes => &self.changes,
                Kind::Memory | Kind::Policies => continue,
            };
            let policies = match kind {
                Kind::Destinations => self.policies(),
                _ => vec![PolicyConfig::NAMES[0]],
            };
            sweeps.extend(policies.into_iter().map(|policy| Sweep {
                kind,
                policy,
                values: values.clone(),
            }));
        }
        sweeps
    }

    /// All are, but for one that takes a minute.
    fn wants(&self, kind: Kind) -> bool {
        if self.sweeps.is_empty() {
            return !(self.quick && kind == Kind::Policies);
        }
        self.sweeps.contains(&kind)
    }

    /// The fewest and the most destinations, and all policies that are named, else all.
    fn under_policies(&self) -> (Vec<usize>, Vec<&'static str>) {
        let least = self.destinations.iter().min();
        let most = self.destinations.iter().max();
        let policies = match self.policies.is_empty() {
            true => PolicyConfig::NAMES.to_vec(),
            false => self.policies(),
        };
        (least.into_iter().chain(most).copied().collect(), policies)
    }

    fn policies(&self) -> Vec<&'static str> {
        let all = PolicyConfig::NAMES.into_iter();
        let named = |name: &&'static str| {
            self.policies
                .iter()
                .any(|wanted| wanted == "all" || wanted == name)
        };
        if self.policies.is_empty() {
            all.take(1).collect()
        } else {
            all.filter(named).collect()
        }
    }
}

/// Measures all sweeps and prints each as soon as it is known.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    flags.check()?;
    let shutdown = Shutdown::new();
    signals::install(&shutdown)?;
    tokio::select! {
        outcome = measure(flags) => outcome,
        // Processes end with the future that holds them.
        reason = shutdown.requested() => Err(Interrupted(reason).into()),
    }
}

async fn measure(flags: &Flags) -> anyhow::Result<()> {
    let program = router::program(flags.router.as_deref())?;
    let rounds = flags.rounds();
    let site = Site::start(program.path)?;
    if !flags.json {
        table::introduce(&program.origin, rounds, site.has_two_cores());
    }
    let mut rows = Vec::new();
    for sweep in flags.sweeps() {
        eprintln!("{}, {} ...", sweep.kind.name(), sweep.policy);
        let found = sweep::measure(&sweep, &site, rounds).await?;
        if flags.json {
            for row in &found {
                println!("{}", serde_json::to_string(row)?);
            }
        } else {
            table::print(&sweep, &found);
        }
        rows.extend(found);
    }
    if flags.wants(Kind::Policies) {
        let (destinations, policies) = flags.under_policies();
        eprintln!("{} ...", Kind::Policies.name());
        let found = policies::measure(&policies, &destinations, &site, rounds).await?;
        if flags.json {
            for row in &found {
                println!("{}", serde_json::to_string(row)?);
            }
        } else {
            policies::print(&found);
        }
        rows.extend(found);
    }
    let mut memory = Vec::new();
    if flags.wants(Kind::Memory) {
        eprintln!("{} ...", Kind::Memory.name());
        memory = memory::measure(&site).await?;
        if flags.json {
            for row in &memory {
                println!("{}", serde_json::to_string(row)?);
            }
        } else {
            table::memory(&memory);
        }
    }
    if !flags.json {
        goals::print(&rows, &memory);
    }
    Ok(())
}
