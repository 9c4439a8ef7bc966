//! Who asks: some greedy clients, and others that ask for little.

use std::net::{IpAddr, Ipv4Addr};

/// The clients of a cell. The first ones are greedy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Clients {
    pub(super) count: usize,
    pub(super) greedy: usize,
    /// How many times as much as the others the greedy ones ask for.
    pub(super) greed: f64,
    /// Each has an address of its own.
    pub(super) hosts: bool,
}

impl Clients {
    /// How much each asks for, relative to the others.
    pub(super) fn weights(&self) -> Vec<f64> {
        (0..self.count)
            .map(|client| {
                if client < self.greedy {
                    self.greed
                } else {
                    1.0
                }
            })
            .collect()
    }

    /// The address that the connection of `client` leaves from, if it has one of its own: on
    /// Linux all of 127.0.0.0/8 is this machine.
    pub(super) fn source(&self, client: usize) -> Option<IpAddr> {
        let last = u8::try_from(client + 1).expect("there are at most 200 clients");
        self.hosts
            .then(|| IpAddr::from(Ipv4Addr::new(127, 0, 1, last)))
    }
}
