//! Taking turns: start-time fair queueing among members of equal weight.

use std::collections::{BTreeMap, BTreeSet};

/// Virtual time that a turn takes.
const TURN: u64 = 1 << 20;
/// As many that wait no more are remembered, or as many as wait.
const REMEMBERED: usize = 16;

/// Start-time fair queueing (Goyal, Vin and Cheng 1996) among members of which each may want several
/// turns.
///
/// A turn starts, in virtual time, when the last one of that member is finished, and at the earliest
/// when it is asked for; who starts earliest is next, at a tie who waits longer. Virtual time is at
/// least the start of the last turn taken. It also moves on by one turn per member in the time that
/// all of them get one, as that of fair queueing does (Demers, Keshav and Shenker 1989): otherwise
/// newcomers that come once and never again would start before everybody who had a turn already, as
/// long as there are any.
///
/// A member that wants no more turns is remembered until virtual time has reached the finish of its
/// last one, for it must not start afresh before. When too many are to be remembered virtual time
/// moves on to the earliest finish: then newcomers go by the order of arrival. So memory is bounded
/// by those who wait, and nobody waits for more than twice as many turns as there are members.
#[derive(Debug, Default)]
pub(super) struct Turns {
    virtual_time: u64,
    members: BTreeMap<u64, Member>,
    /// Start of the next turn, order, member: of those who wait.
    first: BTreeSet<(u64, u64, u64)>,
    /// Finish of the last turn, order, member: of those who wait.
    last: BTreeSet<(u64, u64, u64)>,
    /// Finish, member: of those who wait no more.
    idle: BTreeSet<(u64, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    /// Of its last turn.
    finish: u64,
    waiting: u64,
    /// Decides ties: grows with the time at which it began to wait.
    order: u64,
}

/// The start of a turn and what decides ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Start(u64, u64);

impl Member {
    fn start(self) -> u64 {
        self.finish - self.waiting * TURN
    }

    /// Its turns that start before that.
    fn turns_before(self, start: Start) -> u64 {
        let Some(ahead) = start.0.checked_sub(self.start()) else {
            return 0;
        };
        let tie = ahead.is_multiple_of(TURN) && self.order >= start.1;
        (ahead.div_ceil(TURN) + u64::from(ahead.is_multiple_of(TURN)) - u64::from(tie))
            .min(self.waiting)
    }
}

impl Turns {
    /// Wants one more turn; `order` is larger than any before.
    pub(super) fn join(&mut self, id: u64, order: u64) {
        let newcomer = Member {
            finish: self.virtual_time,
            waiting: 0,
            order,
        };
        let member = self.members.entry(id).or_insert(newcomer);
        if member.waiting == 0 {
            self.idle.remove(&(member.finish, id));
            member.finish = member.finish.max(self.virtual_time);
            member.order = order;
            self.first.insert((member.finish, order, id));
        }
        self.last.remove(&(member.finish, member.order, id));
        member.finish += TURN;
        member.waiting += 1;
        self.last.insert((member.finish, member.order, id));
    }

    /// Takes a turn.
    pub(super) fn serve(&mut self, id: u64) {
        let active = self.members.len().max(1) as u64;
        if let Some(start) = self.take(id, 0) {
            self.virtual_time = start.max(self.virtual_time + TURN / active);
        }
        self.forget();
    }

    /// Gives up its last turn.
    pub(super) fn leave(&mut self, id: u64) {
        self.take(id, TURN);
        self.forget();
    }

    /// Takes one turn from those that are waited for, with the finish earlier by `refund`; returns
    /// the start of what was the next turn.
    fn take(&mut self, id: u64, refund: u64) -> Option<u64> {
        let member = self
            .members
            .get_mut(&id)
            .filter(|member| member.waiting > 0)?;
        let start = member.start();
        self.first.remove(&(start, member.order, id));
        self.last.remove(&(member.finish, member.order, id));
        member.waiting -= 1;
        member.finish -= refund;
        if member.waiting > 0 {
            self.first.insert((member.start(), member.order, id));
            self.last.insert((member.finish, member.order, id));
        } else {
            self.idle.insert((member.finish, id));
        }
        Some(start)
    }

