//! Packets on their way from node to node: pure code, in whatever time it is told.

use std::time::Duration;

use super::topology::{Node, Topology};
use crate::impair::line::Line;
use crate::impair::link::{Counters, Fate, Link};

/// The links of a topology and what is on them.
#[derive(Debug)]
pub(crate) struct Network<P> {
    topology: Topology,
    links: Vec<Link>,
    line: Line<Parcel<P>>,
    /// What came to each node, from its host or over a link.
    visits: Vec<Visits>,
    /// Packets to nodes that cannot be reached.
    strays: u64,
}

/// What a switch has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Visits {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

#[derive(Debug)]
struct Parcel<P> {
    at: Node,
    to: Node,
    bytes: usize,
    content: P,
}

/// What all links and nodes have counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// In the order of the topology's links.
    pub(crate) links: Vec<Counters>,
    /// By node.
    pub(crate) visits: Vec<Visits>,
    pub(crate) strays: u64,
}

impl Traffic {
    /// What came after `earlier`.
    #[cfg(test)]
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let links = self.links.iter().zip(&earlier.links);
        let visits = self.visits.iter().zip(&earlier.visits);
        Self {
            links: links.map(|(now, then)| now.since(then)).collect(),
            visits: visits
                .map(|(now, then)| Visits {
                    packets: now.packets - then.packets,
                    bytes: now.bytes - then.bytes,
                })
                .collect(),
            strays: self.strays - earlier.strays,
        }
    }

    /// Bytes that all switches have seen together: each packet counts once per switch.
    pub(crate) fn bytes_at_switches(&self) -> u64 {
        self.visits.iter().map(|visits| visits.bytes).sum()
    }

    /// Packets that the links have lost at random.
    pub(crate) fn lost(&self) -> u64 {
        self.links.iter().map(|link| link.lost).sum()
    }

    /// Packets that found a queue full.
    pub(crate) fn dropped(&self) -> u64 {
        self.links.iter().map(|link| link.dropped).sum()
    }
}

impl<P> Network<P> {
    /// Nothing is on its way. Each link has randomness of its own, from `seed`.
    pub(crate) fn new(topology: Topology, seed: u64) -> Self {
        let links = topology.links().iter().enumerate();
        let links = links
            .map(|(number, link)| Link::new(link.quality, seed_of(seed, number)))
            .collect();
        let visits = vec![Visits::default(); topology.nodes()];
        Self {
            topology,
            links,
            line: Line::new(),
            visits,
            strays: 0,
        }
    }

    /// Nodes are numbered up to this.
    pub(crate) fn nodes(&self) -> usize {
        self.visits.len()
    }

    /// A host sends a packet. Call [`Self::arrival`] until it returns nothing first, so that time
    /// never goes back for a link.
    pub(crate) fn send(&mut self, now: Duration, from: Node, to: Node, bytes: usize, content: P) {
        self.forward(
            now,
            Parcel {
                at: from,
                to,
                bytes,
                content,
            },
        );
    }

    /// The next packet that has come to the host it was for by `now`.
    pub(crate) fn arrival(&mut self, now: Duration) -> Option<(Node, P)> {
        while let Some((at, parcel)) = self.line.pop(now) {
            if parcel.at == parcel.to {
                self.visit(&parcel);
                return Some((parcel.to, parcel.content));
            }
            // It was there at that instant, however late we are.
            self.forward(at, parcel);
        }
        None
    }

    /// When to call [`Self::arrival`] again.
    pub(crate) fn next_arrival(&self) -> Option<Duration> {
        self.line.next_arrival()
    }

    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            links: self.links.iter().map(Link::counters).collect(),
            visits: self.visits.clone(),
            strays: self.strays,
        }
    }

    fn visit(&mut self, parcel: &Parcel<P>) {
        let visits = &mut self.visits[parcel.at];
        visits.packets += 1;
        visits.bytes += parcel.bytes as u64;
    }

    fn forward(&mut self, now: Duration, parcel: Parcel<P>) {
        if parcel.at == parcel.to {
            // From a host to itself: nothing is between.
            self.line.push(now, parcel);
            return;
        }
        self.visit(&parcel);
        let Some(link) = self.topology.next(parcel.at, parcel.to) else {
            self.strays += 1;
            return;
        };
        if let Fate::Arrives(at) = self.links[link].offer(now, parcel.bytes) {
            let there = self.topology.links()[link].to;
            self.line.push(
                at,
                Parcel {
                    at: there,
                    ..parcel
                },
            );
        }
    }
}

