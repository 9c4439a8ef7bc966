//! The cells of the published experiments.

use std::time::Duration;

use clap::ValueEnum;
use rand::SeedableRng as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand_pcg::Pcg64Mcg;
use serde::Serialize;

use super::chicago;
use super::mode::Mode;
use super::published;
use super::scene::{Client, Load, Scene};
use super::speed::Speed;
use crate::fabric::topology::{Node, Topology};
use crate::impair::quality::Quality;

/// One point of an experiment.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) experiment: &'static str,
    pub(super) link: Option<Speed>,
    pub(super) layout: Option<Layout>,
    /// Per cent, on each link and in each direction.
    pub(super) loss: f64,
    pub(super) scene: Scene,
}

/// Experiment 304: where the routers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layout {
    /// One, somewhere.
    Centralized,
    /// One beside each computer; clients ask the nearest.
    Distributed,
}

impl Layout {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Centralized => "centralized",
            Self::Distributed => "distributed",
        }
    }
}

impl Cell {
    /// What the reference has published for it: 90th percentile in milliseconds, traffic in kB/s.
    pub(super) fn published(&self) -> (Option<f64>, Option<f64>) {
        let mode = self.scene.mode;
        match (self.experiment, self.link, self.layout) {
            (LOSS, Some(speed), _) => (
                published::p90_of_302(speed, mode, self.loss as u32),
                published::traffic_of_302(speed, mode, self.loss as u32),
            ),
            (ROUTER, Some(speed), _) => (
                published::percentiles_of_303(speed, mode).map(|[_, p90, _]| p90),
                published::traffic_of_303(speed, mode),
            ),
            (CHICAGO, _, Some(layout)) => {
                let centralized = layout == Layout::Centralized;
                (None, published::traffic_of_304(centralized, mode))
            }
            _ => (None, None),
        }
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        let place = self.link.map(Speed::name);
        let place = place.or(self.layout.map(Layout::name)).unwrap_or_default();
        format!("{place} {} % {}", self.loss, self.scene.mode.name())
    }
}

pub(super) const LOSS: &str = "quic-302";
pub(super) const ROUTER: &str = "quic-303";
pub(super) const CHICAGO: &str = "quic-304";
pub(super) const GOAL: &str = "quic-goal";

/// Experiment 302: a client at one end of a line asks a computer two lossy links away.
pub(super) fn loss_cell(speed: Speed, loss: u32, mode: Mode, load: Load, seed: u64) -> Cell {
    const COMPUTER: Node = 1;
    const CLIENT: Node = 3;
    Cell {
        experiment: LOSS,
        link: Some(speed),
        layout: None,
        loss: f64::from(loss),
        scene: Scene {
            topology: Topology::linear(4, speed.of_302(f64::from(loss))),
            mode,
            computers: vec![COMPUTER],
            speed: 1e12,
            routers: Vec::new(),
            clients: vec![Client {
                node: CLIENT,
                asks: COMPUTER,
                seed,
            }],
            load,
            seed,
        },
    }
}

/// Experiment 303: client, router and computer, a link between each of them.
pub(super) fn router_cell(speed: Speed, mode: Mode, load: Load, seed: u64) -> Cell {
    const COMPUTER: Node = 1;
    const ROUTER_AT: Node = 2;
    const CLIENT: Node = 3;
    Cell {
        experiment: ROUTER,
        link: Some(speed),
        layout: None,
        loss: 0.0,
        scene: Scene {
            topology: Topology::linear(4, speed.of_303()),
            mode,
            computers: vec![COMPUTER],
            speed: 1e12,
            routers: vec![ROUTER_AT],
            clients: vec![Client {
                node: CLIENT,
                asks: ROUTER_AT,
                seed,
            }],
            load,
            seed,
        },
    }
}

