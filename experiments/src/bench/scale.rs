//! How the cost of our router grows: with lambdas, destinations per lambda, connections of clients,
//! and changes of its tables.
//!
//! A sweep starts one `edgerouter` per value at the same time and measures them in turn, round by
//! round, so that whatever else the machine does hits all alike. What counts is the CPU time per
//! request, beside that of the first value.

mod goals;
mod memory;
mod policies;
mod row;
mod site;
mod subject;
mod sweep;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use edge_balance::PolicyConfig;
use edge_daemon::lifecycle::Shutdown;
use edge_daemon::{UsageError, signals};

use self::site::Site;
use self::sweep::{Kind, Sweep};
use super::router;

/// Options of the benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// What grows [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    sweeps: Vec<Kind>,
    /// Lambdas with one destination each, asked for in turn
    #[arg(long, value_delimiter = ',', default_value = "1,100,10000,100000")]
    lambdas: Vec<usize>,
    /// Destinations of one lambda
    #[arg(long, value_delimiter = ',', default_value = "1,8,64,1000,10000")]
    destinations: Vec<usize>,
    /// Connections of clients, used in turn
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000")]
    connections: Vec<usize>,
    /// Changes of the table per second
    #[arg(long, value_delimiter = ',', default_value = "0,10,100,1000")]
    changes: Vec<usize>,
    /// How destinations are picked: names, or `all` [default: the router's default]
    #[arg(long, value_delimiter = ',')]
    policies: Vec<String>,
    /// Length of one measurement, in seconds
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    /// Measurements of each value; the median counts
    #[arg(long, default_value_t = 3)]
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
        let within = |values: &[usize], most: usize| values.iter().all(|n| (1..=most).contains(n));
        check(
            within(&self.lambdas, 1_000_000),
            "--lambdas takes 1 to 1000000",
        )?;
        let destinations = within(&self.destinations, 15_000);
        check(destinations, "--destinations takes 1 to 15000")?;
        check(
            within(&self.connections, 10_000),
            "--connections takes 1 to 10000",
        )?;
        let changes = self.changes.iter().all(|n| *n <= 10_000);
        check(changes, "--changes takes 0 to 10000")?;
        let seconds = (0.05..=600.0).contains(&self.seconds);
        check(seconds, "--seconds takes 0.05 to 600")?;
        check((1..=100).contains(&self.rounds), "--rounds takes 1 to 100")?;
        for name in &self.policies {
            let known = name == "all" || PolicyConfig::NAMES.contains(&name.as_str());
            check(known, &format!("--policies: there is no '{name}'"))?;
        }
        Ok(())
    }

    fn length(&self) -> (Duration, usize) {
        if self.quick {
            (Duration::from_millis(200), 2)
        } else {
            (Duration::from_secs_f64(self.seconds), self.rounds)
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
        reason = shutdown.requested() => anyhow::bail!("ended by {reason}"),
    }
}

async fn measure(flags: &Flags) -> anyhow::Result<()> {
    let program = router::program(flags.router.as_deref())?;
    let (length, rounds) = flags.length();
    let site = Site::start(program.path)?;
    if !flags.json {
        table::introduce(&program.origin, rounds);
    }
    let mut rows = Vec::new();
    for sweep in flags.sweeps() {
        eprintln!("{}, {} ...", sweep.kind.name(), sweep.policy);
        let found = sweep::measure(&sweep, &site, length, rounds).await?;
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
        let found = policies::measure(&policies, &destinations, &site, length, rounds).await?;
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
