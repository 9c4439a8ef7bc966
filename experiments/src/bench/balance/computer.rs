//! A simulated computer in a process of its own, so that it can be frozen and killed for real.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use edge_computer::config::{Config, OptionalEndpoint};
use edge_computer::server::{EdgeComputer, Handle};
use edge_computer::sim::PlatformConfig;
use edge_transport::Endpoint;

use super::arrivals::MEAN_BYTES;
use super::cell::{SERVICE, WORKERS};

/// The lambda that all computers serve.
pub(super) const LAMBDA: &str = "bench";

/// Options of the computer.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Where to serve
    #[arg(long)]
    endpoint: Endpoint,
    /// What to simulate
    #[arg(long)]
    platform: PathBuf,
}

/// Serves until standard input ends; each line there is a factor for the speed.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    let mut config = Config::default();
    config.server.endpoint = flags.endpoint.clone();
    config.server.num_threads = Some(1);
    config.utilization.endpoint = OptionalEndpoint::default();
    config.admin.0.endpoint = "".parse()?;
    config.platform = PlatformConfig::File {
        path: flags.platform.clone(),
    };
    let computer = Arc::new(EdgeComputer::start(config).await?);
    println!("{}", computer.address());
    let told = computer.clone();
    // The parent holds the other end: it cannot leave us behind.
    tokio::task::spawn_blocking(move || obey(&told)).await?
}

fn obey(computer: &Handle) -> anyhow::Result<()> {
    for line in std::io::stdin().lock().lines() {
        computer.set_speed_factor(line?.trim().parse()?)?;
    }
    Ok(())
}

/// Writes a platform of speed `speed` that answers everything with `name`, which tells who
/// executed a request behind whatever proxy.
pub(super) fn write_platform(path: &Path, name: &str, speed: f64) -> anyhow::Result<()> {
    /// Operations per byte: any number that is large enough to be divided.
    const OPERATIONS: f64 = 1e6;
    let platform = serde_json::json!({
        "version": "1.0",
        "processors": [{
            "name": "cpu",
            "type": "GenericCpu",
            "speed": speed * OPERATIONS * MEAN_BYTES / SERVICE.as_secs_f64(),
            "cores": WORKERS,
            "memory": 1_000_000,
        }],
        "containers": [{
            "name": "container",
            "processor": "cpu",
            "num-workers": WORKERS,
            "lambda": {
                "name": LAMBDA,
                "requirements": "proportional",
                "op-coeff": OPERATIONS, "op-offset": 0,
                "mem-coeff": 1, "mem-offset": 0,
                "output-type": "fixed",
                "output-value": name,
            },
        }],
    });
    std::fs::write(path, platform.to_string())
        .with_context(|| format!("cannot write {}", path.display()))
}