    fn forget(&mut self) {
        let bound = self.first.len().max(REMEMBERED);
        while let Some(&(finish, id)) = self.idle.first() {
            if finish > self.virtual_time && self.idle.len() <= bound {
                return;
            }
            self.virtual_time = self.virtual_time.max(finish);
            self.idle.pop_first();
            self.members.remove(&id);
        }
    }

    /// Those who wait, the next first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = u64> {
        self.first.iter().map(|(_, _, id)| *id)
    }

    /// Whose last turn is the last of all.
    pub(super) fn hindmost(&self) -> Option<u64> {
        self.last.last().map(|(_, _, id)| *id)
    }

    /// Turns that `id` waits for.
    pub(super) fn waiting(&self, id: u64) -> u64 {
        self.members.get(&id).map_or(0, |member| member.waiting)
    }

    /// Turns of everybody that come before the last one of `id`; counted no further than `enough`.
    pub(super) fn before_last(&self, id: u64, enough: f64) -> u64 {
        let Some(own) = self.members.get(&id) else {
            return 0;
        };
        let last = Start(own.finish.saturating_sub(TURN), own.order);
        let mut before = 0;
        for other in self.in_order() {
            before += self.turns_before(other, last);
            if before as f64 > enough {
                break;
            }
        }
        before
    }

    /// When turn `nth` of those that `id` waits for starts, from 0.
    pub(super) fn start(&self, id: u64, nth: u64) -> Start {
        match self.members.get(&id) {
            Some(member) => Start(member.start() + nth * TURN, member.order),
            None => Start(self.virtual_time, u64::MAX),
        }
    }

    /// Turns of `id` that start before that.
    pub(super) fn turns_before(&self, id: u64, start: Start) -> u64 {
        let member = self.members.get(&id);
        member.map_or(0, |member| member.turns_before(start))
    }

    /// Members that are kept in mind, whether they wait or not.
    #[cfg(test)]
    fn remembered(&self) -> usize {
        self.members.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(turns: &mut Turns) -> Option<u64> {
        let next = turns.in_order().next()?;
        turns.serve(next);
        Some(next)
    }

    #[test]
    fn members_take_turns_however_many_each_wants() {
        let mut turns = Turns::default();
        for (order, id) in [1, 1, 1, 1, 2, 2, 3].into_iter().enumerate() {
            turns.join(id, order as u64);
        }
        let order: Vec<_> = std::iter::from_fn(|| next(&mut turns)).collect();
        assert_eq!(order, [1, 2, 3, 1, 2, 1, 1]);
    }

    #[test]
    fn who_comes_once_and_never_again_does_not_starve_who_stays() {
        let mut turns = Turns::default();
        for order in 0..1000 {
            turns.join(0, order);
        }
        let mut of_the_first = 0;
        for newcomer in 1..10_000 {
            turns.join(newcomer, 1000 + newcomer);
            turns.join(newcomer + 100_000, 20_000 + newcomer);
            let served = next(&mut turns).unwrap();
            of_the_first += u32::from(served == 0);
            // The line stays at some thirty.
            while turns.first.len() > 30 {
                let hindmost = turns.in_order().filter(|id| *id != 0).last().unwrap();
                turns.leave(hindmost);
            }
            assert!(turns.remembered() < 100, "{}", turns.remembered());
        }
        // In each round of thirty it has a turn, or somewhat more seldom.
        assert!((150..700).contains(&of_the_first), "{of_the_first}");
    }

    #[test]
    fn what_comes_before_the_last_turn_is_what_is_served_before_it() {
        let mut turns = Turns::default();
        let mut order = 0;
        for round in 0..7_u64 {
            for id in 0..5 {
                for _ in 0..(id * 3 + round) % 4 {
                    turns.join(id, order);
                    order += 1;
                }
            }
            next(&mut turns);
            next(&mut turns);
        }
        let foretold: Vec<_> = (0..5)
            .map(|id| (id, turns.before_last(id, f64::MAX)))
            .collect();
        let served: Vec<_> = std::iter::from_fn(|| next(&mut turns)).collect();
        for (id, before) in foretold {
            if let Some(last) = served.iter().rposition(|served| *served == id) {
                assert_eq!(before, last as u64, "{id} in {served:?}");
            }
        }
    }
}
