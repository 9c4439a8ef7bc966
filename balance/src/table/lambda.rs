//! One lambda of a table: its routes as a snapshot, and the state of the policy among them.

mod owner;

use super::{Occupancy, RouteChange, TableEntry, TableError};
use crate::average::sample;
use crate::explanation::Explanation;
use crate::health::Obstacle;
use crate::lambda_state::LambdaState;
use crate::policy::{Executed, Policy, Scene, any_index};
use crate::probe::{Probe, Probes};
use crate::route::{Route, SharedRoute};
use crate::stamp::Stamp;
use crate::terms::LambdaTicket;
use crate::{
    Answers, Destinations, HedgeDelay, Nanos, NoDestination, Pick, Report, Request, Tried,
};
use arc_swap::ArcSwapAny;
use foldhash::fast::FixedState;
use rand::Rng;
use smol_str::SmolStr;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use triomphe::ThinArc;

/// Up to so many routes one is found by looking at all of them: an index would take more memory than
/// the routes.
const FOUND_WITHOUT_INDEX: usize = 128;

/// Of more routes than these only some are looked at, others each time: so many for how busy all are,
const MOST_LOOKED_AT: usize = 128;
/// and so many by each pick for one whose trial is due.
const LOOKED_AT_FOR_TRIALS: usize = 32;

/// The routes by what [`Destination::id`] says, where there are many.
type Index = HashMap<u64, SharedRoute, FixedState>;

/// The routes in the order of insertion, beside their count: one step away from the lambda.
type Routes = ThinArc<(), SharedRoute>;

/// Where there are many thousands nothing of one is in the cache when its turn comes, so what a pick
/// looks at lies together, and as little as possible elsewhere.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Lambda {
    name: SmolStr,
    routes: ArcSwapAny<Routes>,
    policy: Arc<dyn Policy>,
    broker: Arc<Destinations>,
    state: LambdaState,
    /// The same routes by destination, or nothing where they are few. Picks do not look at it.
    index: Mutex<Index>,
}

impl Lambda {
    pub(super) fn new(
        name: &str,
        policy: Arc<dyn Policy>,
        broker: Arc<Destinations>,
        now: Nanos,
    ) -> Self {
        Lambda {
            name: name.into(),
            routes: ArcSwapAny::new(all(Vec::new())),
            policy,
            broker,
            state: LambdaState::new(now),
            index: Mutex::default(),
        }
    }

    /// What all lambdas of the broker share.
    pub(crate) fn broker(&self) -> &Destinations {
        &self.broker
    }

