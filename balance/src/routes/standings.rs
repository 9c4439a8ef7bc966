//! Which of many routes are open and which are busy, for picks to which luck shows none that will do.
//!
//! All are looked at once; after that, only those that have changed. A list may hold some that have become
//! worse, which is found out when they are looked at; it lacks none, since [`Openings`] tells of all that
//! have become better.

use super::Many;
use crate::Destinations;
use crate::health::Obstacle;
use crate::openings::Openings;
use crate::route::SharedRoute;
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// So many of a list are looked at before those that have become worse are taken off it.
const LOOKS: usize = 32;

const OPEN: u8 = 1;
const BUSY: u8 = 2;

/// What was found, and when. Empty at first.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    /// Openings that are known; none before the first look.
    known: Option<u64>,
    /// Positions by the numbers of destinations.
    places: HashMap<u64, u32, FixedState>,
    /// On which lists a position is.
    listed: Vec<u8>,
    open: Vec<u32>,
    busy: Vec<u32>,
}

impl Standings {
    /// Takes note of what has become better.
    fn refresh(&mut self, many: &Many, openings: &Openings) {
        let count = openings.count();
        if self.known == Some(count) {
            return;
        }
        match self.known.and_then(|known| openings.since(known)) {
            Some((ids, now)) => {
                for id in ids {
                    if let Some(at) = self.places.get(&id) {
                        self.list(*at, many);
                    }
                }
                self.known = Some(now);
            }
            None => self.look_at_all(many, count),
        }
    }

    #[cold]
    fn look_at_all(&mut self, many: &Many, count: u64) {
        self.known = Some(count);
        self.listed.clear();
        self.listed.resize(many.len(), 0);
        self.open.clear();
        self.busy.clear();
        let positions = 0..many.len() as u32;
        if self.places.is_empty() {
            let id = |at: u32| many.at(at as usize).destination().id();
            self.places = positions.clone().map(|at| (id(at), at)).collect();
        }
        positions.for_each(|at| self.list(at, many));
    }

    /// Puts a position on the list on which it belongs, if it is not there.
    fn list(&mut self, at: u32, many: &Many) {
        let (list, flag) = match many.at(at as usize).obstacle() {
            None => (&mut self.open, OPEN),
            Some(Obstacle::Busy) => (&mut self.busy, BUSY),
            Some(Obstacle::Failing) => return,
        };
        let listed = &mut self.listed[at as usize];
        if *listed & flag == 0 {
            *listed |= flag;
            list.push(at);
        }
    }

    /// Takes those off a list that do not belong there any more; the busy ones change over.
    fn sift(&mut self, flag: u8, many: &Many) {
        let list = match flag {
            OPEN => &mut self.open,
            _ => &mut self.busy,
        };
        for at in std::mem::take(list) {
            self.listed[at as usize] &= !flag;
            self.list(at, many);
        }
    }

    /// One of those with that obstacle, which is none or busy, that suits; a few that are not so any more
    /// are looked at in vain.
    fn find(
        &self,
        obstacle: Option<Obstacle>,
        start: u32,
        many: &Many,
        suits: impl Fn(&SharedRoute) -> bool,
        looks: usize,
    ) -> Option<usize> {
        let list = match obstacle {
            None => &self.open,
            Some(_) => &self.busy,
        };
        let first = ((u64::from(start) * list.len() as u64) >> 32) as usize;
        let (before, after) = list.split_at(first);
        let mut in_turn = after.iter().chain(before).map(|at| *at as usize);
        in_turn.by_ref().take(looks).find(|at| {
            let route = many.at(*at);
            route.obstacle() == obstacle && suits(route)
        })
    }
}

impl Many {
    /// One that is open and suits, in turn from one that the 32 bits of `start` stand for.
    #[cold]
    pub(crate) fn find_open(
        &self,
        broker: &Destinations,
        start: u32,
        suits: impl Fn(&SharedRoute) -> bool,
    ) -> Option<usize> {
        let mut standings = self.standings();
        standings.refresh(self, broker.openings());
        let found = standings.find(None, start, self, &suits, LOOKS);
        found.or_else(|| {
            standings.sift(OPEN, self);
            standings.find(None, start, self, suits, usize::MAX)
        })
    }

    /// Whether there is one that works, but has no place now, and suits.
    #[cold]
    pub(crate) fn is_any_busy(
        &self,
        broker: &Destinations,
        start: u32,
        suits: impl Fn(&SharedRoute) -> bool,
    ) -> bool {
        let busy = Some(Obstacle::Busy);
        let mut standings = self.standings();
        standings.refresh(self, broker.openings());
        if standings.find(busy, start, self, &suits, LOOKS).is_some() {
            return true;
        }
        standings.sift(OPEN, self);
        standings.sift(BUSY, self);
        standings
            .find(busy, start, self, suits, usize::MAX)
            .is_some()
    }

    /// The positions of all that are open.
    #[cold]
    pub(crate) fn all_open(&self, broker: &Destinations) -> Vec<u32> {
        let mut standings = self.standings();
        standings.refresh(self, broker.openings());
        standings.sift(OPEN, self);
        standings.open.clone()
    }
}
