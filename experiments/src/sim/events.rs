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

/// Time in nanoseconds and the event in a word: 16 bytes, so that many fit into the cache.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u64,
    word: u64,
}

/// Of a word, beside 3 bits of kind and 32 of index.
pub(super) const GENERATION_BITS: u32 = 29;

impl Event {
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

/// The events to come. Which of several at the same nanosecond comes first is fixed by what was
/// done before, so that runs repeat, and otherwise of no importance.
#[derive(Debug, Default)]
pub(super) struct Events {
    heap: QuaternaryHeap<Reverse<Entry>>,
    /// The first one has been taken: most events lead to another, which can have its place.
    taken: bool,
}

impl Events {
    pub(super) fn push(&mut self, at: u64, event: Event) {
        let word = event.pack();
        let entry = Reverse(Entry { at, word });
        if self.taken {
            self.taken = false;
            *self.heap.peek_mut().expect("what was taken is there") = entry;
        } else {
            self.heap.push(entry);
        }
    }

    /// The next one, with its time, unless that is after `limit`. Nanoseconds.
    pub(super) fn pop_due(&mut self, limit: u64) -> Option<(u64, Event)> {
        if self.taken {
            self.taken = false;
            self.heap.pop();
        }
        let Reverse(entry) = self.heap.peek().filter(|entry| entry.0.at <= limit)?;
        self.taken = true;
        Some((entry.at, Event::unpack(entry.word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let order: Vec<_> = std::iter::from_fn(|| events.pop_due(60)).collect();
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
        while let Some((at, _)) = events.pop_due(100) {
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
    fn what_is_due_later_waits() {
        let mut events = Events::default();
        events.push(11, Event::Deliver(1));
        assert_eq!(events.pop_due(10), None);
        events.push(5, Event::Deliver(2));
        assert_eq!(events.pop_due(11), Some((5, Event::Deliver(2))));
        assert_eq!(events.pop_due(11), Some((11, Event::Deliver(1))));
        assert_eq!(events.pop_due(11), None);
    }
}
