//! What travels: items and when they arrive, in that order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Items under way, as many as the links before it let through.
#[derive(Debug)]
pub(crate) struct Line<T> {
    items: BinaryHeap<Reverse<Item<T>>>,
    /// Those that arrive at the same instant do so in the order in which they left.
    next: u64,
}

#[derive(Debug)]
struct Item<T> {
    arrives: Duration,
    number: u64,
    content: T,
}

impl<T> Line<T> {
    /// Nothing under way.
    pub(crate) fn new() -> Self {
        Self {
            items: BinaryHeap::new(),
            next: 0,
        }
    }

    /// Lets `content` arrive then.
    pub(crate) fn push(&mut self, arrives: Duration, content: T) {
        let number = self.next;
        self.next += 1;
        self.items.push(Reverse(Item {
            arrives,
            number,
            content,
        }));
    }

    /// When the next one arrives.
    pub(crate) fn next_arrival(&self) -> Option<Duration> {
        self.items.peek().map(|Reverse(item)| item.arrives)
    }

    /// The next one that has arrived by `now`, and when.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<(Duration, T)> {
        if self.next_arrival()? > now {
            return None;
        }
        self.items
            .pop()
            .map(|Reverse(item)| (item.arrives, item.content))
    }
}

impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.arrives, self.number).cmp(&(other.arrives, other.number))
    }
}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Item<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_arrive_in_time_and_those_of_one_instant_in_order() {
        let ms = Duration::from_millis;
        let mut line = Line::new();
        for (at, name) in [(3, "c"), (1, "a"), (3, "d"), (2, "b")] {
            line.push(ms(at), name);
        }
        assert_eq!(line.pop(ms(0)), None);
        assert_eq!(line.next_arrival(), Some(ms(1)));
        let arrived: Vec<_> = std::iter::from_fn(|| line.pop(ms(3))).collect();
        let expected = [(1, "a"), (2, "b"), (3, "c"), (3, "d")].map(|(at, name)| (ms(at), name));
        assert_eq!(arrived, expected);
        assert_eq!(line.next_arrival(), None);
    }
}
