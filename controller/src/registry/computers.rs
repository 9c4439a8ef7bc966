//! The computers of the registry: what they announce, and whether they live.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::{Effect, Full, Leaseholder, Manner, Registry};
use crate::names::{Address, LambdaName};

/// One container as announced. Two announcements are the same if their
/// containers are, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) processor: String,
    pub(crate) lambda: LambdaName,
    /// Requests executed at the same time; 0 from computers that do not say.
    pub(crate) workers: u32,
}

/// A computer as it announces itself.
#[derive(Debug, Clone)]
pub(crate) struct ComputerAnnouncement {
    /// Where it serves lambdas: its identity.
    pub(crate) address: Address,
    pub(crate) containers: Vec<Container>,
    /// How long the announcement holds; `None` for computers that never renew.
    pub(crate) lease: Option<Duration>,
    /// Grows with each start and change of the computer; 0 if it does not say.
    pub(crate) generation: u64,
}

/// A known computer.
#[derive(Debug)]
pub(crate) struct Computer {
    pub(crate) containers: Vec<Container>,
    /// Those of the containers, each once.
    pub(crate) lambdas: Vec<LambdaName>,
    pub(crate) generation: u64,
    pub(crate) standing: Standing,
}

/// Why a computer is believed to live, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It renews its announcement; gone at `until` if it does not.
    Leased { until: Instant },
    /// It never renews, and has not answered the last `failures` probes.
    Probed { failures: u32 },
    /// It has not answered probes, and is in no table until it does.
    Withdrawn { since: Instant },
}

/// What a probe of a computer showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    Answered,
    Failed,
}

impl Computer {
    /// Whether its lambdas are, or ought to be, in the routers' tables.
    pub(crate) fn serves(&self) -> bool {
        !matches!(self.standing, Standing::Withdrawn { .. })
    }

    fn expiry(&self) -> Option<Instant> {
        match self.standing {
            Standing::Leased { until } => Some(until),
            Standing::Probed { .. } | Standing::Withdrawn { .. } => None,
        }
    }
}

impl Registry {
    /// A computer says what it serves.
    ///
    /// The same again only renews: routers are not told, so that they keep
    /// what they have learnt. A change is a removal of everything and a new
    /// announcement, as in the C++ reference, unless the computer renews: then
    /// routers are told the difference, and nothing that stays is interrupted.
    ///
    /// # Errors
    /// If it is new and there are too many computers, or all together would
    /// have too many containers.
    pub(crate) fn announce_computer(
        &mut self,
        now: Instant,
        announced: ComputerAnnouncement,
    ) -> Result<Vec<Effect>, Full> {
        let known = self.computers.get(&announced.address);
        if known.is_none() && self.computers.len() >= self.bounds.computers {
            return Err(Full {
                what: "computers",
                limit: self.bounds.computers,
            });
        }
        if known.is_some_and(|known| is_late(announced.generation, known)) {
            return Ok(Vec::new());
        }
        let others = self.containers - known.map_or(0, |known| known.containers.len());
        if others + announced.containers.len() > self.bounds.containers {
            return Err(Full {
                what: "containers",
                limit: self.bounds.containers,
            });
        }
        let renews = announced.lease.is_some();
        let (before, same) = match known.filter(|known| known.serves()) {
            Some(known) => (
                known.lambdas.clone(),
                known.containers == announced.containers,
            ),
            None => (Vec::new(), false),
        };
        let address = announced.address.clone();
        self.strangers.announced(&address);
        let after = self.record(now, announced);
        let mut effects = Vec::new();
        match (same, renews) {
            (true, _) => {}
            (false, true) => {
                let gone = missing_from(&after, &before);
                let new = missing_from(&before, &after);
                if !gone.is_empty() {
                    self.withdraw(&address, gone, &mut effects);
                }
                if !new.is_empty() {
                    self.offer(&address, new, Manner::WhereMissing, &mut effects);
                }
                // The order of what stays may have changed.
                self.desired = None;
            }
            (false, false) => {
                if !before.is_empty() {
                    self.withdraw(&address, before, &mut effects);
                }
                self.offer(&address, after, Manner::AsNew, &mut effects);
            }
        }
        Ok(effects)
    }

