//! What a pick looks at while destinations are set aside: trials that are due, and whether any other is
//! open or at least works.

use super::Lambda;
use crate::health::Obstacle;
use crate::policy::any_index;
use crate::route::SharedRoute;
use crate::routes::{Many, Routes};
use crate::sent::{Counting, Sent};
use crate::{Nanos, Request, Tried};
use rand::Rng;

/// Of many routes each pick looks at so many for one whose trial is due.
const LOOKED_AT_FOR_TRIALS: usize = 32;
/// The same where none is open.
const LOOKED_AT_FOR_ANY: usize = 256;

/// What there is among the routes of a lambda that a request has not been to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) any_open: bool,
    /// Works, but has no place now.
    pub(super) any_busy: bool,
}

impl Seen {
    pub(super) const ALL_OPEN: Self = Seen {
        any_open: true,
        any_busy: false,
    };
}

impl Lambda {
    /// A trial that is due, or else what there is, while so many may be set aside.
    #[cold]
    pub(super) fn look_around<'a, C: Counting>(
        &self,
        routes: Routes<'a>,
        request: &Request<'_>,
        tried: &Tried,
        aside: usize,
        now: Nanos,
        rng: &mut dyn Rng,
    ) -> Result<(&'a SharedRoute, Sent), Seen> {
        // Not even all of those that are set aside or were tried are so many.
        let mut any_open = routes.len() > aside.saturating_add(tried.len());
        let mut any_busy = false;
        let (first, looked_at) = match routes {
            Routes::Few(few) => (0, few.len()),
            Routes::Many(many) => {
                any_open = any_open || self.is_any_open(many, tried, rng);
                any_busy = !any_open && self.is_any_busy(many, tried, rng);
                let looked_at = if any_open {
                    LOOKED_AT_FOR_TRIALS
                } else {
                    LOOKED_AT_FOR_ANY
                };
                (any_index(many.len(), rng), looked_at)
            }
        };
        // Where some are open anyhow, a look at the last of those that are not tells all.
        let mut left = if any_open { aside } else { usize::MAX };
        let found = routes.find_map((first, looked_at), |_, route| {
            let is_new = !tried.contains(route.destination().id());
            // Most are open, which takes less to see than what keeps a request from the others.
            if route.is_open() {
                any_open |= is_new;
                return None;
            }
            left = left.saturating_sub(1);
            let mut trial = None;
            match route.obstacle() {
                Some(obstacle) if is_new => {
                    trial = Sent::trial::<C>(request, route, now);
                    any_busy |= trial.is_none() && obstacle == Obstacle::Busy;
                }
                // It has become open this moment.
                None => any_open |= is_new,
                Some(_) => {}
            }
            let trial = trial.map(|trial| (route, trial));
            (trial.is_some() || left == 0).then_some(trial)
        });
        let trial = found.flatten();
        trial.ok_or(Seen { any_open, any_busy })
    }

    /// Whether one of many is open. Most of the time it is one of the last two winners, so that nobody has
    /// to be looked for.
    fn is_any_open(&self, many: &Many, tried: &Tried, rng: &mut dyn Rng) -> bool {
        let is_new = |route: &SharedRoute| !tried.contains(route.destination().id());
        let is_open = |at: usize| at < many.len() && is_new(many.at(at)) && many.at(at).is_open();
        if self.state.winners().into_iter().any(is_open) {
            return true;
        }
        let found = many.find_open(&self.broker, rng.next_u32(), is_new);
        found.inspect(|at| self.state.won(*at)).is_some()
    }

    /// Whether one of many, none of which is open, works.
    fn is_any_busy(&self, many: &Many, tried: &Tried, rng: &mut dyn Rng) -> bool {
        let is_new = |route: &SharedRoute| !tried.contains(route.destination().id());
        many.is_any_busy(&self.broker, rng.next_u32(), is_new)
    }

    /// Whether a request that was sent to those in `tried` would be sent somewhere now, were it only
    /// to find out. Of many, some are looked at for such a trial, others each time.
    pub(in crate::table) fn has_room(&self, tried: &Tried, now: Nanos) -> bool {
        let mut any_busy = false;
        let snapshot = self.routes.load();
        let is_new = |route: &SharedRoute| !tried.contains(route.destination().id());
        let routes = Routes::of(&snapshot);
        let mut first = 0;
        if let Routes::Many(many) = routes {
            // Anywhere, which the hash of a moment is.
            let start = (now.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32;
            first = (start as usize) % many.len();
            if many.find_open(&self.broker, start, is_new).is_some() {
                return true;
            }
            any_busy = many.is_any_busy(&self.broker, start, is_new);
        }
        let room = routes.find_map((first, LOOKED_AT_FOR_ANY), |_, route| {
            if !is_new(route) {
                return None;
            }
            let obstacle = route.obstacle().filter(|_| !route.is_trial_due(now));
            any_busy |= obstacle == Some(Obstacle::Busy);
            obstacle.is_none().then_some(())
        });
        room.is_some() || !any_busy
    }
}
