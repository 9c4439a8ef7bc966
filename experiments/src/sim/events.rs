//! What happens next: events in order of time.

use std::cmp::{Ordering, Reverse};

use dary_heap::QuaternaryHeap;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A request reaches its executor.
    Deliver(u32),
    /// An executor has done the work of a request, unless plans have changed since.
    Complete {
        /// The request.
        job: u32,
        /// Its generation when this was planned, to 29 bits.
        generation: u32,
    },
    /// An answer reaches the router.
    Reply(u32),
    /// An antagonist starts or ends.
    Disturb(u32),
    /// A probe reaches its executor.
    Ask(u32),
}

/// Time in nanoseconds and the event in a word: small, so that many fit into the cache.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u64,
    word: u64,
    /// The next one on the same day, or the next place that is free.
    next: u32,
}

/// Of a word, beside 3 bits of kind and 32 of index.
pub(super) const GENERATION_BITS: u32 = 29;

/// An event that is due, as it was kept: what it is about is told apart once, where it is dealt with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    /// Nanoseconds.
    pub(super) at: u64,
    word: u64,
}

impl Due {
    #[inline(always)]
    pub(super) fn event(self) -> Event {
        Event::unpack(self.word)
    }
}

impl Event {
    /// Nothing is computed where it is known what kind of event it is.
    #[inline(always)]
    fn pack(self) -> u64 {
        let (kind, generation, index) = match self {
            Event::Deliver(job) => (0, 0, job),
            Event::Complete { job, generation } => (1, generation, job),
            Event::Reply(job) => (2, 0, job),
            Event::Disturb(antagonist) => (3, 0, antagonist),
            Event::Ask(probe) => (4, 0, probe),
        };
        kind << 61 | u64::from(generation & ((1 << GENERATION_BITS) - 1)) << 32 | u64::from(index)
    }

