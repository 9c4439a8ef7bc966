//! What is on its way to a router and that nobody else notices: it need not be an event, since the
//! router hears of it before whatever it does next.

use std::collections::VecDeque;

/// What reaches a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Message {
    /// The answer to a probe. Those of a moment come in the order of their numbers, before the
    /// answers to requests.
    Probed(u32),
    /// The answer to a request that was executed. Those of a moment come as they were sent.
    Done(u32),
}

/// Few messages are under way to a router at the same time. Where there are more, putting them in
/// order would take longer than an event for each.
const FEW: usize = 64;

/// The messages to all routers, with the moments when they are there, in nanoseconds.
#[derive(Debug)]
pub(super) struct Inboxes {
    /// By router, the first one first.
    messages: Vec<VecDeque<(u64, Message)>>,
}

impl Inboxes {
    pub(super) fn new(routers: usize) -> Self {
        Inboxes {
            messages: vec![VecDeque::new(); routers],
        }
    }

    /// Whether there is room for the answer to a request.
    #[inline]
    pub(super) fn has_room(&self, router: u32) -> bool {
        self.messages[router as usize].len() < FEW
    }

    #[inline]
    pub(super) fn put(&mut self, router: u32, at: u64, message: Message) {
        let messages = &mut self.messages[router as usize];
        let comes_later = |known: &(u64, Message)| match message {
            Message::Probed(_) => *known > (at, message),
            Message::Done(_) => known.0 > at,
        };
        let mut place = messages.len();
        messages.push_back((at, message));
        // Hardly any is later, so that moving them costs less than a call which moves.
        while place > 0 && comes_later(&messages[place - 1]) {
            messages.swap(place - 1, place);
            place -= 1;
        }
    }

    /// The next one that has reached the router by `now`, and when.
    #[inline]
    pub(super) fn next(&mut self, router: u32, now: u64) -> Option<(u64, Message)> {
        self.messages[router as usize].pop_front_if(|first| first.0 <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::Message::{Done, Probed};
    use super::*;

    #[test]
    fn messages_come_in_order_of_time_and_wait_until_they_are_there() {
        let mut inboxes = Inboxes::new(2);
        let sent = [
            (30, Done(7)),
            (10, Probed(5)),
            (20, Done(9)),
            (20, Probed(4)),
            (20, Done(8)),
            (20, Probed(3)),
            (5, Done(1)),
        ];
        for (at, message) in sent {
            inboxes.put(1, at, message);
        }
        assert_eq!(inboxes.next(0, 100), None);
        assert_eq!(inboxes.next(1, 4), None);
        let heard: Vec<_> = std::iter::from_fn(|| inboxes.next(1, 29)).collect();
        let expected = [
            (5, Done(1)),
            (10, Probed(5)),
            (20, Probed(3)),
            (20, Probed(4)),
            (20, Done(9)),
            (20, Done(8)),
        ];
        assert_eq!(heard, expected);
        assert_eq!(inboxes.next(1, 30), Some((30, Done(7))));
    }

    #[test]
    fn an_inbox_has_room_for_a_few() {
        let mut inboxes = Inboxes::new(1);
        for id in 0..FEW as u32 {
            assert!(inboxes.has_room(0));
            inboxes.put(0, 1, Done(id));
        }
        assert!(!inboxes.has_room(0));
    }
}
