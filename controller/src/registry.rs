//! Who serves what, and who has to know: events in, effects out, no clock and no sockets.
//!
//! The registry holds the computers with their containers, the routers with
//! their tables, and what follows from both: the routes that each table ought
//! to have. Every event returns, in order, the [`Effect`]s that it has; time is
//! an argument. The flat installer is the only one: every router gets a final
//! entry for every computer and each of its lambdas.

mod computers;
#[cfg(test)]
mod rows;
mod strangers;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_transport::Endpoint;

use crate::names::{Address, LambdaName, Route};
pub(crate) use computers::{Computer, ComputerAnnouncement, Container, Probe, Standing};
use strangers::Strangers;

/// What has to be done, or is worth knowing, after an event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// The first computer serves this lambda.
    LambdaAdded(LambdaName),
    /// The last computer that served this lambda is gone.
    LambdaRemoved(LambdaName),
    /// A computer serves these lambdas from now on.
    ComputerAdded {
        computer: Address,
        lambdas: Vec<LambdaName>,
    },
    /// A computer does not serve these lambdas any more.
    ComputerRemoved {
        computer: Address,
        lambdas: Vec<LambdaName>,
    },
    /// A router is there, and its tables are served at `table`.
    Connect { router: Address, table: Endpoint },
    /// A router is forgotten.
    Disconnect { router: Address },
    /// The router's table shall have these entries as new, also where it has
    /// them already.
    Install {
        router: Address,
        entries: Arc<[Route]>,
    },
    /// The router's table shall have these entries; where it has them already,
    /// it keeps what it has learnt about them.
    Ensure {
        router: Address,
        entries: Arc<[Route]>,
    },
    /// The router's table shall not have these entries any more.
    Remove {
        router: Address,
        entries: Arc<[Route]>,
    },
    /// Compare the router's table with what it ought to be.
    Reconcile { router: Address },
}

/// A router as it announces itself.
#[derive(Debug, Clone)]
pub(crate) struct RouterAnnouncement {
    /// Where it serves lambdas: its identity.
    pub(crate) address: Address,
    /// Where it serves its tables.
    pub(crate) table: Endpoint,
    /// How long the announcement holds; `None` for routers that never renew.
    pub(crate) lease: Option<Duration>,
    /// Another one with each start of the router; 0 if it does not say.
    pub(crate) generation: u64,
}

/// A known router.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) table: Endpoint,
    /// When it is forgotten unless it renews; `None` if it never has to.
    pub(crate) until: Option<Instant>,
    generation: u64,
}

/// How much is remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) computers: usize,
    /// Of all computers together.
    pub(crate) containers: usize,
    pub(crate) routers: usize,
    /// How many failed probes in a row withdraw a computer.
    pub(crate) probe_failures: u32,
    /// How long a computer that was withdrawn for failed probes is remembered.
    pub(crate) forget_after: Duration,
    /// How long after its start the registry waits for those whom routers know.
    pub(crate) grace: Duration,
}

/// How entries get into the routers' tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As the C++ reference does it.
    AsNew,
    /// As one does who says the same again every few seconds.
    WhereMissing,
}

/// There is too much already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the controller knows {limit} {what} already, which is its limit")]
pub(crate) struct Full {
    what: &'static str,
    limit: usize,
}

/// Whose lease ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Leaseholder {
    Computer(Address),
    Router(Address),
}

/// See the documentation of this module.
#[derive(Debug)]
pub(crate) struct Registry {
    bounds: Bounds,
    computers: BTreeMap<Address, Computer>,
    /// Of all computers together.
    containers: usize,
    routers: BTreeMap<Address, Router>,
    lambdas: BTreeMap<LambdaName, BTreeSet<Address>>,
    strangers: Strangers,
    leases: BTreeSet<(Instant, Leaseholder)>,
    /// Computed when asked for; `None` after a change.
    desired: Option<Arc<[Route]>>,
}

impl Registry {
    /// Knows nobody yet, and starts now.
    pub(crate) fn new(bounds: Bounds, now: Instant) -> Self {
        let settled_at = now + bounds.grace;
        Self {
            strangers: Strangers::new(bounds.computers, settled_at, bounds.probe_failures),
            bounds,
            computers: BTreeMap::new(),
            containers: 0,
            routers: BTreeMap::new(),
            lambdas: BTreeMap::new(),
            leases: BTreeSet::new(),
            desired: None,
        }
    }

    pub(crate) fn computers(&self) -> &BTreeMap<Address, Computer> {
        &self.computers
    }

    pub(crate) fn routers(&self) -> &BTreeMap<Address, Router> {
        &self.routers
    }

    /// Each lambda that is served, with the computers that serve it.
    pub(crate) fn lambdas(&self) -> &BTreeMap<LambdaName, BTreeSet<Address>> {
        &self.lambdas
    }

    /// Whether nobody serves anything at `destination` that is not announced: those who only have
    /// not come back to a controller that was restarted are given the time for that.
    pub(crate) fn is_gone(&mut self, destination: &Address) -> bool {
        self.computers.contains_key(destination) || self.strangers.is_gone(destination)
    }

    /// Whether all who renew, and are there, are known.
    pub(crate) fn is_settled(&self, now: Instant) -> bool {
        self.strangers.is_settled(now)
    }

    /// Destinations in routers' tables that are left alone though nobody has announced them.
    pub(crate) fn strangers(&self) -> impl Iterator<Item = &Address> {
        self.strangers.to_probe()
    }

