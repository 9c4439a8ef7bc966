//! Destinations that routers' tables hold on our behalf and that nobody has announced to us: left
//! from before this controller started.
//!
//! Whoever renews announces itself again soon. Computers of the C++ reference never do, and serve
//! nevertheless; so what has not come back is probed, as they are, before it is taken for gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::computers::Probe;
use crate::names::Address;

/// Those of one controller.
#[derive(Debug)]
pub(super) struct Strangers {
    /// How many are remembered, and as many that are gone.
    most: usize,
    /// Nobody is gone before that, however many probes have failed.
    settled_at: Instant,
    /// How many probes in a row have to fail.
    probe_failures: u32,
    /// How many have.
    unknown: BTreeMap<Address, u32>,
    /// What failed, and what was announced and has left since.
    gone: BTreeSet<Address>,
}

impl Strangers {
    pub(super) fn new(most: usize, settled_at: Instant, probe_failures: u32) -> Self {
        Self {
            most,
            settled_at,
            probe_failures,
            unknown: BTreeMap::new(),
            gone: BTreeSet::new(),
        }
    }

    /// Whether everybody who is there has had the time to say so.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        self.settled_at <= now
    }

    /// A computer has announced itself.
    pub(super) fn announced(&mut self, computer: &Address) {
        self.unknown.remove(computer);
        self.gone.remove(computer);
    }

    /// A computer that had announced itself is not there any more.
    pub(super) fn left(&mut self, computer: Address) {
        if self.gone.len() >= self.most {
            // It will be probed, if it is asked for.
            self.gone.pop_first();
        }
        self.gone.insert(computer);
    }

    /// Whether `destination`, which is not announced now, is gone rather than silent. From now on
    /// it is one to probe.
    pub(super) fn is_gone(&mut self, destination: &Address) -> bool {
        if self.gone.contains(destination) {
            return true;
        }
        if self.unknown.len() < self.most && !self.unknown.contains_key(destination) {
            self.unknown.insert(destination.clone(), 0);
        }
        false
    }

    pub(super) fn to_probe(&self) -> impl Iterator<Item = &Address> {
        self.unknown.keys()
    }

    pub(super) fn probed(&mut self, now: Instant, destination: &Address, probe: Probe) {
        let Some(failures) = self.unknown.get_mut(destination) else {
            return;
        };
        *failures = match probe {
            Probe::Answered => 0,
            Probe::Failed => failures.saturating_add(1),
        };
        if *failures >= self.probe_failures && self.is_settled(now) {
            self.unknown.remove(destination);
            self.left(destination.clone());
        }
    }
}
