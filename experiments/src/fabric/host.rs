//! A host: a network namespace of its own, and a thread that lives in it.
//!
//! The namespace has no name: it lives as long as the thread and the processes that the thread has
//! started, and is gone with them however this program ends. There is nothing to clean up, and
//! nothing of anybody else's that a clean-up could hit.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Context as _;
use nix::sched::{CloneFlags, unshare};
use tun_rs::{DeviceBuilder, SyncDevice};

use super::topology::Node;

/// The interface of each host.
const INTERFACE: &str = "edge0";
/// Of Ethernet, as the published experiments had it.
pub(super) const MTU: u16 = 1500;
/// Jobs that wait for the thread of a host.
const MOST_WAITING: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// Ends with everything that it has started when it is dropped.
#[derive(Debug)]
pub(crate) struct Host {
    address: Ipv4Addr,
    jobs: SyncSender<Job>,
}

/// The address of the host at a node.
///
/// # Panics
/// Above 60,000 nodes.
pub(super) fn address(node: Node) -> Ipv4Addr {
    let number = u16::try_from(node + 1).expect("topologies are small");
    assert!(number <= 60_000, "topologies are small");
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 7, high, low)
}

/// The node that has an address.
pub(super) fn node(address: Ipv4Addr) -> Option<Node> {
    match address.octets() {
        [10, 7, high, low] => usize::from(u16::from_be_bytes([high, low])).checked_sub(1),
        _ => None,
    }
}

impl Host {
    /// Makes the namespace of the host at `node`; the device is the other end of its cable.
    pub(super) fn start(node: Node) -> anyhow::Result<(Self, SyncDevice)> {
        let address = address(node);
        let (jobs, queue) = sync_channel::<Job>(MOST_WAITING);
        let (tell, made) = sync_channel(1);
        std::thread::Builder::new()
            .name(format!("host-{node}"))
            .spawn(move || {
                let device = enter(address);
                let entered = device.is_ok();
                // Whoever asked has gone if this fails, and so may we.
                let told = tell.send(device).is_ok();
                if entered && told {
                    work(queue);
                }
            })?;
        let device = made.recv().context("the thread of a host has ended")??;
        Ok((Self { address, jobs }, device))
    }

    /// The machine itself, for networks of proxies: nothing but a thread that lives as long as the
    /// processes that it has started.
    pub(crate) fn loopback() -> anyhow::Result<Self> {
        let (jobs, queue) = sync_channel::<Job>(MOST_WAITING);
        std::thread::Builder::new()
            .name("host".to_owned())
            .spawn(move || work(queue))?;
        Ok(Self {
            address: Ipv4Addr::LOCALHOST,
            jobs,
        })
    }

    /// Where other hosts reach it.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Does something on the thread that lives in the namespace: what it starts, processes and
    /// threads, lives there, too. One at a time.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let (tell, done) = tokio::sync::oneshot::channel();
        let job: Job = Box::new(move || {
            // Whoever asked may have gone.
            let _told = tell.send(job());
        });
        let taken = self.jobs.try_send(job).is_ok();
        anyhow::ensure!(taken, "the host has too much to do");
        done.await.context("the host has ended")
    }

    /// As [`Self::run`], on a thread of its own, for what takes long.
    pub(crate) async fn run_beside<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let (tell, done) = tokio::sync::oneshot::channel();
        self.run(move || {
            std::thread::Builder::new()
                .name("guest".to_owned())
                .spawn(move || {
                    let _told = tell.send(job());
                })
                .map(drop)
        })
        .await??;
        done.await.context("it panicked")
    }
}

/// Until nobody has the host any more. A job that hangs then ends with this program.
fn work(jobs: Receiver<Job>) {
    for job in jobs {
        job();
    }
}

/// Moves this thread into a new namespace with one interface.
fn enter(address: Ipv4Addr) -> anyhow::Result<SyncDevice> {
    unshare(CloneFlags::CLONE_NEWNET).context("no network namespace")?;
    let device = DeviceBuilder::new()
        .name(INTERFACE)
        .build_sync()
        .context("no TUN device")?;
    device.set_nonblocking(true)?;
    let mtu = MTU.to_string();
    ip(&["link", "set", "lo", "up"])?;
    ip(&[
        "link",
        "set",
        INTERFACE,
        "mtu",
        &mtu,
        "txqueuelen",
        "10000",
        "up",
    ])?;
    // Everybody else is behind the cable.
    ip(&["address", "add", &format!("{address}/16"), "dev", INTERFACE])?;
    Ok(device)
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let said = Command::new("ip").args(arguments).output();
    let said = said.context("cannot run ip (package iproute2)")?;
    let complaint = String::from_utf8_lossy(&said.stderr);
    anyhow::ensure!(
        said.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        complaint.trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_belong_to_nodes() {
        for number in [0, 1, 254, 255, 256, 1000] {
            assert_eq!(node(address(number)), Some(number));
        }
        assert_eq!(address(0), Ipv4Addr::new(10, 7, 0, 1));
        assert_eq!(node(Ipv4Addr::new(10, 7, 0, 0)), None);
        assert_eq!(node(Ipv4Addr::new(10, 8, 0, 1)), None);
    }
}
