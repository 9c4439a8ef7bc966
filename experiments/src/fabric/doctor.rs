//! `lab doctor`: what this machine allows, by trying it.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Fabric;
use super::topology::Topology;
use crate::impair::quality::Quality;

/// Options of the doctor.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// How links are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    /// Namespaces, and packets that pass through links: all protocols lose packets.
    Fabric,
    /// Proxies on the loopback interface: TCP gets delay and rate, and loses nothing.
    Proxy,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
struct Findings {
    backend: Backend,
    /// Why the packet fabric does not work, if it does not.
    fabric_fails: Option<String>,
    root: bool,
    tun: bool,
    /// Of a path that should take none, over two cables, in microseconds: median and 99th
    /// percentile.
    round_trip_us: Option<[f64; 2]>,
    /// How much later than asked for a path of 1 ms each way is, median and 99th percentile.
    late_us: Option<[f64; 2]>,
}

/// What links can be made of here, and why not of more.
pub(crate) async fn backend() -> (Backend, Option<String>) {
    match probe(Duration::ZERO, 1).await {
        Ok(_) => (Backend::Fabric, None),
        Err(error) => (Backend::Proxy, Some(format!("{error:#}"))),
    }
}

/// Tries, and prints what came out.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    const PINGS: usize = 300;
    const EACH_WAY: Duration = Duration::from_millis(1);
    let probed = probe(Duration::ZERO, PINGS).await;
    let (backend, fabric_fails) = match &probed {
        Ok(_) => (Backend::Fabric, None),
        Err(error) => (Backend::Proxy, Some(format!("{error:#}"))),
    };
    let delayed = match &probed {
        Ok(_) => Some(probe(EACH_WAY, PINGS).await?),
        Err(_) => None,
    };
    let late = |us: f64| us - 2e6 * EACH_WAY.as_secs_f64();
    let findings = Findings {
        backend,
        fabric_fails,
        root: rustix::process::geteuid().is_root(),
        tun: Path::new("/dev/net/tun").exists(),
        round_trip_us: probed.ok(),
        late_us: delayed.map(|us| us.map(late)),
    };
    if flags.json {
        println!("{}", serde_json::to_string(&findings)?);
    } else {
        print(&findings);
    }
    Ok(())
}

fn print(findings: &Findings) {
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    println!("root:            {}", yes(findings.root));
    println!("/dev/net/tun:    {}", yes(findings.tun));
    match &findings.fabric_fails {
        None => println!("packet fabric:   works"),
        Some(why) => println!("packet fabric:   does not work: {why}"),
    }
    if let (Some([p50, p99]), Some([late50, late99])) = (findings.round_trip_us, findings.late_us) {
        println!("  round trip without delay: median {p50:.0} us, 99th percentile {p99:.0} us");
        println!(
            "  2 ms are late by:         median {late50:.0} us, 99th percentile {late99:.0} us"
        );
    }
    println!("proxy:           works (it needs nothing)");
    match findings.backend {
        Backend::Fabric => println!("experiments use the packet fabric: TCP and UDP lose packets"),
        Backend::Proxy => {
            println!(
                "experiments use proxies: UDP loses packets; cells of TCP with losses are empty"
            );
        }
    }
}

/// Round trips between two hosts over a link that takes so long each way: median and 99th
/// percentile, in microseconds.
async fn probe(delay: Duration, pings: usize) -> anyhow::Result<[f64; 2]> {
    /// Of loopback proportions.
    const PATIENCE: Duration = Duration::from_secs(5);
    const PORT: u16 = 9;
    let quality = Quality {
        delay,
        ..Quality::default()
    };
    let fabric = Fabric::start(Topology::linear(2, quality), 1, [0, 1])?;
    let address = (fabric.host(1)?.address(), PORT);
    let far = fabric.host(1)?.run(move || {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        std::io::Result::Ok(socket)
    });
    let far = far.await??;
    let near = fabric.host(0)?.run(|| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        std::io::Result::Ok(socket)
    });
    let near = near.await??;
    let echo = std::thread::spawn(move || {
        let mut buffer = [0; 64];
        for _ in 0..pings {
            let (length, from) = far.recv_from(&mut buffer)?;
            far.send_to(&buffer[..length], from)?;
        }
        std::io::Result::Ok(())
    });
    let pinging = tokio::task::spawn_blocking(move || {
        let mut taken = Vec::with_capacity(pings);
        for _ in 0..pings {
            let sent = Instant::now();
            near.send_to(b"ping", address)?;
            near.recv_from(&mut [0; 64])?;
            taken.push(sent.elapsed());
        }
        std::io::Result::Ok(taken)
    });
    let taken = pinging.await?;
    let echoed = echo.join().unwrap_or(Ok(()));
    let taken = crate::bench::percentile::sorted(taken?.into_iter());
    echoed?;
    Ok([0.5, 0.99].map(|p| 1e3 * crate::bench::percentile::percentile_ms(&taken, p)))
}
