//! Who is active, and how large everybody's deficit is.

use super::turn::Turn;
use crate::Nanos;
use crate::policy::smallest::smallest;
use crate::policy::{Chosen, Scene};
use crate::route::{Route, SharedRoute};
use crate::routes::{Change, Routes};
use smallvec::SmallVec;
use std::sync::atomic::Ordering::Relaxed;

/// Good is what weighs at most so many times the smallest weight.
const GOOD: f32 = 2.0;

/// The destinations of one lambda, by name, so that of equal deficits the first one wins. What every
/// pick goes through lies side by side. A route carries its position in its scratch.
#[derive(Debug)]
pub(super) struct Rota {
    routes: Vec<SharedRoute>,
    /// Their positions among those of the lambda; of a few only.
    places: Vec<usize>,
    /// Of the active ones; infinite for the others. The smallest is taken off before anything is
    /// chosen or joins, so the one whose turn it is has none.
    deficits: Vec<f64>,
    /// What those that are not active had when they were last.
    set_aside: Vec<f64>,
    weights: Vec<f32>,
    turns: Vec<Turn>,
    smallest_weight: f32,
    /// Until then nobody's rest ends.
    resting_until: Nanos,
    /// Nobody before this position has a deficit of 0, so that in a long list with equal weights a
    /// turn does not go through all of it.
    cursor: usize,
    /// Of many, those that have been met while they were set aside. They are not active as long as they
    /// are; a few of them are looked at for each pick.
    parked: Vec<SharedRoute>,
    /// The one of them that was looked at last.
    looked_at: usize,
}

/// Whose turn it is, and where it is among the routes of the lambda if these are a few.
pub(super) struct Next<'a> {
    route: &'a SharedRoute,
    place: Option<usize>,
}

impl Next<'_> {
    pub(super) fn chosen<'s>(self, scene: &Scene<'s>) -> Chosen<'s> {
        match self.place {
            Some(place) => scene.chosen(place, self.route),
            None => Chosen::Own(SharedRoute::clone(self.route)),
        }
    }
}

/// So many of those that are parked are looked at for each pick.
const PARKED_LOOKED_AT: usize = 2;

impl Default for Rota {
    fn default() -> Self {
        Rota {
            routes: Vec::new(),
            places: Vec::new(),
            deficits: Vec::new(),
            set_aside: Vec::new(),
            weights: Vec::new(),
            turns: Vec::new(),
            smallest_weight: f32::INFINITY,
            resting_until: Nanos::MAX,
            cursor: 0,
            parked: Vec::new(),
            looked_at: 0,
        }
    }
}

impl Rota {
    /// Does what was done to `routes`. A few are kept by name; of many those that come are behind those
    /// that were there, since picks wait meanwhile.
    pub(super) fn follow(&mut self, change: &Change<'_>, routes: Routes<'_>, now: Nanos) {
        match (routes, change) {
            (Routes::Few(routes), _) => self.relist(routes, now),
            (Routes::Many(_), Change::Added(added)) => self.add(added, now),
            (Routes::Many(_), Change::Removed(_, gone) | Change::Replaced(_, gone)) => {
                self.remove(gone, now);
            }
            // Of many all other changes are these.
            (Routes::Many(_), Change::Listed(_)) => {}
        }
    }

    fn add(&mut self, added: &[SharedRoute], now: Nanos) {
        if self.first_level().is_none() {
            self.level();
        }
        self.places.clear();
        let mut by_name = added.to_vec();
        by_name.sort_unstable_by(|a, b| a.destination().name().cmp(b.destination().name()));
        let mut smallest = f32::INFINITY;
        for route in by_name {
            // They take part, since their weights were never updated.
            self.deficits.push(0.0);
            self.set_aside.push(0.0);
            self.weights.push(route.weight());
            self.turns.push(Turn::new());
            smallest = smallest.min(route.weight());
            route.scratch().store(self.routes.len() as u64, Relaxed);
            self.routes.push(route);
        }
        if smallest < self.smallest_weight {
            self.refresh(now);
        }
    }

    /// The last one takes its place.
    fn remove(&mut self, gone: &Route, now: Nanos) {
        let Some(at) = self.position(gone) else {
            return;
        };
        self.places.clear();
        self.deficits.swap_remove(at);
        self.set_aside.swap_remove(at);
        self.turns.swap_remove(at);
        let weight = self.weights.swap_remove(at);
        self.routes.swap_remove(at);
        if let Some(moved) = self.routes.get(at) {
            moved.scratch().store(at as u64, Relaxed);
        }
        self.cursor = self.cursor.min(at);
        if weight <= self.smallest_weight && !self.weights.contains(&self.smallest_weight) {
            self.refresh(now);
        }
    }

