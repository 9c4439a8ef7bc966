//! What is ours in one router's table, and how the table differs from what it ought to be.

use std::collections::{HashMap, HashSet};

use crate::names::{Address, Route};
use crate::wishes::Wish;

/// The weight of a new entry, that of the C++ reference's flat controller.
/// What routers learn takes its place.
pub(crate) const NEW_WEIGHT: f32 = 1.0;

/// How many entries may be remembered as ours for removal when a router that does
/// not say whose they are is back, however many computers come and go while it is
/// away.
const MAX_POSTPONED: usize = 1_000_000;

/// An entry as the router shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shown {
    pub(crate) weight: f32,
    pub(crate) is_final: bool,
    pub(crate) whose: Whose,
}

/// Whom an entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The router does not know.
    Unsaid,
    /// This controller, or what ran under its name before.
    Ours,
    /// Another controller, or the person who put it in.
    Others,
}

/// A table as a router shows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reading {
    pub(crate) entries: HashMap<Route, Shown>,
    /// Whether the router knows whose they are.
    pub(crate) has_owners: bool,
}

/// Something to be done to a router's table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Order {
    /// Add the entry, or overwrite it, as final and with this weight.
    Change { route: Route, weight: f32 },
    /// Remove the entry, then add it as final and with this weight.
    Replace { route: Route, weight: f32 },
    /// Remove the entry.
    Remove { route: Route },
}

impl Order {
    /// The entry that it is about.
    pub(crate) fn route(&self) -> &Route {
        match self {
            Self::Change { route, .. } | Self::Replace { route, .. } | Self::Remove { route } => {
                route
            }
        }
    }
}

/// How many entries differed, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// Entries that were missing.
    pub(crate) missing: u64,
    /// Entries that were not final.
    pub(crate) finality: u64,
    /// Entries of ours that ought to be gone.
    pub(crate) stale: u64,
}

/// What this controller has to do with the entries of one router. Only ours are
/// ever removed, so that what people and other controllers put in stays. Routers
/// say whose an entry is; of those that do not (C++ reference) we remember it: an
/// entry is ours once we have installed it or wanted it there, until it is seen
/// to be gone.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Whether the router said whose entries are when the table was read last.
    has_owners: bool,
    /// What is ours at one that does not say, or has not yet.
    ours: HashSet<Route>,
    /// The table as it was read last, and what was done to it since.
    shown: Option<HashMap<Route, Shown>>,
    refused: HashSet<Route>,
}

impl Ledger {
    /// Whether the table has to be read before `wishes` can be carried out.
    pub(crate) fn has_to_read(&self, wishes: &[(Route, Wish)]) -> bool {
        self.shown.is_none() && wishes.iter().any(|(_, wish)| *wish == Wish::Ensure)
    }

    /// Turns wishes into orders.
    pub(crate) fn orders(&mut self, wishes: Vec<(Route, Wish)>) -> Vec<Order> {
        let mut orders = Vec::with_capacity(wishes.len());
        for (route, wish) in wishes {
            if !self.has_owners {
                self.ours.insert(route.clone());
            }
            let shown = self.shown.as_ref().and_then(|shown| shown.get(&route));
            let weight = NEW_WEIGHT;
            match wish {
                Wish::Install => orders.push(Order::Change { route, weight }),
                Wish::Ensure => orders.extend(completed(route, shown)),
                Wish::Replace => orders.push(Order::Replace { route, weight }),
                Wish::Remove => orders.push(Order::Remove { route }),
            }
        }
        orders
    }

    /// The router does not answer: what wishes ask for is left to the next
    /// [`difference`](Self::difference), which has to know what to remove.
    pub(crate) fn postpone(&mut self, wishes: Vec<(Route, Wish)>) {
        self.shown = None;
        if self.has_owners {
            // The router will say what is ours.
            return;
        }
        for (route, wish) in wishes {
            if wish == Wish::Remove && self.ours.len() < MAX_POSTPONED {
                self.ours.insert(route);
            }
        }
    }