/// Neighbouring seeds and links do not share their randomness.
fn seed_of(seed: u64, link: usize) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add((link as u64).wrapping_mul(0xd134_2543_de82_ef95))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn line(quality: &str) -> Network<u32> {
        Network::new(Topology::linear(4, quality.parse().unwrap()), 1)
    }

    #[test]
    fn a_round_trip_takes_the_delays_of_all_links() {
        let mut network = line("delay=10ms");
        network.send(MS, 3, 1, 100, 7);
        assert_eq!(network.next_arrival(), Some(11 * MS));
        assert_eq!(network.arrival(20 * MS), None);
        // Late, but the second link counts from when it should have been.
        assert_eq!(network.next_arrival(), Some(21 * MS));
        assert_eq!(network.arrival(21 * MS), Some((1, 7)));
        network.send(21 * MS, 1, 3, 100, 8);
        assert_eq!(network.arrival(41 * MS), Some((3, 8)));
        assert_eq!(network.arrival(41 * MS), None);
    }

    #[test]
    fn each_packet_counts_once_at_each_switch_that_it_passes() {
        let mut network = line("");
        network.send(MS, 3, 1, 100, 7);
        network.send(MS, 2, 2, 10, 8);
        while network.arrival(MS).is_some() {}
        let visits: Vec<_> = network.traffic().visits.iter().map(|v| v.bytes).collect();
        assert_eq!(visits, [0, 100, 110, 100]);
        assert_eq!(network.traffic().bytes_at_switches(), 310);
    }

    #[test]
    fn losses_add_up_over_links() {
        let count = 200_000;
        let mut network = line("loss=3%");
        let mut arrived = 0;
        for number in 0..count {
            network.send(number * MS, 3, 1, 100, number);
            while network.arrival(number * MS).is_some() {
                arrived += 1;
            }
        }
        let expected = f64::from(count) * 0.97 * 0.97;
        let sigma = (expected * (1.0 - 0.97 * 0.97)).sqrt();
        assert!(
            (f64::from(arrived) - expected).abs() < 3.0 * sigma,
            "{arrived}"
        );
        let lost = network.traffic().lost();
        assert_eq!(lost, u64::from(count) - arrived as u64);
    }

    #[test]
    fn directions_and_seeds_lose_different_packets() {
        let lost = |seed: u64, from: usize, to: usize| {
            let topology = Topology::linear(2, "loss=50%".parse().unwrap());
            let mut network = Network::new(topology, seed);
            (0..64_u32)
                .filter(|number| {
                    network.send(*number * MS, from, to, 1, *number);
                    network.arrival(*number * MS).is_none()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(lost(1, 0, 1), lost(1, 0, 1));
        assert_ne!(lost(1, 0, 1), lost(1, 1, 0));
        assert_ne!(lost(1, 0, 1), lost(2, 0, 1));
    }

    #[test]
    fn a_bottleneck_is_shared_and_its_queue_bounded() {
        let mut network = line("rate=1Mbit,burst=125,queue=10");
        for number in 0..100 {
            network.send(MS, 3, 1, 125, number);
        }
        let mut arrived = 0;
        while let Some(at) = network.next_arrival() {
            arrived += usize::from(network.arrival(at).is_some());
        }
        // One leaves at once, ten wait.
        assert_eq!(arrived, 11);
        assert_eq!(network.traffic().dropped(), 89);
    }

    #[test]
    fn what_leads_nowhere_is_counted() {
        let mut network = Network::new(Topology::new(2, &[], "".parse().unwrap()), 1);
        network.send(MS, 0, 1, 1, ());
        assert_eq!(network.arrival(MS), None);
        assert_eq!(network.traffic().strays, 1);
    }
}
