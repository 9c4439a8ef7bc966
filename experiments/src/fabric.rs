//! A network of hosts and links inside this machine, in which TCP loses packets like UDP.
//!
//! Each host is a network namespace whose only cable, a TUN device, ends in this process. One
//! thread takes the packets that hosts send, lets them pass the links on their way (rate, queue,
//! delay, loss), and hands them to the host that they are for. Needs root, or the capabilities
//! `CAP_NET_ADMIN` and `CAP_SYS_ADMIN`, and `/dev/net/tun`.

pub(crate) mod doctor;
mod forwarder;
mod host;
pub(crate) mod hosted;
mod network;
pub(crate) mod topology;

use std::collections::HashMap;

use anyhow::Context as _;

use self::forwarder::Forwarder;
pub(crate) use self::host::Host;
pub(crate) use self::network::Traffic;
use self::topology::{Node, Topology};

/// Hosts and the links between them; all of it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Fabric {
    forwarder: Forwarder,
    hosts: HashMap<Node, Host>,
}

impl Fabric {
    /// Makes the network, with hosts at those nodes where somebody lives. `seed` decides what the
    /// links lose.
    ///
    /// # Errors
    /// Namespaces or TUN devices are not allowed here; [`doctor`] says more.
    pub(crate) fn start(
        topology: Topology,
        seed: u64,
        inhabited: impl IntoIterator<Item = Node>,
    ) -> anyhow::Result<Self> {
        let mut hosts = HashMap::new();
        let mut cables = Vec::new();
        for node in inhabited {
            if hosts.contains_key(&node) {
                continue;
            }
            let (host, cable) = Host::start(node).with_context(|| format!("host {node}"))?;
            hosts.insert(node, host);
            cables.push((node, cable));
        }
        let forwarder = Forwarder::start(topology, seed, cables)?;
        Ok(Self { forwarder, hosts })
    }

    /// The host at a node.
    pub(crate) fn host(&self, node: Node) -> anyhow::Result<&Host> {
        self.hosts
            .get(&node)
            .with_context(|| format!("nobody lives at node {node}"))
    }

    /// What links and switches have counted so far.
    pub(crate) fn traffic(&self) -> Traffic {
        self.forwarder.traffic()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::time::Duration;

    use super::*;
    use crate::impair::quality::Quality;

    /// Long enough for anything that is going to happen.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// None, with the reason printed, where it is not allowed.
    fn fabric(quality: &str) -> Option<Fabric> {
        let quality: Quality = quality.parse().unwrap();
        match Fabric::start(Topology::linear(3, quality), 5, [0, 2]) {
            Ok(fabric) => Some(fabric),
            Err(error) => {
                eprintln!("skipped: no packet fabric here: {error:#}");
                None
            }
        }
    }

    /// Sends so many datagrams from one end to the other, one after the other; how many came.
    async fn datagrams(fabric: &Fabric, count: u32) -> u32 {
        let (from, to) = (fabric.host(0).unwrap(), fabric.host(2).unwrap());
        let address = (to.address(), 9);
        let server = to.run(move || UdpSocket::bind(address).unwrap());
        let server = server.await.unwrap();
        let client = from.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
        let client = client.await.unwrap();
        server.set_nonblocking(true).unwrap();
        let mut came = 0;
        let before = fabric.traffic();
        for number in 0..count {
            client.send_to(&number.to_be_bytes(), address).unwrap();
            // Gone or there: the counters and the socket say which.
            let deadline = std::time::Instant::now() + PATIENCE;
            loop {
                let lost = fabric.traffic().since(&before).lost();
                let mut buffer = [0; 16];
                if let Ok((length, _)) = server.recv_from(&mut buffer) {
                    assert_eq!(buffer[..length], number.to_be_bytes());
                    came += 1;
                }
                if u64::from(came) + lost > u64::from(number) {
                    break;
                }
                assert!(
                    std::time::Instant::now() < deadline,
                    "a datagram has vanished"
                );
                std::thread::yield_now();
            }
        }
        came
    }

    #[tokio::test]
    async fn packets_are_lost_between_real_hosts_as_often_as_asked_for() {
        const COUNT: u32 = 1000;
        let Some(fabric) = fabric("loss=10%") else {
            return;
        };
        let came = datagrams(&fabric, COUNT).await;
        let probability = 0.9 * 0.9;
        let expected = f64::from(COUNT) * probability;
        let sigma = (expected * (1.0 - probability)).sqrt();
        assert!((f64::from(came) - expected).abs() < 3.0 * sigma, "{came}");
        // An empty UDP/IPv4 packet has 28 bytes.
        let last = fabric.traffic().links[2];
        assert_eq!(
            (last.packets, last.bytes),
            (u64::from(came), u64::from(came) * 32)
        );
    }

    #[tokio::test]
    async fn a_round_trip_takes_no_less_than_its_links() {
        let Some(fabric) = fabric("delay=5ms") else {
            return;
        };
        let (near, far) = (fabric.host(0).unwrap(), fabric.host(2).unwrap());
        let address = (far.address(), 9);
        let server = far.run(move || UdpSocket::bind(address).unwrap());
        let server = server.await.unwrap();
        let echo = std::thread::spawn(move || {
            server.set_read_timeout(Some(PATIENCE)).unwrap();
            let (length, from) = server.recv_from(&mut [0; 16]).unwrap();
            server.send_to(&[0; 16][..length], from).unwrap();
        });
        let took = near.run_beside(move || {
            let client = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            let sent = std::time::Instant::now();
            client.send_to(b"ping", address).unwrap();
            client.recv_from(&mut [0; 16]).unwrap();
            sent.elapsed()
        });
        // Later is possible on a busy machine; sooner is not.
        assert!(took.await.unwrap() >= Duration::from_millis(20));
        echo.join().unwrap();
    }
}