    /// When to hedge.
    pub(crate) fn hedge_delay(&self) -> &HedgeDelay {
        self.state.hedge()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How long requests execute on average; none before the first report.
    pub(super) fn service_time(&self) -> Option<Nanos> {
        let seconds = f64::from(self.state.service());
        (seconds > 0.0).then(|| Nanos::from_secs_f64(seconds))
    }

    pub(super) fn len(&self) -> usize {
        self.routes.load().slice.len()
    }

    pub(super) fn holds(&self, destination: &str) -> bool {
        self.route_to_named(&self.index(), destination).is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets weight and finality of the routes that exist and adds the others.
    pub(super) fn change(&self, changes: &[RouteChange<'_>], now: Nanos) {
        let mut index = self.index();
        let mut added: Vec<SharedRoute> = Vec::new();
        // One may come twice in a call.
        let mut added_at = HashMap::<u64, usize, FixedState>::default();
        for change in changes {
            let destination = self.broker.intern(change.destination);
            let id = destination.id();
            let in_added = || added_at.get(&id).map(|at| added[*at].clone());
            if let Some(route) = self.route_to(&index, id).or_else(in_added) {
                route.set_weight(change.weight);
                route.set_final(change.is_final);
                self.policy.weight_set(&route, now);
                continue;
            }
            let route = Route::new(destination, change.weight, change.is_final, now);
            route.destination().serves(&self.name);
            added_at.insert(id, added.len());
            added.push(SharedRoute::new(route));
        }
        if !added.is_empty() {
            let known = self.routes.load();
            let mut more = Vec::with_capacity(known.slice.len() + added.len());
            more.extend(known.slice.iter().cloned());
            more.append(&mut added);
            self.store(more, &mut index, now);
        }
    }

    /// Applies `set`, which changes the weight, to a route that exists.
    pub(super) fn with_route(
        &self,
        destination: &str,
        now: Nanos,
        set: impl FnOnce(&Route),
    ) -> Result<(), TableError> {
        let Some(route) = self.route_to_named(&self.index(), destination) else {
            return Err(TableError::NoDestinations {
                destination: Some(destination.to_owned()),
            });
        };
        set(&route);
        self.weight_set(&route, now);
        Ok(())
    }

    /// Tells the policy of another weight.
    pub(crate) fn weight_set(&self, route: &SharedRoute, now: Nanos) {
        self.policy.weight_set(route, now);
    }

    /// Answers whether the route existed.
    pub(super) fn remove(&self, destination: &str, now: Nanos) -> bool {
        let mut index = self.index();
        let Some(removed) = self.route_to_named(&index, destination) else {
            return false;
        };
        let known = self.routes.load();
        let rest = known
            .slice
            .iter()
            .filter(|route| !SharedRoute::ptr_eq(route, &removed));
        if removed.terms().retire() {
            self.state.one_opened();
        }
        index.remove(&removed.destination().id());
        self.store(rest.cloned().collect(), &mut index, now);
        true
    }

    /// Sorted by destination.
    pub(super) fn entries(&self) -> Vec<TableEntry> {
        let snapshot = self.routes.load();
        let routes = &snapshot.slice;
        let entry = |route: &SharedRoute| TableEntry {
            lambda: self.name.to_string(),
            destination: route.destination().name().to_owned(),
            weight: route.shown_weight(),
            is_final: route.is_final(),
            owner: route.owner(),
        };
        let mut entries: Vec<_> = routes.iter().map(entry).collect();
        entries.sort_unstable_by(|a, b| a.destination.cmp(&b.destination));
        entries
    }

    /// Looks at the routes.
    pub(crate) fn with_routes<T>(&self, look: impl FnOnce(&[SharedRoute]) -> T) -> T {
        look(&self.routes.load().slice)
    }

    /// Chooses, while so many destinations of the broker are set aside.
    pub(super) fn pick(
        self: &Arc<Self>,
        request: &Request<'_>,
        tried: &Tried,
        answers: &Answers,
        aside: usize,
        now: Nanos,
        rng: &mut dyn Rng,
    ) -> Result<Pick, NoDestination> {
        let snapshot = self.routes.load();
        let routes = &snapshot.slice;
        let (mut any_healthy, mut any_busy) = (true, false);
        let aside = aside.saturating_add(self.state.closed());
        if aside > 0 {
            // Not even all of those that are set aside or were tried are so many.
            any_healthy = routes.len() > aside.saturating_add(tried.len());
            let (first, looked_at) = match routes.len() {
                many if any_healthy && many > MOST_LOOKED_AT => {
                    (any_index(many, rng), LOOKED_AT_FOR_TRIALS)
                }
                all => (0, all),
            };
            let in_turn = routes[first..].iter().chain(&routes[..first]);
            for route in in_turn
                .take(looked_at)
                .filter(|r| !tried.contains(r.destination().id()))
            {
                match route.obstacle() {
                    None => any_healthy = true,
                    Some(obstacle) => {
                        if let Some(trial) = Pick::trial(self, request, route, now) {
                            return Ok(trial);
                        }
                        any_busy |= obstacle == Obstacle::Busy;
                    }
                }
            }
        }
        let mut scene = self.scene(routes, request, tried, answers, now);
        if any_healthy {
            scene.healthy_only = aside > 0;
            if let Some(choice) = self.policy.choose(&scene, rng) {
                let spare = choice.spare.as_ref();
                if let Some(trial) =
                    spare.and_then(|spare| Pick::early_trial(self, request, spare, now))
                {
                    return Ok(trial);
                }
                return Ok(Pick::new(self, request, choice, true, now));
            }
        }
        // Those that work will have a place again soon, which is better than one that fails.
        if any_busy {
            return Err(NoDestination::Saturated);
        }
        // With none healthy, or none any more, all that were not tried will do.
        scene.healthy_only = false;
        let choice = self.policy.choose(&scene, rng).ok_or(if tried.is_empty() {
            // Its last route was removed a moment ago.
            NoDestination::UnknownLambda
        } else {
            NoDestination::AllTried
        })?;
        Ok(Pick::new(self, request, choice, false, now))
    }

    /// Whether a request that was sent to those in `tried` would be sent somewhere now, were it only
    /// to find out.
    pub(super) fn has_room(&self, tried: &Tried, now: Nanos) -> bool {
        let mut any_busy = false;
        let snapshot = self.routes.load();
        let is_new = |route: &&SharedRoute| !tried.contains(route.destination().id());
        for route in snapshot.slice.iter().filter(is_new) {
            match route.obstacle() {
                None => return true,
                Some(_) if route.is_trial_due(now) => return true,
                Some(obstacle) => any_busy |= obstacle == Obstacle::Busy,
            }
        }
        !any_busy
    }

    fn scene<'a>(
        &'a self,
        routes: &'a [SharedRoute],
        request: &'a Request<'a>,
        tried: &'a Tried,
        answers: &'a Answers,
        now: Nanos,
    ) -> Scene<'a> {
        Scene {
            routes,
            request,
            tried,
            answers,
            healthy_only: false,
            lambda: &self.state,
            broker: &self.broker,
            now,
        }
    }

    /// Requests at all destinations that report, and their workers. Of many it is estimated from
    /// some, evenly spread, and others each time.
    pub(super) fn occupancy(&self, now: Nanos) -> Occupancy {
        let snapshot = self.routes.load();
        let routes = &snapshot.slice;
        let seen = Lambda::occupancy_of(some_of(routes, now), now);
        let apart = u32::try_from(apart(routes)).unwrap_or(u32::MAX);
        let times = |count: u32| count.saturating_mul(apart);
        Occupancy {
            in_flight: times(seen.in_flight),
            workers: times(seen.workers),
        }
    }

    fn occupancy_of<'a>(routes: impl Iterator<Item = &'a SharedRoute>, now: Nanos) -> Occupancy {
        let now = Stamp::at(now);
        let mut total = Occupancy::default();
        for route in routes {
            let destination = route.destination();
            let load = destination.load();
            if load.reports() && destination.health().is_healthy() {
                let others = load.others(load.service(), now) as u32;
                let there = destination.in_flight().saturating_add(others);
                total.in_flight = total.in_flight.saturating_add(there);
                total.workers = total.workers.saturating_add(load.workers() as u32);
            }
        }
        total
    }

