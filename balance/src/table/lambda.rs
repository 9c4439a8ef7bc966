//! One lambda of a table: its routes as a snapshot, and the state of the policy among them.

mod aside;
mod changes;
mod index;
mod owner;

use super::{Occupancy, TableEntry};
use crate::average::sample;
use crate::explanation::Explanation;
use crate::lambda_state::LambdaState;
use crate::policy::{Choice, Chosen, Executed, Policy, Scene, Wanted};
use crate::probe::{Probe, Probes};
use crate::route::{Route, SharedRoute};
use crate::routes::{Routes, Snapshot, snapshot};
use crate::sent::{Counting, Sent, Threads};
use crate::sorted::Sorted;
use crate::stamp::Stamp;
use crate::terms::LambdaTicket;
use crate::{Answers, Destinations, Hedging, Nanos, NoDestination, Pick, Report, Request, Tried};
use arc_swap::ArcSwapAny;
use aside::Seen;
use index::Index;
pub(super) use index::Named;
use rand::Rng;
use smol_str::SmolStr;
use std::array;
use std::hint::black_box;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many routes of a lambda are [fetched](Lambda::fetch), as if it had a few.
const FETCHED: usize = 4;
/// Of so many lambdas at the same time. Eight looks at snapshots cost a thread little, one of which is at
/// the table.
const AT_A_TIME: usize = 7;