    /// What has to be done to the table so that it has all of `desired`, and
    /// nothing else of ours whose destination `is_gone`. Weights are the
    /// router's: one that is there is never overwritten, except to make it
    /// final, with the weight that it has.
    pub(crate) fn difference(
        &mut self,
        reading: Reading,
        desired: &[Route],
        is_gone: impl FnMut(&Address) -> bool,
    ) -> (Vec<Order>, Differences) {
        let Reading {
            entries: mut shown,
            has_owners,
        } = reading;
        self.has_owners = has_owners;
        let wanted: HashSet<_> = desired.iter().collect();
        let known = |route: &Route| wanted.contains(route) || shown.contains_key(route);
        self.refused.retain(known);

        let mut stale = self.stale(&shown, &wanted, is_gone);
        stale.sort();
        let mut differences = Differences {
            stale: stale.len() as u64,
            ..Differences::default()
        };
        let remove = |route| Order::Remove { route };
        let mut orders: Vec<_> = stale.into_iter().map(remove).collect();
        let mut kept = HashMap::with_capacity(shown.len());
        for route in desired {
            if !has_owners {
                self.ours.insert(route.clone());
            }
            let entry = shown.remove(route);
            if let Some(order) = completed(route.clone(), entry.as_ref()) {
                match entry {
                    Some(_) => differences.finality += 1,
                    None => differences.missing += 1,
                }
                orders.push(order);
            }
            if let Some(entry) = entry {
                // All ledgers share the names of what is desired.
                kept.insert(route.clone(), entry);
            }
        }
        kept.extend(shown);
        self.shown = Some(kept);
        (orders, differences)
    }

    /// What is ours and not wanted any more.
    fn stale(
        &mut self,
        shown: &HashMap<Route, Shown>,
        wanted: &HashSet<&Route>,
        mut is_gone: impl FnMut(&Address) -> bool,
    ) -> Vec<Route> {
        if !self.has_owners {
            self.ours.retain(|route| shown.contains_key(route));
            let unwanted = self.ours.iter().filter(|route| !wanted.contains(route));
            return unwanted.cloned().collect();
        }
        self.ours = HashSet::new();
        let mut gone = HashMap::new();
        let mut is_stale = |route: &Route, entry: &Shown| {
            let destination = &route.destination;
            entry.whose == Whose::Ours
                && !wanted.contains(route)
                && *gone
                    .entry(destination.clone())
                    .or_insert_with(|| is_gone(destination))
        };
        let stale = shown.iter().filter(|(route, entry)| is_stale(route, entry));
        stale.map(|(route, _)| route.clone()).collect()
    }

    /// Whether the router's refusal to do something about this entry is news.
    pub(crate) fn refused(&mut self, order: &Order) -> bool {
        self.refused.insert(order.route().clone())
    }

    /// The router did what it was asked to.
    pub(crate) fn accepted(&mut self, order: &Order) {
        self.refused.remove(order.route());
        let Some(shown) = &mut self.shown else { return };
        match order {
            Order::Change { route, weight } | Order::Replace { route, weight } => {
                let entry = Shown {
                    weight: *weight,
                    is_final: true,
                    whose: match self.has_owners {
                        true => Whose::Ours,
                        false => Whose::Unsaid,
                    },
                };
                shown.insert(route.clone(), entry);
            }
            Order::Remove { route } => {
                let entry = shown.get(route);
                if entry.is_some_and(|entry| entry.whose != Whose::Others) {
                    shown.remove(route);
                }
            }
        }
    }
}

/// What makes a final entry of what is there, if it is not one already, or
/// somebody else's.
fn completed(route: Route, shown: Option<&Shown>) -> Option<Order> {
    let weight = match shown {
        Some(Shown { is_final: true, .. })
        | Some(Shown {
            whose: Whose::Others,
            ..
        }) => return None,
        Some(entry) => usable(entry.weight),
        None => NEW_WEIGHT,
    };
    Some(Order::Change { route, weight })
}

/// Routers refuse weights that are no positive number, some show them all the same.
fn usable(weight: f32) -> f32 {
    if weight.is_finite() && weight > 0.0 {
        weight
    } else {
        NEW_WEIGHT
    }
}

#[cfg(test)]
mod tests;
