//! A lambda of a table that was found once.

use super::error::check_route;
use super::{Lambda, RouteChange, TableError};
use crate::policy::Policies;
use crate::routes::Snapshot;
use crate::{
    Answers, Destinations, Nanos, NoDestination, Pick, PolicyConfig, Probes, Request, Tried,
};
use arc_swap::{ArcSwapAny, Cache};
use rand::Rng;
use std::ops::Deref;
use std::sync::Arc;

/// A lambda that was [found](super::ForwardingTable::find) in a table, for one who picks for it again
/// and again: neither the lambda nor, unless they have changed, its routes are looked for each time.
/// Once all its routes are removed it has none for ever, even if the table gets a lambda of the same
/// name again.
#[derive(Clone, Debug)]
pub struct FoundLambda {
    lambda: Arc<Lambda>,
    routes: Cache<RoutesOf, Snapshot>,
}

#[derive(Clone, Debug)]
struct RoutesOf(Arc<Lambda>);

impl Deref for RoutesOf {
    type Target = ArcSwapAny<Snapshot>;

    fn deref(&self) -> &ArcSwapAny<Snapshot> {
        self.0.routes()
    }
}

impl FoundLambda {
    pub(super) fn new(lambda: &Arc<Lambda>) -> Self {
        FoundLambda {
            lambda: Arc::clone(lambda),
            routes: Cache::new(RoutesOf(Arc::clone(lambda))),
        }
    }

    /// A lambda of no table, for one who has no need of anything else of a table: making that, and
    /// dropping it, takes as long as some hundred picks.
    ///
    /// # Errors
    /// Those of [`ForwardingTable::change`](super::ForwardingTable::change), for the first route that
    /// is wrong.
    pub fn alone(
        name: &str,
        policy: PolicyConfig,
        destinations: &Arc<Destinations>,
        routes: &[RouteChange<'_>],
        now: Nanos,
    ) -> Result<Self, TableError> {
        for route in routes {
            check_route(name, route.destination, route.weight)?;
        }
        let policy = Policies::new(policy).next();
        let lambda = Arc::new(Lambda::new(name, policy, Arc::clone(destinations), now));
        lambda.change(routes, now);
        Ok(FoundLambda::new(&lambda))
    }

    /// Chooses as [`ForwardingTable::pick`](super::ForwardingTable::pick) does.
    ///
    /// # Errors
    /// Those of `pick`.
    pub fn pick(
        &mut self,
        tried: &Tried,
        now: Nanos,
        rng: &mut dyn Rng,
    ) -> Result<Pick, NoDestination> {
        let FoundLambda { lambda, routes } = self;
        let aside = lambda.broker().set_aside();
        lambda.pick_among(
            routes.load(),
            &Request::OF_KNOWN_LAMBDA,
            tried,
            Answers::NONE,
            aside,
            now,
            rng,
        )
    }

    /// The same as [`ForwardingTable::probes`](super::ForwardingTable::probes).
    pub fn probes(&self, now: Nanos, rng: &mut dyn Rng) -> Probes {
        let request = &Request::OF_KNOWN_LAMBDA;
        self.lambda.probes(request, now, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ForwardingTable, Report};
    use rand_pcg::Pcg32;
    use rand_pcg::rand_core::SeedableRng;

    const NOW: Nanos = Nanos::ZERO;

    #[test]
    fn what_was_found_once_follows_its_routes_to_their_end() {
        let table = ForwardingTable::new(PolicyConfig::LeastCost, Arc::new(Destinations::new()));
        assert!(table.find("lambda").is_none());
        table.change("lambda", "a", 1.0, true, NOW).unwrap();
        let mut found = table.find("lambda").unwrap();
        let mut rng = Pcg32::seed_from_u64(1);
        let mut picked = || {
            let name = |pick: Pick| pick.destination().name().to_owned();
            found.pick(&Tried::new(), NOW, &mut rng).map(name)
        };
        assert_eq!(picked().as_deref(), Ok("a"));
        table.change("lambda", "b", 0.1, true, NOW).unwrap();
        table.remove("lambda", "a", NOW);
        assert_eq!(picked().as_deref(), Ok("b"));
        table.remove("lambda", "b", NOW);
        table.change("lambda", "c", 1.0, true, NOW).unwrap();
        assert_eq!(picked(), Err(NoDestination::UnknownLambda));
    }

    #[test]
    fn one_alone_chooses_as_in_a_table() {
        let routes = ["a", "b", "c"].map(|destination| RouteChange {
            destination,
            weight: 1.0,
            is_final: true,
        });
        let policy = PolicyConfig::default();
        let destinations = Arc::new(Destinations::new());
        let mut alone = FoundLambda::alone("f", policy, &destinations, &routes, NOW).unwrap();
        let table = ForwardingTable::new(policy, Arc::new(Destinations::new()));
        table.change_many("f", &routes, NOW).unwrap();
        let mut found = table.find("f").unwrap();
        let mut rngs = [(); 2].map(|()| Pcg32::seed_from_u64(3));
        for millis in 1..500 {
            let now = Nanos::from_millis(millis);
            let [one, other] = &mut rngs;
            let picks = [
                alone.pick(&Tried::new(), now, one),
                found.pick(&Tried::new(), now, other),
            ];
            let ids = picks.map(|pick| {
                let pick = pick.unwrap();
                let id = pick.destination().id();
                pick.succeeded(Nanos::from_millis(1 + id), &Report::default(), now);
                id
            });
            assert_eq!(ids[0], ids[1]);
        }
        let wrong = RouteChange {
            weight: -1.0,
            ..routes[0]
        };
        let wrong = FoundLambda::alone("f", policy, &destinations, &[wrong], NOW);
        assert_eq!(wrong.err(), Some(TableError::InvalidWeight(-1.0)));
    }
}