    /// What the policy thinks of every destination that this request has not been to.
    pub(super) fn explain(&self, request: &Request<'_>, tried: &Tried, now: Nanos) -> Explanation {
        let snapshot = self.routes.load();
        let all = &snapshot.slice;
        let some: Vec<SharedRoute>;
        let routes = if all.len() <= MOST_LOOKED_AT {
            all
        } else {
            some = some_of(all, now).cloned().collect();
            &some
        };
        let scene = self.scene(routes, request, tried, Answers::NONE, now);
        let costs = self.policy.costs(&scene);
        let total = match costs.len() {
            few if routes.len() == all.len() => few,
            _ => all.len().saturating_sub(tried.len()),
        };
        Explanation::new(costs, total, now)
    }

    /// The destinations that want to be probed at the occasion of `request`. Those that are set aside
    /// are left alone: what brings them back is a trial, which an answer to a probe cannot replace.
    pub(super) fn probes(
        self: &Arc<Self>,
        request: &Request<'_>,
        now: Nanos,
        rng: &mut dyn Rng,
    ) -> Probes {
        let snapshot = self.routes.load();
        let routes = &snapshot.slice;
        let tried = Tried::new();
        let mut scene = self.scene(routes, request, &tried, Answers::NONE, now);
        scene.healthy_only = true;
        let mut probes = Probes::new();
        self.policy.probes(&scene, rng, &mut |route| {
            probes.push(Probe::new(Arc::clone(self), SharedRoute::clone(route), now));
        });
        probes
    }

    /// The destinations to ask before `request` is picked; the ejected are left alone.
    pub(super) fn inquire(
        self: &Arc<Self>,
        request: &Request<'_>,
        tried: &Tried,
        now: Nanos,
        rng: &mut dyn Rng,
    ) -> Vec<Probe> {
        let snapshot = self.routes.load();
        let routes = &snapshot.slice;
        let mut scene = self.scene(routes, request, tried, Answers::NONE, now);
        scene.healthy_only = true;
        let wanted = self.policy.inquire(&scene, rng);
        let probe = |route| Probe::new(Arc::clone(self), route, now);
        wanted.into_iter().map(probe).collect()
    }