    #[inline(always)]
    fn unpack(word: u64) -> Self {
        let index = word as u32;
        match word >> 61 {
            0 => Event::Deliver(index),
            1 => Event::Complete {
                job: index,
                generation: (word >> 32) as u32 & ((1 << GENERATION_BITS) - 1),
            },
            2 => Event::Reply(index),
            3 => Event::Disturb(index),
            _ => Event::Ask(index),
        }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

/// No entry.
const NONE: u32 = u32::MAX;
/// Days of a calendar, at the least and at the most.
const DAYS: (usize, usize) = (256, 1 << 20);
/// So many events of a day are kept in their order; others wait with those that are far off.
const CROWD: usize = 32;

/// The events to come. Which of several at the same nanosecond comes first is fixed by what was
/// done before, so that runs repeat, and otherwise of no importance.
///
/// A calendar, after Brown, "Calendar queues: a fast O(1) priority queue implementation for the
/// simulation event set problem" (1988): a day is so short that it usually has an event or two.
/// How often events come is known beforehand and does not change, so that neither do the days. A
/// heap has what is beyond the last day, which is little.
#[derive(Debug)]
pub(super) struct Events {
    /// The first entry of each day of a year, from [`Events::today`] on. A power of two.
    days: Box<[u32]>,
    entries: Vec<Entry>,
    /// The first entry that is free.
    free: u32,
    /// Entries of the days.
    near: usize,
    /// A day is this power of two in nanoseconds.
    day_shift: u32,
    /// Counted from the start; there is nothing on the days before.
    today: u64,
    far: QuaternaryHeap<Reverse<Entry>>,
    /// When the first of those is, and the end of time if there is none.
    far_at: u64,
}

impl Events {
    /// For so many events per second, nearly all of which come within `span` seconds of their
    /// cause.
    pub(super) fn new(per_second: f64, span: f64) -> Self {
        let day = (2e9 / per_second).clamp(1.0, 1e12) as u64;
        let (fewest, most) = DAYS;
        let days = (per_second * span).clamp(fewest as f64, most as f64) as usize;
        let days = days.next_power_of_two();
        Events {
            days: vec![NONE; days].into(),
            entries: Vec::new(),
            free: NONE,
            near: 0,
            day_shift: day.ilog2(),
            today: 0,
            far: QuaternaryHeap::new(),
            far_at: u64::MAX,
        }
    }

    /// From now on there will be few: days are over, since most would have none.
    pub(super) fn become_rare(&mut self) {
        for day in std::mem::take(&mut self.days) {
            let mut next = day;
            while let Some(entry) = self.entries.get(next as usize) {
                next = entry.next;
                self.far_at = self.far_at.min(entry.at);
                self.far.push(Reverse(*entry));
            }
        }
        self.near = 0;
    }

    #[inline]
    fn day(&self, day: u64) -> usize {
        day as usize & (self.days.len() - 1)
    }

    #[inline(always)]
    pub(super) fn push(&mut self, at: u64, event: Event) {
        self.put(at, event.pack());
    }

    fn put(&mut self, at: u64, word: u64) {
        let day = (at >> self.day_shift).max(self.today);
        if day - self.today >= self.days.len() as u64 {
            return self.push_far(at, word);
        }
        let day = self.day(day);
        let first = self.days[day];
        if first == NONE || at < self.entries[first as usize].at {
            self.days[day] = self.entry(at, word, first);
            return;
        }
        let mut before = first;
        for _ in 0..CROWD {
            let after = self.entries[before as usize].next;
            if after == NONE || at < self.entries[after as usize].at {
                let entry = self.entry(at, word, after);
                self.entries[before as usize].next = entry;
                return;
            }
            before = after;
        }
        self.push_far(at, word);
    }

    #[inline]
    fn entry(&mut self, at: u64, word: u64, next: u32) -> u32 {
        self.near += 1;
        let entry = Entry { at, word, next };
        let place = self.free;
        if let Some(free) = self.entries.get_mut(place as usize) {
            self.free = free.next;
            *free = entry;
            return place;
        }
        self.entries.push(entry);
        self.entries.len() as u32 - 1
    }

    #[cold]
    fn push_far(&mut self, at: u64, word: u64) {
        let next = NONE;
        self.far.push(Reverse(Entry { at, word, next }));
        self.far_at = self.far_at.min(at);
    }

    /// The next one, unless that is after `limit`. Nanoseconds.
    #[inline]
    pub(super) fn pop_due(&mut self, limit: u64) -> Option<Due> {
        let until = limit.min(self.far_at);
        let last = until >> self.day_shift;
        while self.near > 0 {
            let day = self.day(self.today);
            let first = self.days[day];
            if let Some(entry) = self.entries.get_mut(first as usize) {
                let Entry { at, word, next } = *entry;
                if at > until {
                    return self.pop_far(limit);
                }
                self.days[day] = next;
                entry.next = self.free;
                self.free = first;
                self.near -= 1;
                return Some(Due { at, word });
            }
            if self.today >= last {
                return self.pop_far(limit);
            }
            self.today += 1;
        }
        if until < u64::MAX {
            self.today = self.today.max(last);
        }
        self.pop_far(limit)
    }

    /// The next one of those that are far off.
    #[inline]
    fn pop_far(&mut self, limit: u64) -> Option<Due> {
        if self.far_at > limit || self.far.is_empty() {
            return None;
        }
        let Reverse(entry) = self.far.pop()?;
        self.far_at = self.far.peek().map_or(u64::MAX, |next| next.0.at);
        Some(Due {
            at: entry.at,
            word: entry.word,
        })
    }
}

#[cfg(test)]
impl Default for Events {
    fn default() -> Self {
        Events::new(1e6, 1e-3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pop(events: &mut Events, limit: u64) -> Option<(u64, Event)> {
        let due = events.pop_due(limit)?;
        Some((due.at, due.event()))
    }

    #[test]
    fn events_come_in_order_of_time_and_as_they_were_put() {
        let mut events = Events::default();
        let planned = Event::Complete {
            job: u32::MAX,
            generation: (1 << GENERATION_BITS) - 1,
        };
        events.push(30, Event::Reply(7));
        events.push(10, planned);
        events.push(20, Event::Deliver(u32::MAX));
        events.push(40, Event::Disturb(3));
        events.push(50, Event::Ask(u32::MAX));
        let order: Vec<_> = std::iter::from_fn(|| pop(&mut events, 60)).collect();
        let expected = [
            (10, planned),
            (20, Event::Deliver(u32::MAX)),
            (30, Event::Reply(7)),
            (40, Event::Disturb(3)),
            (50, Event::Ask(u32::MAX)),
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn an_event_that_follows_from_another_comes_in_its_turn() {
        let mut events = Events::default();
        for at in [10, 20, 40] {
            events.push(at, Event::Deliver(1));
        }
        let mut times = Vec::new();
        while let Some((at, _)) = pop(&mut events, 100) {
            times.push(at);
            if at < 30 {
                events.push(at + 15, Event::Reply(1));
            }
            if at == 20 {
                events.push(50, Event::Reply(2));
            }
        }
        assert_eq!(times, [10, 20, 25, 35, 40, 40, 50]);
    }

    #[test]
    fn few_or_many_near_or_far_they_come_in_order_of_time() {
        use rand::RngExt as _;
        use rand_pcg::Pcg32;
        use rand_pcg::rand_core::SeedableRng as _;

        let mut random = Pcg32::seed_from_u64(1);
        // Days of 16 ns: most events are within the year, crowds at some moments, others far off.
        let mut events = Events::new(5e7, 1e-6);
        let mut expected = Vec::new();
        let mut now = 0;
        for step in 0..20_000_u32 {
            let at = now
                + match step % 1000 {
                    0..100 => 5_000,
                    100..110 => random.random_range(..1_000_000),
                    _ => random.random_range(..200),
                };
            events.push(at, Event::Reply(step));
            expected.push(at);
            if step % 3 > 0 {
                let limit = now + random.random_range(..30_u64);
                expected.sort_unstable();
                while let Some((at, _)) = pop(&mut events, limit) {
                    assert_eq!(at, expected.remove(0));
                }
                assert!(expected.first().is_none_or(|next| *next > limit));
                now = limit;
            }
        }
        events.become_rare();
        for at in [now + 5, now + 100_000] {
            events.push(at, Event::Ask(1));
            expected.push(at);
        }
        let rest: Vec<_> = std::iter::from_fn(|| pop(&mut events, u64::MAX)).collect();
        expected.sort_unstable();
        assert_eq!(rest.iter().map(|(at, _)| *at).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_due_later_waits() {
        let mut events = Events::default();
        events.push(11, Event::Deliver(1));
        assert_eq!(pop(&mut events, 10), None);
        events.push(5, Event::Deliver(2));
        assert_eq!(pop(&mut events, 11), Some((5, Event::Deliver(2))));
        assert_eq!(pop(&mut events, 11), Some((11, Event::Deliver(1))));
        assert_eq!(pop(&mut events, 11), None);
    }
}