/// Experiment 304: Chicago.
pub(super) fn chicago_cell(layout: Layout, mode: Mode, load: Load, seed: u64) -> Cell {
    const COMPUTERS: usize = 6;
    const CLIENTS: usize = 40;
    let topology = chicago::topology(Quality::new(Duration::from_millis(10), 10, 0.0));
    // Places depend on the seed alone, so that all modes and layouts have the same.
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut nodes: Vec<Node> = (0..topology.nodes()).collect();
    nodes.shuffle(&mut random);
    let computers = nodes[..COMPUTERS].to_vec();
    let mut anywhere = || {
        *nodes
            .choose(&mut random)
            .expect("a topology has nodes, of which these are all")
    };
    let central = anywhere();
    let at: Vec<Node> = (0..CLIENTS).map(|_| anywhere()).collect();
    let routers = match layout {
        Layout::Centralized => vec![central],
        Layout::Distributed => computers.clone(),
    };
    let nearest = |from: Node| {
        let hops = |router: &&Node| topology.hops(from, **router);
        *routers.iter().min_by_key(hops).expect("there are routers")
    };
    let clients = at.into_iter().enumerate().map(|(number, node)| Client {
        node,
        asks: nearest(node),
        seed: seed * 1000 + number as u64,
    });
    Cell {
        experiment: CHICAGO,
        link: None,
        layout: Some(layout),
        loss: 0.0,
        scene: Scene {
            mode,
            computers,
            speed: 1e11,
            clients: clients.collect(),
            routers,
            topology,
            load,
            seed,
        },
    }
}

/// The goal: a round trip of 20 ms, and losses in each direction.
pub(super) fn goal_cell(loss: f64, mode: Mode, load: Load, seed: u64) -> Cell {
    let path = Quality::new(Duration::from_millis(10), 100, loss);
    Cell {
        experiment: GOAL,
        link: None,
        layout: None,
        loss,
        scene: path_scene(path, mode, load, seed),
    }
}

/// A client and a computer at the ends of a link.
pub(super) fn path_scene(path: Quality, mode: Mode, load: Load, seed: u64) -> Scene {
    const COMPUTER: Node = 1;
    const CLIENT: Node = 0;
    Scene {
        topology: Topology::linear(2, path),
        mode,
        computers: vec![COMPUTER],
        speed: 1e12,
        routers: Vec::new(),
        clients: vec![Client {
            node: CLIENT,
            asks: COMPUTER,
            seed,
        }],
        load,
        seed,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn load() -> Load {
        Load {
            in_flight: 1,
            every: Duration::from_millis(100),
            bytes: 1000,
            warm_up: Duration::ZERO,
            length: Duration::from_secs(1),
        }
    }

    #[test]
    fn cells_know_what_was_published_for_them() {
        let cell = loss_cell(Speed::Fast, 3, Mode::Grpc, load(), 1);
        assert_eq!(cell.published(), (Some(205.9), Some(75.9)));
        let cell = loss_cell(Speed::Medium, 0, Mode::Quic, load(), 1);
        assert_eq!(cell.published(), (None, None));
        let cell = router_cell(Speed::Slow, Mode::Quic, load(), 1);
        assert_eq!(cell.published(), (Some(202.61), Some(48.6)));
        let cell = chicago_cell(Layout::Distributed, Mode::GrpcTls, load(), 1);
        assert_eq!(cell.published(), (None, None));
    }

    #[test]
    fn clients_are_as_far_from_whom_they_ask_as_published() {
        let cell = loss_cell(Speed::Slow, 0, Mode::Grpc, load(), 1);
        let Client { node, asks, .. } = cell.scene.clients[0];
        assert_eq!(cell.scene.topology.hops(node, asks), Some(2));
        let cell = router_cell(Speed::Slow, Mode::Grpc, load(), 1);
        let Client { node, asks, .. } = cell.scene.clients[0];
        assert_eq!(cell.scene.topology.hops(node, asks), Some(1));
        assert_eq!(
            cell.scene.topology.hops(asks, cell.scene.computers[0]),
            Some(1)
        );
    }

    #[test]
    fn modes_and_layouts_of_a_seed_have_the_same_places() {
        let cell = |layout, mode, seed| chicago_cell(layout, mode, load(), seed).scene;
        let one = cell(Layout::Centralized, Mode::Grpc, 1);
        let other = cell(Layout::Distributed, Mode::Quic, 1);
        let places = |scene: &Scene| scene.clients.iter().map(|c| c.node).collect::<Vec<_>>();
        assert_eq!(one.computers, other.computers);
        assert_eq!(places(&one), places(&other));
        assert_eq!(other.routers, other.computers);
        assert_eq!((one.clients.len(), one.routers.len()), (40, 1));
        assert_ne!(
            cell(Layout::Centralized, Mode::Grpc, 2).computers,
            one.computers
        );
        // The nearest one is asked.
        for client in &other.clients {
            let hops = |router| other.topology.hops(client.node, router);
            let least = other.routers.iter().map(|router| hops(*router)).min();
            assert_eq!(Some(hops(client.asks)), least);
        }
    }
}
