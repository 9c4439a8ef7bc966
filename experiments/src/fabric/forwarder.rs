//! The thread that carries packets between the cables of all hosts, as the links let them.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tun_rs::SyncDevice;

use super::host::{self, MTU};
use super::network::{Network, Traffic};
use super::topology::{Node, Topology};
use crate::impair::path::Clock;

/// Sleeps end so long before something is due; the rest is spent looking at the clock.
const SPIN: Duration = Duration::from_micros(30);
/// Packets from one host before the others have a turn.
const BATCH: usize = 32;

/// Carries until it is dropped.
#[derive(Debug)]
pub(super) struct Forwarder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    network: Mutex<Network<Box<[u8]>>>,
    stop: AtomicBool,
    /// Ends the wait of the thread.
    alarm: OwnedFd,
}

impl Shared {
    fn network(&self) -> MutexGuard<'_, Network<Box<[u8]>>> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Forwarder {
    /// Begins with the cables of the hosts that are there.
    pub(super) fn start(
        topology: Topology,
        seed: u64,
        cables: Vec<(Node, SyncDevice)>,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            network: Mutex::new(Network::new(topology, seed)),
            stop: AtomicBool::new(false),
            alarm: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        });
        let thread = std::thread::Builder::new()
            .name("fabric".to_owned())
            .spawn({
                let shared = shared.clone();
                move || {
                    hurry();
                    if let Err(error) = carry(&shared, &cables) {
                        eprintln!("warning: packets are not carried any more: {error:#}");
                    }
                }
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// So far.
    pub(super) fn traffic(&self) -> Traffic {
        self.shared.network().traffic()
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _rung = rustix::io::write(&self.shared.alarm, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// Timers that are as precise as the system can be, and a turn before other threads. Without
/// permission it is only less precise.
fn hurry() {
    const FIRST: i32 = -20;
    let slack = NonZeroU64::new(1);
    let _precise = rustix::thread::set_current_timer_slack(slack);
    // Of this thread alone, on Linux.
    let thread = rustix::thread::gettid();
    let _first = rustix::process::setpriority_process(Some(thread), FIRST);
}

fn carry(shared: &Shared, cables: &[(Node, SyncDevice)]) -> anyhow::Result<()> {
    let clock = Clock::start();
    let ports = Ports::new(cables, shared.network().nodes());
    let mut packet = vec![0; usize::from(MTU)];
    let mut watched: Vec<PollFd<'_>> = cables
        .iter()
        .map(|(_, cable)| PollFd::new(cable, PollFlags::IN))
        .collect();
    watched.push(PollFd::new(&shared.alarm, PollFlags::IN));
    while !shared.stop.load(Ordering::Relaxed) {
        let next = {
            let mut network = shared.network();
            ports.deliver(&mut network, clock.now());
            network.next_arrival()
        };
        wait(&mut watched, next, clock)?;
        for (watched, (node, cable)) in watched.iter().zip(cables) {
            if !watched.revents().is_empty() {
                take(shared, &ports, (*node, cable), &mut packet, clock)?;
            }
        }
    }
    Ok(())
}

/// Which cable leads to which host.
struct Ports<'a> {
    of_nodes: Vec<Option<&'a SyncDevice>>,
}

impl<'a> Ports<'a> {
    fn new(cables: &'a [(Node, SyncDevice)], nodes: usize) -> Self {
        let mut of_nodes = vec![None; nodes];
        for (node, cable) in cables {
            of_nodes[*node] = Some(cable);
        }
        Self { of_nodes }
    }

    /// Hands over what has arrived by `now`.
    fn deliver(&self, network: &mut Network<Box<[u8]>>, now: Duration) {
        while let Some((node, packet)) = network.arrival(now) {
            if let Some(cable) = self.of_nodes[node] {
                // What a host has no room for is lost, as at any interface.
                let _sent = cable.send(&packet);
            }
        }
    }
}

/// Until a host sends something, or until shortly before the next packet arrives.
fn wait(watched: &mut [PollFd<'_>], next: Option<Duration>, clock: Clock) -> anyhow::Result<()> {
    let timeout = next.map(|next| next.saturating_sub(clock.now()).saturating_sub(SPIN));
    let timeout = timeout.map(Timespec::try_from).transpose();
    let timeout = timeout.context("links are not that slow")?;
    for watched in &mut *watched {
        watched.clear_revents();
    }
    match poll(watched, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error).context("cannot wait for packets"),
    }
}

/// Takes what a host sends.
fn take(
    shared: &Shared,
    ports: &Ports<'_>,
    (from, cable): (Node, &SyncDevice),
    packet: &mut [u8],
    clock: Clock,
) -> anyhow::Result<()> {
    for _ in 0..BATCH {
        let length = match cable.recv(packet) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("cannot read from a host"),
        };
        let Some(to) = destination(&packet[..length]).and_then(host::node) else {
            // Neighbour discovery and the like.
            continue;
        };
        let mut network = shared.network();
        let now = clock.now();
        if to < network.nodes() {
            // Links are offered packets in the order of time.
            ports.deliver(&mut network, now);
            network.send(now, from, to, length, packet[..length].into());
        }
    }
    Ok(())
}

/// Of an IPv4 packet (RFC 791).
fn destination(packet: &[u8]) -> Option<Ipv4Addr> {
    const HEADER: usize = 20;
    if packet.len() < HEADER || packet[0] >> 4 != 4 {
        return None;
    }
    let octets: [u8; 4] = packet[16..20].try_into().ok()?;
    Some(octets.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_that_are_not_ipv4_have_no_destination() {
        let mut packet = [0; 20];
        packet[0] = 0x45;
        packet[16..].copy_from_slice(&[10, 7, 0, 2]);
        assert_eq!(destination(&packet), Some(Ipv4Addr::new(10, 7, 0, 2)));
        assert_eq!(destination(&packet[..19]), None);
        packet[0] = 0x60;
        assert_eq!(destination(&packet), None);
        assert_eq!(destination(&[]), None);
    }
}
