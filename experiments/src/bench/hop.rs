//! What the router adds to a request: the same client and the same computer, without and with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use edge_proto::rpc::EdgeRouterConf;
use edge_proto::rpc::edge_router_client::EdgeRouterClient;
use edge_proto::rpc::edge_router_conf::Action;
use edge_transport::{Endpoint, control};
use serde::Serialize;

use super::load::closed_loop;
use super::process::Process;

/// Options of the benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Requests in flight, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    in_flight: Vec<usize>,
    /// Bytes of input and output
    #[arg(long, default_value_t = 100)]
    bytes: usize,
    /// Length of one measurement, in seconds
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Print one JSON object per measurement
    #[arg(long)]
    json: bool,
}

/// One measurement, named as in the JSON lines.
#[derive(Debug, Serialize)]
struct Line {
    hop: &'static str,
    bytes: usize,
    in_flight: usize,
    rps: f64,
    p50_us: f64,
    p99_us: f64,
    /// CPU time of the router per request; none without a router.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rss_kb: Option<u64>,
}

/// Measures direct calls and calls through a router, in turn.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    anyhow::ensure!(
        flags.in_flight.iter().all(|n| (1..=10_000).contains(n)),
        "--in-flight takes numbers from 1 to 10000"
    );
    anyhow::ensure!(
        (0.1..=600.0).contains(&flags.seconds),
        "--seconds takes 0.1 to 600"
    );
    let own = std::env::current_exe().context("cannot find this program")?;
    let router_program = beside(&own, "edgerouter")?;
    let output = flags.bytes.to_string();
    let arguments = ["echo", "--endpoint", "127.0.0.1:0", "--output", &output].map(String::from);
    let computer = Process::start(&own, &arguments, "", false)?;
    let direct: Endpoint = computer.greeting.parse()?;
    let (router, through) = start_router(&router_program, &direct).await?;

    let mut lines = Vec::new();
    for &in_flight in &flags.in_flight {
        lines.push(measure(flags, "direct", &direct, in_flight, None).await?);
        lines.push(measure(flags, "router", &through, in_flight, Some(&router)).await?);
    }
    if flags.json {
        for line in &lines {
            println!("{}", serde_json::to_string(line)?);
        }
    } else {
        print(&router_program, &lines);
    }
    Ok(())
}

/// The program of this name that was built with this one.
fn beside(own: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = own.with_file_name(name);
    anyhow::ensure!(
        path.is_file(),
        "{} is missing: build it first, with cargo build --release",
        path.display()
    );
    Ok(path)
}

/// A router with default options but one core, and a route to `computer`.
async fn start_router(program: &Path, computer: &Endpoint) -> anyhow::Result<(Process, Endpoint)> {
    let arguments = [
        "--server-endpoint=127.0.0.1:0",
        "--configuration-endpoint=127.0.0.1:0",
        "--admin-endpoint=0",
        "--num-threads=1",
    ]
    .map(String::from);
    let router = Process::start(program, &arguments, "edgerouter serves", true)?;
    let field = |name: &str| -> anyhow::Result<Endpoint> {
        let (_, rest) = router
            .greeting
            .split_once(&format!("{name}="))
            .context("no address")?;
        Ok(rest
            .split_whitespace()
            .next()
            .context("no address")?
            .parse()?)
    };
    let (lambda, tables) = (field("lambda")?, field("tables")?);
    let channel = control::channel(&tables, None, Duration::from_secs(5));
    let change = EdgeRouterConf {
        action: Action::Change as i32,
        lambda: "bench".to_owned(),
        destination: computer.to_string(),
        weight: 1.0,
        r#final: true,
    };
    let done = EdgeRouterClient::new(channel)
        .configure(change)
        .await?
        .into_inner();
    anyhow::ensure!(
        done.msg == "OK",
        "the router refused the route: {}",
        done.msg
    );
    Ok((router, lambda))
}

async fn measure(
    flags: &Flags,
    hop: &'static str,
    endpoint: &Endpoint,
    in_flight: usize,
    process: Option<&Process>,
) -> anyhow::Result<Line> {
    const WARM_UP: Duration = Duration::from_millis(300);
    closed_loop(endpoint, in_flight, flags.bytes, WARM_UP).await?;
    let before = process.map(Process::cpu).transpose()?;
    let duration = Duration::from_secs_f64(flags.seconds);
    let measured = closed_loop(endpoint, in_flight, flags.bytes, duration).await?;
    let cpu_us = match (process, before) {
        (Some(process), Some(before)) => {
            let spent = process.cpu()?.saturating_sub(before);
            Some(spent.as_secs_f64() * 1e6 / measured.requests as f64)
        }
        _ => None,
    };
    Ok(Line {
        hop,
        bytes: flags.bytes,
        in_flight,
        rps: measured.rate(),
        p50_us: measured.percentile_us(50.0),
        p99_us: measured.percentile_us(99.0),
        cpu_us,
        rss_kb: process.map(Process::rss_kb).transpose()?,
    })
}

fn print(router: &Path, lines: &[Line]) {
    println!("router: {}, default options, one core", router.display());
    println!(
        "{:>9} {:>7} {:>10} {:>9} {:>9} {:>13} {:>9}",
        "in flight", "hop", "requests/s", "p50 us", "p99 us", "CPU us/req", "RSS kB"
    );
    for line in lines {
        let cpu = line
            .cpu_us
            .map_or_else(|| "-".to_owned(), |us| format!("{us:.1}"));
        let rss = line
            .rss_kb
            .map_or_else(|| "-".to_owned(), |kb| kb.to_string());
        println!(
            "{:>9} {:>7} {:>10.0} {:>9.1} {:>9.1} {cpu:>13} {rss:>9}",
            line.in_flight, line.hop, line.rps, line.p50_us, line.p99_us
        );
    }
    println!("\nthrough the router beside direct:");
    for pair in lines.chunks_exact(2) {
        let (direct, router) = (&pair[0], &pair[1]);
        println!(
            "{:>9} in flight: requests/s x {:.2}, p50 x {:.2}, p99 x {:.2}",
            direct.in_flight,
            router.rps / direct.rps,
            router.p50_us / direct.p50_us,
            router.p99_us / direct.p99_us
        );
    }
}