/// Where there are many thousands nothing of one is in the cache when its turn comes, so what a pick
/// looks at lies together, and as little as possible elsewhere: with its counts, it fills two cache
/// lines. What requests change, the counts included, is in the first one, so that cores that pick for
/// the same lambda keep the second.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Lambda {
    state: LambdaState,
    broker: Arc<Destinations>,
    name: SmolStr,
    routes: ArcSwapAny<Snapshot>,
    policy: Arc<dyn Policy>,
    /// Whoever adds or removes routes keeps the lock meanwhile. Picks do not look at it.
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
            routes: ArcSwapAny::new(snapshot(Vec::new())),
            policy,
            broker,
            state: LambdaState::new(now),
            index: Mutex::default(),
        }
    }

    /// The latest routes.
    pub(super) fn routes(&self) -> &ArcSwapAny<Snapshot> {
        &self.routes
    }

    /// What all lambdas of the broker share.
    pub(crate) fn broker(&self) -> &Destinations {
        &self.broker
    }

    /// When to send copies.
    pub(crate) fn hedging(&self) -> &Hedging {
        self.state.hedging()
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
        Routes::of(&self.routes.load()).len()
    }

    pub(super) fn holds(&self, destination: &str) -> bool {
        self.route_to(&self.index(), destination).is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells the policy of another weight.
    pub(crate) fn weight_set(&self, route: &SharedRoute, now: Nanos) {
        self.policy.weight_set(route, now);
    }

    /// As the table shows it.
    pub(super) fn entry(&self, route: &Route) -> TableEntry {
        TableEntry {
            lambda: self.name.to_string(),
            destination: route.destination().name().to_owned(),
            weight: route.shown_weight(),
            is_final: route.is_final(),
            owner: route.owner(),
        }
    }

    /// All routes by the names of their destinations, if they are many.
    pub(super) fn by_name(&self) -> Option<Sorted<Named>> {
        self.index().by_name()
    }

    /// The same if they are few.
    pub(super) fn few_by_name(&self) -> Vec<SharedRoute> {
        let mut few: Vec<_> = Routes::of(&self.routes.load()).iter().cloned().collect();
        few.sort_unstable_by(|a, b| a.destination().name().cmp(b.destination().name()));
        few
    }

    /// Looks at both lines of it, and does not wait for them.
    #[inline]
    pub(super) fn fetch(&self) {
        black_box(self.state.closed());
        black_box(Arc::as_ptr(&self.policy));
    }

    /// Looks at the routes that picks from each of these look at: at one thing of some of them before the next.
    pub(super) fn fetch_routes(lambdas: &[Option<&Arc<Self>>]) {
        for some in lambdas.chunks(AT_A_TIME) {
            let routes_of = |nth: usize| some.get(nth)?.map(|lambda| lambda.routes.load());
            let routes: [_; AT_A_TIME] = array::from_fn(routes_of);
            for routes in routes.iter().flatten() {
                if let Routes::Few(few) = Routes::of(routes) {
                    for route in few.iter().take(FETCHED) {
                        black_box(route.weight());
                    }
                }
            }
        }
    }

    /// Looks at the routes.
    pub(crate) fn with_routes<T>(&self, look: impl FnOnce(Routes<'_>) -> T) -> T {
        look(Routes::of(&self.routes.load()))
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
        let keep = |chosen: Chosen<'_>, sent| Pick::new(self, chosen.into_owned(), sent);
        self.pick_among::<Threads, _>(&snapshot, request, tried, answers, aside, now, rng, keep)
    }

    /// The same among these routes, which may have been those of the lambda a moment ago; `keep` makes
    /// something of what was chosen right where it is: copying in large pieces what has just been written
    /// in small ones takes long.
    #[expect(clippy::too_many_arguments, reason = "each is something else")]
    #[inline(always)]
    pub(super) fn pick_among<'a, C: Counting, T>(
        &'a self,
        snapshot: &'a Snapshot,
        request: &'a Request<'_>,
        tried: &'a Tried,
        answers: &'a Answers,
        aside: usize,
        now: Nanos,
        rng: &mut dyn Rng,
        keep: impl FnOnce(Chosen<'a>, Sent) -> T,
    ) -> Result<T, NoDestination> {
        let routes = Routes::of(snapshot);
        let aside = aside.saturating_add(self.state.closed());
        let mut seen = Seen::ALL_OPEN;
        if aside > 0 {
            match self.look_around::<C>(routes, request, tried, aside, now, rng) {
                Ok((route, trial)) => return Ok(keep(Chosen::Lent(route), trial)),
                Err(others) => seen = others,
            }
        }
        let mut scene = self.scene(routes, request, tried, answers, now);
        if seen.any_open {
            scene.healthy_only = aside > 0;
            let mut choice = self.policy.choose(&scene, rng);
            if let Some(known) = &mut choice {
                if let Some(spare) = known.spare
                    && let Some(trial) = Sent::early_trial::<C>(request, spare, now)
                {
                    return Ok(keep(Chosen::Lent(spare), trial));
                }
                let sent = Sent::of::<C>(known, request, true, now);
                if let Some(Choice { route, .. }) = choice {
                    return Ok(keep(route, sent));
                }
            }
        }
        // Those that work will have a place again soon, which is better than one that fails.
        if seen.any_busy {
            return Err(NoDestination::Saturated);
        }
        // With none healthy, or none any more, all that were not tried will do.
        scene.healthy_only = false;
        let mut choice = self.policy.choose(&scene, rng).ok_or(if tried.is_empty() {
            // Its last route was removed a moment ago.
            NoDestination::UnknownLambda
        } else {
            NoDestination::AllTried
        })?;
        let sent = Sent::of::<C>(&mut choice, request, false, now);
        Ok(keep(choice.route, sent))
    }

    fn scene<'a>(
        &'a self,
        routes: Routes<'a>,
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
        let routes = Routes::of(&snapshot);
        let seen = Lambda::occupancy_of(routes.some(now.0), now);
        let apart = u32::try_from(routes.apart()).unwrap_or(u32::MAX);
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
        let all = Routes::of(&snapshot);
        let some: Vec<_> = all.some(now.0).cloned().collect();
        let routes = Routes::Few(&some);
        let scene = self.scene(routes, request, tried, Answers::NONE, now);
        let costs = self.policy.costs(&scene);
        let total = match costs.len() {
            few if some.len() == all.len() => few,
            _ => all.len().saturating_sub(tried.len()),
        };
        Explanation::new(costs, total, now)
    }

    /// The destinations that want to be probed at the occasion of `request`. Those that are set aside
    /// are left alone: what brings them back is a trial, which an answer to a probe cannot replace.
    pub(crate) fn probes(
        self: &Arc<Self>,
        request: &Request<'_>,
        now: Nanos,
        rng: &mut dyn Rng,
    ) -> Probes {
        let mut probes = Probes::new();
        let due = self.probes_due(now, rng);
        if due > 0 {
            let snapshot = self.routes.load();
            self.probes_among(&snapshot, due, request, now, rng, &mut |route| {
                probes.push(Probe::new(Arc::clone(self), SharedRoute::clone(route), now));
            });
        }
        probes
    }

    /// How many destinations want to be probed.
    #[inline]
    pub(super) fn probes_due(&self, now: Nanos, rng: &mut dyn Rng) -> usize {
        self.policy.probes_due(&self.state, now, rng)
    }

    /// Calls `ask` for so many among these routes, as far as there are candidates.
    #[inline(always)]
    pub(super) fn probes_among(
        &self,
        snapshot: &Snapshot,
        due: usize,
        request: &Request<'_>,
        now: Nanos,
        rng: &mut dyn Rng,
        ask: &mut dyn FnMut(&SharedRoute),
    ) {
        let tried = Tried::new();
        let routes = Routes::of(snapshot);
        let mut scene = self.scene(routes, request, &tried, Answers::NONE, now);
        scene.healthy_only = true;
        self.policy.probes(&scene, due, rng, ask);
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
        let routes = Routes::of(&snapshot);
        let mut scene = self.scene(routes, request, tried, Answers::NONE, now);
        scene.healthy_only = true;
        let wanted = self.policy.inquire(&scene, rng);
        let probe = |route| Probe::new(Arc::clone(self), route, now);
        wanted.into_iter().map(probe).collect()
    }

    /// Takes what a successful answer teaches, as far as it is wanted; preparations are in its latency yet.
    #[inline]
    pub(crate) fn learn(&self, route: &Route, executed: &Executed<'_>, wanted: Wanted) {
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
        let weight = if wanted == Wanted::NOTHING {
            None
        } else {
            self.policy.sample_weight()
        };
        if wanted.load {
            // Who looks at weights only has no use for predictions, and need not pay for them.
            let speeds = weight.map(|_| self.broker.speeds());
            destination.load().answered(latency, report, speeds, now);
            self.broker.record(report);
        } else {
            destination.load().executed();
        }
        if let Some(weight) = weight {
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
            self.opened(route);
        }
    }

    #[cold]
    fn opened(&self, route: &Route) {
        self.state.one_opened();
        self.broker.openings().add(route.destination().id());
    }

    /// Tells the policy of a failure.
    pub(crate) fn failed(&self, route: &Route, now: Nanos) {
        self.policy.failed(route, now);
    }

    /// Takes the answer to a probe.
    #[inline(always)]
    pub(crate) fn probed(
        &self,
        route: Chosen<'_>,
        latency: Nanos,
        estimate: Option<Nanos>,
        report: &Report,
        now: Nanos,
        wanted: Wanted,
    ) {
        let report = report.credible(latency);
        if wanted.load {
            let destination = route.route().destination();
            destination
                .load()
                .heard(&report, destination.in_flight(), now);
        }
        self.policy.probed(route, latency, estimate, &report, now);
    }

    /// Tells the policy of a probe that was lost.
    pub(crate) fn unanswered(&self, route: &SharedRoute, asked: Nanos) {
        self.policy.unanswered(route, asked);
    }

    /// The route to the destination of that name, and its position.
    fn route_to(&self, index: &Index, destination: &str) -> Option<(SharedRoute, usize)> {
        let destination = self.broker.find(destination)?;
        index.find(Routes::of(&self.routes.load()), &destination)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn a_lambda_and_its_counts_fill_two_cache_lines_of_which_requests_change_one() {
        let counts = 2 * size_of::<usize>();
        assert_eq!(counts + size_of::<Lambda>(), 128);
        assert_eq!(counts + offset_of!(Lambda, name), 64);
    }
}
