//! The forwarding table: which destinations serve which lambda, changed by few and read by all.

mod alone;
mod error;
mod fill;
mod lambda;
mod lambdas;
mod listing;
mod order;
mod owners;
mod rows;

pub use alone::{Lease, LoneLambda, ProbeLease, ProbeLeases};
pub use error::TableError;
pub(crate) use lambda::Lambda;
use lambdas::{Lambdas, Tree};
pub use listing::Listing;
use order::Order;
pub use rows::{Rows, TableEntry};

use crate::policy::Policies;
use crate::route::Route;
use crate::{
    Answers, Destinations, Explanation, Nanos, NoDestination, Pick, PolicyConfig, Probe, Probes,
    Request, Tried,
};
use error::{check_destination, check_factor, check_route, check_weight};
use foldhash::fast::FixedState;
use rand::Rng;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One route to set with [`ForwardingTable::change_many`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RouteChange<'a> {
    /// Where requests may go; not empty.
    pub destination: &'a str,
    /// The cost to announce: finite and above 0, smaller is better.
    pub weight: f32,
    /// Whether the destination executes lambdas itself instead of forwarding them.
    pub is_final: bool,
}

/// How busy the destinations of a lambda are, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Requests there, of this broker and, by the latest reports, of others.
    pub in_flight: u32,
    /// Requests that they execute at the same time; 0 if none of them reports it.
    pub workers: u32,
}

/// Routes of many lambdas, each lambda with its own state of the table's policy.
///
/// Picks never wait: lambdas are in an immutable snapshot, of which a part is replaced when a lambda
/// comes or goes, and so are the routes of each lambda, in pieces where they are many, so that a change
/// copies little. Writers that add or remove take turns. Weights are set in place.
#[derive(Debug)]
pub struct ForwardingTable {
    policy: Policies,
    exceptions: HashMap<String, Policies, FixedState>,
    destinations: Arc<Destinations>,
    lambdas: Lambdas,
    /// Whoever adds or removes keeps the lock meanwhile; who shows the table copies it.
    order: Mutex<Order>,
}

impl ForwardingTable {
    /// An empty table; tables of one broker share their `destinations`.
    #[must_use]
    pub fn new(policy: PolicyConfig, destinations: Arc<Destinations>) -> Self {
        ForwardingTable {
            policy: Policies::new(policy),
            exceptions: HashMap::default(),
            destinations,
            lambdas: Lambdas::default(),
            order: Mutex::default(),
        }
    }

    /// Lets another policy choose for the lambda of that name; lambdas that the table holds already
    /// keep theirs.
    #[must_use]
    pub fn with_exception(mut self, lambda: &str, policy: PolicyConfig) -> Self {
        self.exceptions
            .insert(lambda.to_owned(), Policies::new(policy));
        self
    }

    /// What the table chooses by, apart from exceptions.
    #[must_use]
    pub fn policy(&self) -> PolicyConfig {
        self.policy.config()
    }

    /// What the table chooses by for the lambda of that name.
    #[must_use]
    pub fn policy_of(&self, lambda: &str) -> PolicyConfig {
        self.policies_of(lambda).config()
    }

    fn policies_of(&self, lambda: &str) -> &Policies {
        self.exceptions.get(lambda).unwrap_or(&self.policy)
    }

    /// The registry this table shares.
    #[must_use]
    pub fn destinations(&self) -> &Arc<Destinations> {
        &self.destinations
    }

    /// Adds the route, or sets weight and finality of the one that exists; what was learnt about an
    /// existing one stays (the "change with four arguments" of the C++ reference).
    ///
    /// # Errors
    /// [`TableError::InvalidWeight`] if the weight is negative or not finite,
    /// [`TableError::InvalidDestination`] if it is 0 or the destination empty,
    /// [`TableError::InvalidLambda`] if the lambda is. The table is then as it was.
    pub fn change(
        &self,
        lambda: &str,
        destination: &str,
        weight: f32,
        is_final: bool,
        now: Nanos,
    ) -> Result<(), TableError> {
        self.change_many(
            lambda,
            &[RouteChange {
                destination,
                weight,
                is_final,
            }],
            now,
        )
    }