    /// Remembers what was announced; returns its lambdas.
    fn record(&mut self, now: Instant, announced: ComputerAnnouncement) -> Vec<LambdaName> {
        let address = announced.address;
        let standing = match announced.lease {
            Some(lease) => Standing::Leased { until: now + lease },
            None => Standing::Probed { failures: 0 },
        };
        let mut seen = HashSet::new();
        let lambdas = announced.containers.iter().map(|c| &c.lambda);
        let computer = Computer {
            lambdas: lambdas.filter(|l| seen.insert(*l)).cloned().collect(),
            containers: announced.containers,
            generation: announced.generation,
            standing,
        };
        let lambdas = computer.lambdas.clone();
        let after = computer.expiry();
        self.containers += computer.containers.len();
        let before = self.computers.insert(address.clone(), computer);
        let before = before.and_then(|before| {
            self.containers -= before.containers.len();
            before.expiry()
        });
        self.move_lease(before, after, || Leaseholder::Computer(address.clone()));
        lambdas
    }

    /// A computer says good-bye, or somebody says that it is gone. Unknown ones
    /// are nothing to do, and so is the late good-bye of an earlier generation.
    pub(crate) fn remove_computer(&mut self, address: &Address, generation: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        let known = self.computers.get(address);
        if known.is_some_and(|known| !is_late(generation, known)) {
            self.forget_computer(address, &mut effects);
        }
        effects
    }

    pub(super) fn forget_computer(&mut self, address: &Address, effects: &mut Vec<Effect>) {
        if let Some(computer) = self.computers.remove(address) {
            self.containers -= computer.containers.len();
            let holder = || Leaseholder::Computer(address.clone());
            self.move_lease(computer.expiry(), None, holder);
            self.strangers.left(address.clone());
            if computer.serves() {
                self.withdraw(address, computer.lambdas, effects);
            }
        }
    }

    /// The computers that never renew, and what may be one, and so has to be probed.
    pub(crate) fn to_probe(&self) -> Vec<Address> {
        let unleased = self.computers.iter().filter(|(_, c)| c.expiry().is_none());
        let unleased = unleased.map(|(address, _)| address);
        unleased.chain(self.strangers.to_probe()).cloned().collect()
    }

    /// A computer was probed: enough failures in a row withdraw it from the
    /// routers, an answer reinstates it. One that renews meanwhile does not
    /// depend on probes any more.
    pub(crate) fn probed(&mut self, now: Instant, address: &Address, probe: Probe) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(computer) = self.computers.get_mut(address) else {
            self.strangers.probed(now, address, probe);
            return effects;
        };
        match (computer.standing, probe) {
            (Standing::Leased { .. }, _) => {}
            (Standing::Probed { .. }, Probe::Answered) => {
                computer.standing = Standing::Probed { failures: 0 };
            }
            (Standing::Probed { failures }, Probe::Failed) => {
                let failures = failures + 1;
                if failures < self.bounds.probe_failures {
                    computer.standing = Standing::Probed { failures };
                } else {
                    computer.standing = Standing::Withdrawn { since: now };
                    let lambdas = computer.lambdas.clone();
                    self.withdraw(address, lambdas, &mut effects);
                }
            }
            (Standing::Withdrawn { .. }, Probe::Answered) => {
                computer.standing = Standing::Probed { failures: 0 };
                let lambdas = computer.lambdas.clone();
                self.offer(address, lambdas, Manner::WhereMissing, &mut effects);
            }
            (Standing::Withdrawn { since }, Probe::Failed) => {
                if now.saturating_duration_since(since) >= self.bounds.forget_after {
                    // Its lambdas were withdrawn already, and it has no lease.
                    self.forget_computer(address, &mut effects);
                }
            }
        }
        effects
    }
}

/// Whether a message is from before what is known: it was overtaken on its way.
fn is_late(generation: u64, known: &Computer) -> bool {
    generation != 0 && generation < known.generation
}

/// The lambdas of `all` that `some` lacks, in order.
fn missing_from(some: &[LambdaName], all: &[LambdaName]) -> Vec<LambdaName> {
    let some: HashSet<_> = some.iter().collect();
    all.iter().filter(|l| !some.contains(l)).cloned().collect()
}
