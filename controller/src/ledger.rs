//! What is ours in one router's table, and how the table differs from what it ought to be.

use std::collections::{HashMap, HashSet};

use crate::names::Route;
use crate::wishes::Wish;

/// The weight of a new entry, that of the C++ reference's flat controller.
/// What routers learn takes its place.
pub(crate) const NEW_WEIGHT: f32 = 1.0;

/// How many entries may be remembered as ours for removal when the router is
/// back, however many computers come and go while it is away.
const MAX_POSTPONED: usize = 1_000_000;

/// An entry as the router shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shown {
    pub(crate) weight: f32,
    pub(crate) is_final: bool,
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

/// What this controller has to do with the entries of one router. An entry is
/// ours once we have installed it or wanted it there, until it is seen to be
/// gone; only ours are ever removed, so that what people put in by hand stays.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
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
            self.ours.insert(route.clone());
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
        for (route, wish) in wishes {
            if wish == Wish::Remove && self.ours.len() < MAX_POSTPONED {
                self.ours.insert(route);
            }
        }
    }

    /// What has to be done to the table `shown` so that it has all of
    /// `desired`, and nothing else of ours. Weights are the router's: one that
    /// is there is never overwritten, except to make it final, with the weight
    /// that it has.
    pub(crate) fn difference(
        &mut self,
        shown: HashMap<Route, Shown>,
        desired: &[Route],
    ) -> (Vec<Order>, Differences) {
        let wanted: HashSet<_> = desired.iter().collect();
        self.ours.retain(|route| shown.contains_key(route));
        let known = |route: &Route| wanted.contains(route) || shown.contains_key(route);
        self.refused.retain(known);

        let mut stale: Vec<_> = self.ours.iter().filter(|r| !wanted.contains(r)).collect();
        stale.sort();
        let remove = |route: &Route| Order::Remove {
            route: route.clone(),
        };
        let mut orders: Vec<_> = stale.into_iter().map(remove).collect();
        let mut differences = Differences {
            stale: orders.len() as u64,
            ..Differences::default()
        };
        for route in desired {
            self.ours.insert(route.clone());
            let entry = shown.get(route);
            if let Some(order) = completed(route.clone(), entry) {
                match entry {
                    Some(_) => differences.finality += 1,
                    None => differences.missing += 1,
                }
                orders.push(order);
            }
        }
        self.shown = Some(shown);
        (orders, differences)
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
                let (weight, is_final) = (*weight, true);
                shown.insert(route.clone(), Shown { weight, is_final });
            }
            Order::Remove { route } => {
                shown.remove(route);
            }
        }
    }
}

/// What makes a final entry of what is there, if it is not one already.
fn completed(route: Route, shown: Option<&Shown>) -> Option<Order> {
    let weight = match shown {
        Some(Shown { is_final: true, .. }) => return None,
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
mod tests {
    use super::*;
    use crate::names::testing::route;

    fn table(entries: &[(&str, &str, f32, bool)]) -> HashMap<Route, Shown> {
        let entry = |&(lambda, destination, weight, is_final)| {
            (route(lambda, destination), Shown { weight, is_final })
        };
        entries.iter().map(entry).collect()
    }

    fn add(lambda: &str, destination: &str, weight: f32) -> Order {
        let route = route(lambda, destination);
        Order::Change { route, weight }
    }

    #[test]
    fn only_missing_entries_are_added_and_learnt_weights_are_left_alone() {
        let shown = table(&[("l0", "a:1", 0.003, true)]);
        let desired = [route("l0", "a:1"), route("l1", "a:1")];
        let (orders, differences) = Ledger::default().difference(shown.clone(), &desired);
        assert_eq!(orders, [add("l1", "a:1", 1.0)]);
        assert_eq!(differences.missing, 1);
        let full = table(&[("l0", "a:1", 0.003, true), ("l1", "a:1", 7.0, true)]);
        let (orders, differences) = Ledger::default().difference(full, &desired);
        assert_eq!((orders, differences), (Vec::new(), Differences::default()));
    }

    #[test]
    fn an_entry_that_is_not_final_becomes_so_with_the_weight_that_it_has() {
        let desired = [route("l0", "a:1")];
        for (weight, expected) in [
            (0.5, 0.5),
            (f32::NAN, 1.0),
            (0.0, 1.0),
            (f32::INFINITY, 1.0),
        ] {
            let shown = table(&[("l0", "a:1", weight, false)]);
            let (orders, differences) = Ledger::default().difference(shown.clone(), &desired);
            assert_eq!(orders, [add("l0", "a:1", expected)]);
            assert_eq!(differences.finality, 1);
        }
    }

    #[test]
    fn what_was_ours_is_removed_until_it_is_gone_and_what_others_put_in_stays() {
        let mut ledger = Ledger::default();
        let shown = table(&[("l0", "a:1", 1.0, true), ("l0", "manual:1", 1.0, true)]);
        // Found there, as after a restart of the controller: ours from now on.
        let (orders, _) = ledger.difference(shown.clone(), &[route("l0", "a:1")]);
        assert_eq!(orders, []);
        for _ in 0..2 {
            let (orders, differences) = ledger.difference(shown.clone(), &[]);
            let remove = Order::Remove {
                route: route("l0", "a:1"),
            };
            assert_eq!(orders, [remove]);
            assert_eq!(differences.stale, 1);
        }
        ledger.difference(table(&[]), &[]);
        // Once it was gone, the next one is somebody else's.
        assert_eq!(ledger.difference(shown.clone(), &[]).0, []);
    }

    #[test]
    fn removals_that_a_silent_router_missed_are_made_up_for() {
        let mut ledger = Ledger::default();
        ledger.postpone(vec![
            (route("l0", "a:1"), Wish::Remove),
            (route("l1", "a:1"), Wish::Install),
        ]);
        let shown = table(&[("l0", "a:1", 1.0, true), ("l1", "a:1", 1.0, true)]);
        let remove = Order::Remove {
            route: route("l0", "a:1"),
        };
        assert_eq!(ledger.difference(shown.clone(), &[]).0, [remove]);
    }

    #[test]
    fn what_shall_be_there_is_added_only_where_it_is_missing() {
        let mut ledger = Ledger::default();
        let ensure = || vec![(route("l0", "a:1"), Wish::Ensure)];
        assert!(ledger.has_to_read(&ensure()));
        assert!(!ledger.has_to_read(&[(route("l0", "a:1"), Wish::Install)]));
        ledger.difference(table(&[("l0", "a:1", 0.003, true)]), &[]);
        assert!(!ledger.has_to_read(&ensure()));
        assert_eq!(ledger.orders(ensure()), []);

        let remove = ledger.orders(vec![(route("l0", "a:1"), Wish::Remove)]);
        ledger.accepted(&remove[0]);
        let add = [add("l0", "a:1", 1.0)];
        assert_eq!(ledger.orders(ensure()), add);
        ledger.accepted(&add[0]);
        assert_eq!(ledger.orders(ensure()), []);
        // A router that failed may have lost everything.
        ledger.postpone(Vec::new());
        assert!(ledger.has_to_read(&ensure()));
    }

    #[test]
    fn the_same_refusal_is_news_once() {
        let mut ledger = Ledger::default();
        let order = add("l0", "a:1", 1.0);
        assert!(ledger.refused(&order));
        assert!(!ledger.refused(&order));
        ledger.accepted(&order);
        assert!(ledger.refused(&order));
    }
}