    /// Takes what a successful answer teaches; preparations are in its latency yet.
    pub(crate) fn learn(&self, route: &Route, executed: &Executed<'_>) {
        let Executed {
            company,
            latency,
            report,
            now,
            ..
        } = *executed;
        // Where every start is cold, that is what requests take there.
        let was_cold = route.pair().now_cold(report.cold_start.is_some());
        let preparations = report.cold_start.filter(|_| !was_cold);
        let warm = latency.since(preparations.unwrap_or_default());
        let destination = route.destination();
        destination.load().answered(latency, report, now);
        self.broker.record(report);
        if let Some(weight) = self.policy.sample_weight() {
            self.state.record(warm, report.service);
            let service = report.service.map(sample);
            route.pair().record(
                sample(warm),
                service,
                company as f32,
                weight,
                Stamp::at(now),
            );
        }
        if let (Some(limit), Some(service)) = (destination.adaptive_limit(), report.service) {
            let network = Nanos::from_secs_f64(f64::from(destination.load().network()));
            limit.answered(executed.company, warm, network + service, now);
        }
        self.policy.learnt(
            route,
            &Executed {
                latency: warm,
                ..*executed
            },
        );
    }

    /// Takes note that the destination has too much of this lambda to do. Where it is known for no
    /// other, it has too much to do altogether.
    pub(crate) fn pushed_back(
        &self,
        route: &Route,
        ticket: LambdaTicket,
        push_back: Option<Nanos>,
        now: Nanos,
    ) {
        if route.terms().close(ticket, push_back, now) {
            self.state.one_closed();
        }
        let destination = route.destination();
        if let Some(limit) = destination.adaptive_limit()
            && destination.serves_only(&self.name)
        {
            limit.overloaded(now);
        }
    }

    /// Takes note that the destination answered, whatever it was.
    #[inline]
    pub(crate) fn answered(&self, route: &Route, ticket: LambdaTicket) {
        if route.terms().open(ticket) {
            self.state.one_opened();
        }
    }

    /// Tells the policy of a failure.
    pub(crate) fn failed(&self, route: &Route, now: Nanos) {
        self.policy.failed(route, now);
    }

    /// Takes the answer to a probe.
    pub(crate) fn probed(
        &self,
        route: &SharedRoute,
        latency: Nanos,
        estimate: Option<Nanos>,
        report: &Report,
        now: Nanos,
    ) {
        let report = report.credible(latency);
        let destination = route.destination();
        destination
            .load()
            .heard(&report, destination.in_flight(), now);
        self.policy.probed(route, latency, estimate, &report, now);
    }

    /// Tells the policy of a probe that was lost.
    pub(crate) fn unanswered(&self, route: &SharedRoute, asked: Nanos) {
        self.policy.unanswered(route, asked);
    }

    fn store(&self, routes: Vec<SharedRoute>, index: &mut Index, now: Nanos) {
        self.policy.routes_changed(&routes, now);
        if routes.len() <= FOUND_WITHOUT_INDEX {
            *index = Index::default();
        } else {
            // Those that the index holds already come first.
            let new = routes.iter().rev().take(routes.len() - index.len());
            index.extend(new.map(|route| (route.destination().id(), SharedRoute::clone(route))));
        }
        self.routes.store(all(routes));
    }

    /// The route to the destination of that name.
    fn route_to_named(&self, index: &Index, destination: &str) -> Option<SharedRoute> {
        self.route_to(index, self.broker.find(destination)?.id())
    }

    /// The route to the destination with that id.
    fn route_to(&self, index: &Index, id: u64) -> Option<SharedRoute> {
        if !index.is_empty() {
            return index.get(&id).cloned();
        }
        let snapshot = self.routes.load();
        let routes = &snapshot.slice;
        let is_it = |route: &&SharedRoute| route.destination().id() == id;
        routes.iter().find(is_it).cloned()
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From one of those that are looked at to the next, where it is about all.
fn apart(routes: &[SharedRoute]) -> usize {
    routes.len().div_ceil(MOST_LOOKED_AT).max(1)
}

/// At most [`MOST_LOOKED_AT`] of them, evenly spread, others each time.
fn some_of(routes: &[SharedRoute], now: Nanos) -> impl Iterator<Item = &SharedRoute> {
    let apart = apart(routes);
    let first = (now.0 % apart as u64) as usize;
    routes.iter().skip(first).step_by(apart)
}

fn all(routes: Vec<SharedRoute>) -> Routes {
    ThinArc::from_header_and_iter((), routes.into_iter())
}
