//! Where a scene takes place: hosts of a packet fabric, or processes with proxies between them.

use std::collections::HashMap;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::Context as _;
use edge_transport::Endpoint;

use super::mode::Mode;
use crate::bench::ports;
use crate::bench::process::Process;
use crate::fabric::doctor::Backend;
use crate::fabric::topology::{Node, Topology};
use crate::fabric::{Fabric, Host};
use crate::impair::link::Counters;
use crate::impair::quality::Quality;
use crate::impair::{Plan, Proxy};

/// How long a program may take until it serves.
const PATIENCE: Duration = Duration::from_secs(60);

/// What there is between the programs of a scene; all of it ends when it is dropped.
#[derive(Debug)]
pub(super) enum Ground {
    /// Packets pass through links.
    Fabric(Fabric),
    /// A proxy stands for each path.
    Loopback(Loopback),
}

/// Paths between programs on the loopback interface.
#[derive(Debug)]
pub(super) struct Loopback {
    topology: Topology,
    seed: u64,
    host: Host,
    /// By where it begins and where it leads.
    proxies: HashMap<(Node, Endpoint), (usize, Proxy)>,
}

impl Ground {
    /// Prepares it, with hosts at the nodes where programs are going to be.
    pub(super) fn prepare(
        backend: Backend,
        topology: Topology,
        seed: u64,
        inhabited: &[Node],
    ) -> anyhow::Result<Self> {
        Ok(match backend {
            Backend::Fabric => {
                let inhabited = inhabited.iter().copied();
                Self::Fabric(Fabric::start(topology, seed, inhabited)?)
            }
            Backend::Proxy => Self::Loopback(Loopback {
                topology,
                seed,
                host: Host::loopback()?,
                proxies: HashMap::new(),
            }),
        })
    }

    /// Where a program on that node listens, if it would like that port.
    pub(super) fn place(&self, node: Node, port: u16) -> anyhow::Result<Endpoint> {
        match self {
            Self::Fabric(fabric) => Ok(Endpoint::new(
                fabric.host(node)?.address().to_string(),
                port,
            )),
            Self::Loopback(_) => ports::reserve(),
        }
    }

    /// Names that certificates have to hold.
    pub(super) fn names(&self, nodes: &[Node]) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Fabric(fabric) => nodes
                .iter()
                .map(|node| Ok(fabric.host(*node)?.address().to_string()))
                .collect(),
            Self::Loopback(_) => Ok(vec!["127.0.0.1".to_owned()]),
        }
    }

    /// Where a program on that node has to send what is for the one at `there` on another.
    pub(super) async fn path(
        &mut self,
        from: Node,
        to: Node,
        there: &Endpoint,
        mode: Mode,
    ) -> anyhow::Result<Endpoint> {
        match self {
            Self::Fabric(_) => Ok(there.clone()),
            Self::Loopback(loopback) => loopback.path(from, to, there, mode).await,
        }
    }

    /// The host at that node.
    pub(super) fn host(&self, node: Node) -> anyhow::Result<&Host> {
        match self {
            Self::Fabric(fabric) => fabric.host(node),
            Self::Loopback(loopback) => Ok(&loopback.host),
        }
    }

    /// Starts a daemon on that node, and waits until it logs `ready`.
    pub(super) async fn start(
        &self,
        node: Node,
        command: Command,
        ready: &'static str,
    ) -> anyhow::Result<Process> {
        let program = format!("{command:?}");
        let starting = self
            .host(node)?
            .run(move || Process::start_hosted(command, ready, true));
        tokio::time::timeout(PATIENCE, starting)
            .await
            .ok()
            .with_context(|| format!("{program} does not serve"))??
    }

    /// Runs a program on that node until it ends by itself.
    pub(super) async fn run(&self, node: Node, mut command: Command) -> anyhow::Result<Output> {
        command.stdin(std::process::Stdio::null());
        let ended = self.host(node)?.run_beside(move || command.output());
        Ok(ended.await??)
    }

    /// What has been carried so far.
    pub(super) fn carried(&self) -> Carried {
        match self {
            Self::Fabric(fabric) => {
                let traffic = fabric.traffic();
                Carried {
                    bytes_at_switches: traffic.bytes_at_switches(),
                    lost: traffic.lost(),
                    dropped: traffic.dropped(),
                }
            }
            Self::Loopback(loopback) => loopback.carried(),
        }
    }
}

/// What links and switches have counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Carried {
    /// Each packet counts at each switch that it comes to.
    pub(super) bytes_at_switches: u64,
    /// Packets lost at random.
    pub(super) lost: u64,
    /// Packets that found a queue full.
    pub(super) dropped: u64,
}

impl Carried {
    /// What came after `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            bytes_at_switches: self.bytes_at_switches - earlier.bytes_at_switches,
            lost: self.lost - earlier.lost,
            dropped: self.dropped - earlier.dropped,
        }
    }
}

impl Loopback {
    async fn path(
        &mut self,
        from: Node,
        to: Node,
        there: &Endpoint,
        mode: Mode,
    ) -> anyhow::Result<Endpoint> {
        let key = (from, there.clone());
        if let Some((_, proxy)) = self.proxies.get(&key) {
            return Ok(Endpoint::from(proxy.address()));
        }
        let (hops, quality) = whole(&self.topology, from, to).context("nothing leads there")?;
        let plan = Plan {
            listen: ([127, 0, 0, 1], 0).into(),
            target: format!("{}:{}", there.host(), there.port()).parse()?,
            carries: mode.carries(),
            up: quality,
            down: quality,
            seed: self.seed.wrapping_add(self.proxies.len() as u64),
        };
        let proxy = Proxy::start(&plan).await?;
        let address = proxy.address();
        self.proxies.insert(key, (hops, proxy));
        Ok(Endpoint::from(address))
    }

    fn carried(&self) -> Carried {
        let mut carried = Carried::default();
        for (hops, proxy) in self.proxies.values() {
            for counted in proxy.counters() {
                let Counters {
                    bytes,
                    lost,
                    dropped,
                    ..
                } = counted.counters;
                // Bytes without the headers of packets: proxies do not see those.
                carried.bytes_at_switches += bytes * (*hops as u64 + 1);
                carried.lost += lost;
                carried.dropped += dropped;
            }
        }
        carried
    }
}

/// A path as one link: as many links, and what they amount to.
fn whole(topology: &Topology, from: Node, to: Node) -> Option<(usize, Quality)> {
    let hops = topology.hops(from, to)?;
    let Some(first) = topology.next(from, to) else {
        return Some((0, Quality::default()));
    };
    // All links of a topology are alike.
    let link = topology.links()[first].quality;
    let times = i32::try_from(hops).ok()?;
    let quality = Quality {
        delay: link.delay * u32::try_from(hops).ok()?,
        loss: 1.0 - (1.0 - link.loss).powi(times),
        ..link
    };
    Some((hops, quality))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_as_slow_and_lossy_as_all_its_links() {
        let quality: Quality = "delay=10ms,loss=10%,rate=1Mbit".parse().unwrap();
        let line = Topology::linear(4, quality);
        let (hops, path) = whole(&line, 3, 1).unwrap();
        assert_eq!((hops, path.delay), (2, Duration::from_millis(20)));
        assert!((path.loss - 0.19).abs() < 1e-9);
        assert_eq!(path.rate, quality.rate);
        let (hops, path) = whole(&line, 2, 2).unwrap();
        assert_eq!((hops, path), (0, Quality::default()));
    }
}