    /// The entries that every router's table ought to have: computers in order
    /// of their addresses, the lambdas of each as it announced them.
    pub(crate) fn desired(&mut self) -> Arc<[Route]> {
        let computers = self.computers.iter().filter(|(_, c)| c.serves());
        self.desired
            .get_or_insert_with(|| {
                computers
                    .flat_map(|(address, computer)| routes(address, &computer.lambdas))
                    .collect()
            })
            .clone()
    }

    /// A router says that it is there. One without a lease gets everything
    /// again each time, since it may have restarted; one with a lease says so
    /// every few seconds, and is looked after by reconciliation, at once if it
    /// is new, has moved or has restarted.
    ///
    /// # Errors
    /// If it is new and there are too many routers.
    pub(crate) fn announce_router(
        &mut self,
        now: Instant,
        announced: RouterAnnouncement,
    ) -> Result<Vec<Effect>, Full> {
        let RouterAnnouncement {
            address: router,
            table,
            lease,
            generation,
        } = announced;
        let known = self.routers.get(&router);
        if known.is_none() && self.routers.len() >= self.bounds.routers {
            return Err(Full {
                what: "routers",
                limit: self.bounds.routers,
            });
        }
        let changed =
            known.is_none_or(|known| known.table != table || known.generation != generation);
        let before = known.and_then(|known| known.until);
        let until = lease.map(|lease| now + lease);
        self.move_lease(before, until, || Leaseholder::Router(router.clone()));
        let known = Router {
            table: table.clone(),
            until,
            generation,
        };
        self.routers.insert(router.clone(), known);

        let mut effects = Vec::new();
        if changed || lease.is_none() {
            let router = router.clone();
            effects.push(Effect::Connect { router, table });
        }
        let entries = self.desired();
        match lease {
            None if !entries.is_empty() => effects.push(Effect::Install { router, entries }),
            Some(_) if changed => effects.push(Effect::Reconcile { router }),
            _ => {}
        }
        Ok(effects)
    }

    /// A router without a lease has not been reachable for too long. Others
    /// are forgotten by their leases alone.
    pub(crate) fn forget_unreachable_router(&mut self, router: &Address) -> Vec<Effect> {
        if self.routers.get(router).is_none_or(|r| r.until.is_some()) {
            return Vec::new();
        }
        self.routers.remove(router);
        vec![Effect::Disconnect {
            router: router.clone(),
        }]
    }

    /// When the next lease ends.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.leases.first().map(|(until, _)| *until)
    }

    /// Forgets those whose leases have ended.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.next_expiry().is_some_and(|until| until <= now) {
            match self.leases.pop_first() {
                Some((_, Leaseholder::Computer(computer))) => {
                    self.forget_computer(&computer, &mut effects);
                }
                Some((_, Leaseholder::Router(router))) => {
                    self.routers.remove(&router);
                    effects.push(Effect::Disconnect { router });
                }
                None => {}
            }
        }
        effects
    }

    fn move_lease(
        &mut self,
        before: Option<Instant>,
        after: Option<Instant>,
        holder: impl Fn() -> Leaseholder,
    ) {
        if let Some(before) = before {
            self.leases.remove(&(before, holder()));
        }
        if let Some(after) = after {
            self.leases.insert((after, holder()));
        }
    }

    /// `computer` serves `lambdas` from now on, which it did not before.
    fn offer(
        &mut self,
        computer: &Address,
        lambdas: Vec<LambdaName>,
        manner: Manner,
        effects: &mut Vec<Effect>,
    ) {
        for lambda in &lambdas {
            let servers = self.lambdas.entry(lambda.clone()).or_default();
            if servers.is_empty() {
                effects.push(Effect::LambdaAdded(lambda.clone()));
            }
            servers.insert(computer.clone());
        }
        let entries: Arc<[Route]> = routes(computer, &lambdas).collect();
        effects.push(Effect::ComputerAdded {
            computer: computer.clone(),
            lambdas,
        });
        if !entries.is_empty() {
            let routers = self.routers.keys().cloned();
            effects.extend(routers.map(|router| {
                let entries = entries.clone();
                match manner {
                    Manner::AsNew => Effect::Install { router, entries },
                    Manner::WhereMissing => Effect::Ensure { router, entries },
                }
            }));
        }
        self.desired = None;
    }

    /// `computer` does not serve `lambdas` any more, which it did before.
    fn withdraw(
        &mut self,
        computer: &Address,
        lambdas: Vec<LambdaName>,
        effects: &mut Vec<Effect>,
    ) {
        for lambda in &lambdas {
            if let Some(servers) = self.lambdas.get_mut(lambda) {
                servers.remove(computer);
                if servers.is_empty() {
                    self.lambdas.remove(lambda);
                    effects.push(Effect::LambdaRemoved(lambda.clone()));
                }
            }
        }
        let entries: Arc<[Route]> = routes(computer, &lambdas).collect();
        effects.push(Effect::ComputerRemoved {
            computer: computer.clone(),
            lambdas,
        });
        if !entries.is_empty() {
            let routers = self.routers.keys().cloned();
            effects.extend(routers.map(|router| Effect::Remove {
                router,
                entries: entries.clone(),
            }));
        }
        self.desired = None;
    }
}

fn routes(destination: &Address, lambdas: &[LambdaName]) -> impl Iterator<Item = Route> {
    lambdas.iter().map(|lambda| Route {
        lambda: lambda.clone(),
        destination: destination.clone(),
    })
}