    /// Does what [`change`](Self::change) does for many destinations of one lambda at the price of
    /// one copy of its list, and either for all or for none of them.
    ///
    /// # Errors
    /// Those of `change`, for the first that is wrong.
    pub fn change_many(
        &self,
        lambda: &str,
        changes: &[RouteChange<'_>],
        now: Nanos,
    ) -> Result<(), TableError> {
        for change in changes {
            check_route(lambda, change.destination, change.weight)?;
        }
        if changes.is_empty() {
            return Ok(());
        }
        let mut order = self.lock();
        if let Some(added) = self.change_known(&mut order, lambda, changes, now) {
            self.lambdas.insert(added);
        }
        Ok(())
    }

    /// Changes a lambda that is known, or else gives back the new one.
    fn change_known(
        &self,
        order: &mut Order,
        lambda: &str,
        changes: &[RouteChange<'_>],
        now: Nanos,
    ) -> Option<Arc<Lambda>> {
        if let Some(known) = self.lambdas.look_for(lambda).get() {
            if known.change(changes, now) {
                order.update(known);
            }
            return None;
        }
        let policy = self.policies_of(lambda).next();
        let broker = Arc::clone(&self.destinations);
        let added = Arc::new(Lambda::new(lambda, policy, broker, now));
        added.change(changes, now);
        order.update(&added);
        Some(added)
    }

    /// Sets the weight of a route that exists (the "change with three arguments"). Under
    /// `least-cost` that is the announced weight, which matters until latencies are measured.
    ///
    /// # Errors
    /// [`TableError::NoDestinations`] if there is no such route, [`TableError::InvalidWeight`] if
    /// the weight is negative or not finite, [`TableError::InvalidDestination`] if it is 0.
    pub fn update_weight(
        &self,
        lambda: &str,
        destination: &str,
        weight: f32,
        now: Nanos,
    ) -> Result<(), TableError> {
        check_destination(destination)?;
        check_weight(destination, weight)?;
        self.with_route(lambda, destination, now, |route| route.set_weight(weight))
    }

    /// Multiplies the weight of a route that exists; the product saturates at the smallest and the
    /// largest positive number.
    ///
    /// # Errors
    /// [`TableError::NoDestinations`] if there is no such route,
    /// [`TableError::InvalidWeightFactor`] unless the factor is finite and above 0.
    pub fn multiply(
        &self,
        lambda: &str,
        destination: &str,
        factor: f32,
        now: Nanos,
    ) -> Result<(), TableError> {
        check_destination(destination)?;
        check_factor(factor)?;
        self.with_route(lambda, destination, now, |route| route.scale_weight(factor))
    }

    fn with_route(
        &self,
        lambda: &str,
        destination: &str,
        now: Nanos,
        set: impl FnOnce(&Route),
    ) -> Result<(), TableError> {
        match self.lambdas.look_for(lambda).get() {
            None => Err(TableError::NoDestinations { destination: None }),
            Some(known) => known.with_route(destination, now, set),
        }
    }

    /// Removes a route, and its lambda if it was the last one. Answers whether it existed.
    pub fn remove(&self, lambda: &str, destination: &str, now: Nanos) -> bool {
        let mut order = self.lock();
        let look = self.lambdas.look_for(lambda);
        let Some(known) = look.get() else {
            return false;
        };
        let removed = known.remove(destination, now);
        if removed {
            order.update(known);
        }
        if known.is_empty() {
            self.lambdas.remove(lambda);
        }
        removed
    }

    /// Removes all routes of a lambda. Answers whether there were any.
    pub fn remove_lambda(&self, lambda: &str) -> bool {
        let mut order = self.lock();
        let look = self.lambdas.look_for(lambda);
        let Some(known) = look.get() else {
            return false;
        };
        known.clear();
        order.update(known);
        self.lambdas.remove(lambda)
    }

    /// Removes everything.
    pub fn clear(&self) -> Cleared {
        let mut order = self.lock();
        Cleared {
            order: std::mem::take(&mut *order),
            _lambdas: self.lambdas.clear(),
        }
    }

    /// The names of all lambdas, sorted.
    #[must_use]
    pub fn lambdas(&self) -> Vec<String> {
        let order = self.order();
        order
            .lambdas()
            .map(|lambda| lambda.name().to_owned())
            .collect()
    }

    /// Whether there is a route from the lambda to the destination.
    #[must_use]
    pub fn holds(&self, lambda: &str, destination: &str) -> bool {
        let look = self.lambdas.look_for(lambda);
        look.get().is_some_and(|known| known.holds(destination))
    }

    /// The number of routes, over all lambdas.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().routes()
    }

    /// Whether there is no route at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// At most `limit` routes, sorted by lambda then destination, without the first `offset`. Pages
    /// fit together as long as no route comes or goes between them.
    #[must_use]
    pub fn page(&self, offset: usize, limit: usize) -> Vec<TableEntry> {
        self.list(offset, limit).take(usize::MAX)
    }

    /// The same entries, to be taken in portions by those who have something else to do meanwhile.
    #[must_use]
    pub fn list(&self, offset: usize, limit: usize) -> Listing {
        Listing::new(self.order(), offset, limit)
    }

    /// Chooses a destination for a request that has been to those in `tried` already.
    ///
    /// Ejected destinations are passed over unless no other is left that works. One whose ejection is
    /// over gets this request as its trial, whatever its cost.
    ///
    /// # Errors
    /// [`NoDestination`] if the lambda has no destination, none that is not in `tried`, or those that
    /// work are busy.
    pub fn pick<'a>(
        &self,
        request: impl Into<Request<'a>>,
        tried: &Tried,
        now: Nanos,
        rng: &mut dyn Rng,
    ) -> Result<Pick, NoDestination> {
        self.pick_knowing(request, tried, Answers::NONE, now, rng)
    }