    /// Brings it in step with `routes`. Newcomers start level with the one whose turn it is.
    fn relist(&mut self, routes: &[SharedRoute], now: Nanos) {
        self.refresh(now);
        let mut places: Vec<_> = (0..routes.len()).collect();
        places.sort_unstable_by_key(|place| routes[*place].destination().name());
        let by_name = places
            .iter()
            .map(|place| SharedRoute::clone(&routes[*place]));
        let by_name: Vec<_> = by_name.collect();
        let mut before = std::mem::take(self);
        for (at, route) in by_name.iter().enumerate() {
            let known = before.position(route);
            let kept = |values: &[f64]| known.map_or(0.0, |known| values[known]);
            self.deficits.push(kept(&before.deficits));
            self.set_aside.push(kept(&before.set_aside));
            self.weights.push(route.weight());
            let turn = known.map(|known| std::mem::replace(&mut before.turns[known], Turn::new()));
            self.turns.push(turn.unwrap_or_else(Turn::new));
            route.scratch().store(at as u64, Relaxed);
        }
        self.routes = by_name;
        self.places = places;
        self.refresh(now);
    }

    /// Takes a new weight over from the route.
    pub(super) fn weight_set(&mut self, route: &Route, now: Nanos) {
        let Some(at) = self.position(route) else {
            return;
        };
        let weight = route.weight();
        let before = std::mem::replace(&mut self.weights[at], weight);
        if self.turns[at].update(now) {
            // It was charged by a guess; its real weight may be far less.
            self.level();
            self.deficits[at] = self.deficits[at].min(f64::from(weight));
            self.cursor = 0;
        }
        let may_be_another = weight < self.smallest_weight || before <= self.smallest_weight;
        if (may_be_another && self.smallest_of_all() != self.smallest_weight)
            || now >= self.resting_until
        {
            self.refresh(now);
        } else {
            let active = self.takes_part(at, now);
            if active != self.is_active(at) {
                self.level();
                self.set_active(at, active);
            }
        }
    }

    /// Ends the rests that are over.
    pub(super) fn end_rests(&mut self, now: Nanos) {
        if now >= self.resting_until {
            self.refresh(now);
        }
    }