    /// Chooses as [`pick`](Self::pick) does, for a request about which destinations have answered
    /// the probes of [`inquire`](Self::inquire).
    ///
    /// # Errors
    /// Those of `pick`.
    pub fn pick_knowing<'a>(
        &self,
        request: impl Into<Request<'a>>,
        tried: &Tried,
        answers: &Answers,
        now: Nanos,
        rng: &mut dyn Rng,
    ) -> Result<Pick, NoDestination> {
        let request = request.into();
        let look = self.lambdas.look_for(request.lambda);
        let known = look.get().ok_or(NoDestination::UnknownLambda)?;
        let aside = self.destinations.set_aside();
        known.pick(&request, tried, answers, aside, now, rng)
    }

    /// Gets ready for [picks](Self::pick) for all of these lambdas: if there are so many that what is
    /// known of each has to come from memory, it comes for some of them at the same time. Worth it for
    /// two requests or more that have arrived together.
    pub fn fetch<'a>(&self, lambdas: impl IntoIterator<Item = &'a str>) {
        self.lambdas.fetch(lambdas);
    }

    /// How long requests of the lambda execute on average, as destinations report it.
    #[must_use]
    pub fn service_time(&self, lambda: &str) -> Option<Nanos> {
        let look = self.lambdas.look_for(lambda);
        look.get()?.service_time()
    }

    /// Whether [`pick`](Self::pick) would not answer [`NoDestination::Saturated`] to a request that
    /// has been to those in `tried` already.
    #[must_use]
    pub fn has_room(&self, lambda: &str, tried: &Tried, now: Nanos) -> bool {
        let look = self.lambdas.look_for(lambda);
        look.get().is_none_or(|known| known.has_room(tried, now))
    }

    /// The destinations that the policy wants to be asked about this very request, all at the same
    /// time and not for long, before it is picked: collect what they say in [`Answers`] and call
    /// [`pick_knowing`](Self::pick_knowing). Empty for all policies but the estimator `probe`.
    pub fn inquire<'a>(
        &self,
        request: impl Into<Request<'a>>,
        tried: &Tried,
        now: Nanos,
        rng: &mut dyn Rng,
    ) -> Vec<Probe> {
        let request = request.into();
        let look = self.lambdas.look_for(request.lambda);
        look.get()
            .map_or_else(Vec::new, |known| known.inquire(&request, tried, now, rng))
    }

    /// What the policy thinks of every destination that the request has not been to: ask right
    /// before a [`pick`](Self::pick) to learn why it chose. None if the lambda has no destination.
    #[must_use]
    pub fn explain<'a>(
        &self,
        request: impl Into<Request<'a>>,
        tried: &Tried,
        now: Nanos,
    ) -> Option<Explanation> {
        let request = request.into();
        let look = self.lambdas.look_for(request.lambda);
        let known = look.get()?;
        Some(known.explain(&request, tried, now))
    }

    /// How busy the healthy destinations of a lambda are that report it: what a broker in front of
    /// this one wants to know.
    #[must_use]
    pub fn occupancy(&self, lambda: &str, now: Nanos) -> Occupancy {
        let look = self.lambdas.look_for(lambda);
        look.get()
            .map_or_else(Occupancy::default, |known| known.occupancy(now))
    }

    /// The destinations that the policy wants probed at the occasion of a request, after its pick.
    /// Most policies never want any.
    pub fn probes<'a>(
        &self,
        request: impl Into<Request<'a>>,
        now: Nanos,
        rng: &mut dyn Rng,
    ) -> Probes {
        let request = request.into();
        let look = self.lambdas.look_for(request.lambda);
        look.get()
            .map_or_else(Probes::new, |known| known.probes(&request, now, rng))
    }

    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self) -> Order {
        self.lock().clone()
    }
}

/// What a table held that was [cleared](ForwardingTable::clear). Dropping it takes longer the more it
/// was, so where that matters it is dropped by a thread on which nothing waits.
#[derive(Debug)]
pub struct Cleared {
    order: Order,
    _lambdas: Arc<Tree>,
}

impl Cleared {
    /// The number of routes, over all lambdas.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.routes()
    }

    /// Whether there was no route at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Cleared {
    fn drop(&mut self) {
        self.order.lambdas().for_each(|lambda| lambda.clear());
    }
}

impl fmt::Display for ForwardingTable {
    /// As [`Rows`] prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Rows(&self.page(0, usize::MAX)).fmt(f)
    }
}