    /// Gives the turn to the active one with the smallest deficit.
    pub(super) fn next(&mut self) -> Option<Next<'_>> {
        let at = self.first_level().or_else(|| {
            self.level();
            self.first_level()
        })?;
        self.deficits[at] += f64::from(self.weights[at]);
        self.cursor = at + 1;
        Some(self.at(at))
    }

    fn at(&self, at: usize) -> Next<'_> {
        Next {
            route: &self.routes[at],
            place: self.places.get(at).copied(),
        }
    }

    /// The first one whose deficit is 0.
    fn first_level(&self) -> Option<usize> {
        let mut rest = self.deficits[self.cursor..].iter();
        Some(self.cursor + rest.position(|deficit| *deficit == 0.0)?)
    }

    /// The same where only some are candidates. If no active one is, the good ones among the
    /// candidates stand in.
    pub(super) fn next_of(&mut self, admits: impl Fn(&Route) -> bool) -> Option<Next<'_>> {
        self.level();
        if let Some(at) = self.first_of(&self.deficits, f32::INFINITY, &admits) {
            self.deficits[at] += f64::from(self.weights[at]);
            return Some(self.at(at));
        }
        let admitted = (0..self.routes.len()).filter(|at| admits(&self.routes[*at]));
        let least = admitted
            .map(|at| self.weights[at])
            .fold(f32::INFINITY, f32::min);
        let at = self.first_of(&self.set_aside, GOOD * least, &admits)?;
        self.set_aside[at] += f64::from(self.weights[at]);
        Some(self.at(at))
    }

    /// The same of many, without a look at each: whoever is met while it is set aside is parked, and
    /// nobody that is parked is met again before it is back.
    pub(super) fn next_of_many(&mut self, scene: &Scene<'_>) -> Option<Next<'_>> {
        self.end_parking(scene);
        let mut tried = SmallVec::<[usize; 4]>::new();
        let at = loop {
            let at = if tried.is_empty() {
                self.first_level().or_else(|| {
                    self.level();
                    self.first_level()
                })
            } else {
                self.first_without(&tried)
            };
            let Some(at) = at else {
                // Only those are left that do not take part, if any.
                return self.next_of(|route| scene.admits(route));
            };
            let route = &self.routes[at];
            if scene.admits(route) {
                break at;
            }
            if scene.tried.contains(route.destination().id()) {
                tried.push(at);
            } else {
                self.set_aside[at] = std::mem::replace(&mut self.deficits[at], f64::INFINITY);
                self.parked.push(SharedRoute::clone(route));
            }
        };
        self.deficits[at] += f64::from(self.weights[at]);
        if tried.is_empty() {
            self.cursor = at + 1;
        }
        Some(self.at(at))
    }

    /// The active one with the smallest deficit that is not among these.
    fn first_without(&self, tried: &[usize]) -> Option<usize> {
        let active = (0..self.deficits.len()).filter(|at| self.is_active(*at));
        let others = active.filter(|at| !tried.contains(at));
        others.min_by(|a, b| self.deficits[*a].total_cmp(&self.deficits[*b]))
    }

    /// Whether anybody is parked.
    pub(super) fn has_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Lets some of those take part again that are back.
    fn end_parking(&mut self, scene: &Scene<'_>) {
        for _ in 0..PARKED_LOOKED_AT.min(self.parked.len()) {
            self.looked_at = (self.looked_at + 1) % self.parked.len();
            let position = self.position(&self.parked[self.looked_at]);
            // It may be gone, or take part again for another reason.
            if let Some(at) = position.filter(|at| !self.is_active(*at)) {
                if scene.healthy_only && !self.routes[at].is_open() {
                    continue;
                }
                if self.takes_part(at, scene.now) {
                    self.set_active(at, true);
                }
            }
            self.parked.swap_remove(self.looked_at);
            if self.parked.is_empty() {
                return;
            }
        }
    }

    /// The candidate with the smallest finite deficit of those whose weight is at most `good`.
    fn first_of(
        &self,
        deficits: &[f64],
        good: f32,
        admits: &impl Fn(&Route) -> bool,
    ) -> Option<usize> {
        (0..self.routes.len())
            .filter(|at| deficits[*at].is_finite() && self.weights[*at] <= good)
            .filter(|at| admits(&self.routes[*at]))
            // Of equal elements `min_by` returns the first.
            .min_by(|a, b| deficits[*a].total_cmp(&deficits[*b]))
    }

    fn position(&self, route: &Route) -> Option<usize> {
        let at = route.scratch().load(Relaxed) as usize;
        let listed = self.routes.get(at)?;
        std::ptr::eq(SharedRoute::as_ptr(listed), route).then_some(at)
    }

    /// Decides anew who is active.
    fn refresh(&mut self, now: Nanos) {
        self.level();
        // Of those that take part, all are active then; who is still set aside is met again.
        self.parked.clear();
        self.smallest_weight = self.smallest_of_all();
        self.resting_until = Nanos::MAX;
        for at in 0..self.routes.len() {
            let active = self.takes_part(at, now);
            if active != self.is_active(at) {
                self.set_active(at, active);
            }
        }
    }

    fn takes_part(&mut self, at: usize, now: Nanos) -> bool {
        let good = self.weights[at] <= GOOD * self.smallest_weight;
        let turn = &mut self.turns[at];
        let active = turn.refresh(good, now);
        if !active {
            self.resting_until = self.resting_until.min(turn.rested());
        }
        active
    }

    fn is_active(&self, at: usize) -> bool {
        self.deficits[at].is_finite()
    }

    fn set_active(&mut self, at: usize, active: bool) {
        self.cursor = 0;
        if active {
            self.deficits[at] = 0.0;
        } else {
            self.set_aside[at] = self.deficits[at];
            self.deficits[at] = f64::INFINITY;
        }
    }

    /// Takes the smallest deficit off the active ones.
    fn level(&mut self) {
        let smallest = smallest(&self.deficits);
        if smallest > 0.0 && smallest.is_finite() {
            for deficit in &mut self.deficits {
                *deficit -= smallest;
            }
            self.cursor = 0;
        }
    }

    fn smallest_of_all(&self) -> f32 {
        self.weights.iter().copied().fold(f32::INFINITY, f32::min)
    }
}
