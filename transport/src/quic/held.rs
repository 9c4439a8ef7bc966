//! How many bytes of messages one connection may make us hold, whatever carries it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Limits;
use crate::limits::{LARGE_MESSAGE, MESSAGES_HELD};

/// Bytes of the messages of one connection that we hold. Small ones count until they have come, of
/// which there are no more than streams; large ones until they have been answered.
#[derive(Debug)]
pub(super) struct Held {
    arriving: AtomicUsize,
    unanswered: AtomicUsize,
    most: usize,
}

impl Held {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            arriving: AtomicUsize::new(0),
            unanswered: AtomicUsize::new(0),
            most: MESSAGES_HELD.saturating_mul(limits.max_message_bytes),
        }
    }

    /// Books `more` bytes that have come, if there is still room for them beside so many `others`.
    fn book(&self, more: usize, others: usize) -> bool {
        let all = self.arriving.fetch_add(more, Ordering::Relaxed) + more + others;
        let fits = all <= self.most;
        if !fits {
            self.arriving.fetch_sub(more, Ordering::Relaxed);
        }
        fits
    }
}

/// What has come of header fields that are not complete: most come as a whole, and are never booked.
#[derive(Debug, Default)]
pub(super) struct Incomplete(Option<(Arc<Held>, usize)>);

impl Incomplete {
    /// So many bytes have come by now; false if there is no room for them in `held`, where they count.
    pub(super) fn grow(&mut self, bytes: usize, held: &Arc<Held>) -> bool {
        let (held, booked) = self.0.get_or_insert_with(|| (held.clone(), 0));
        let more = bytes.saturating_sub(*booked);
        let fits = held.book(more, 0);
        if fits {
            *booked += more;
        }
        fits
    }

    /// They are complete.
    pub(super) fn complete(&mut self) {
        if let Some((held, booked)) = self.0.take() {
            held.arriving.fetch_sub(booked, Ordering::Relaxed);
        }
    }
}

impl Drop for Incomplete {
    fn drop(&mut self) {
        self.complete();
    }
}

/// What of one message has been booked; given back when this is dropped.
#[derive(Debug)]
pub(super) struct Booked<'a> {
    held: &'a Held,
    bytes: usize,
    has_come: bool,
}

impl<'a> Booked<'a> {
    pub(super) fn nothing(held: &'a Held) -> Self {
        Self {
            held,
            bytes: 0,
            has_come: false,
        }
    }

    /// Books `more` bytes that have come, if there is still room for them.
    pub(super) fn more(&mut self, more: usize) -> bool {
        let bytes = self.bytes + more;
        let others = match bytes >= LARGE_MESSAGE {
            true => self.held.unanswered.load(Ordering::Relaxed),
            false => 0,
        };
        let fits = self.held.book(more, others);
        if fits {
            self.bytes = bytes;
        }
        fits
    }

    /// The message has come as a whole. What is returned is to be kept until it is answered.
    #[must_use = "a large message counts for as long as this is kept"]
    pub(super) fn come(mut self) -> Self {
        self.give_back();
        self.has_come = true;
        if self.bytes >= LARGE_MESSAGE {
            self.held
                .unanswered
                .fetch_add(self.bytes, Ordering::Relaxed);
        } else {
            self.bytes = 0;
        }
        self
    }

    fn give_back(&mut self) {
        if self.bytes > 0 {
            let account = match self.has_come {
                false => &self.held.arriving,
                true => &self.held.unanswered,
            };
            account.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Booked<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Held {
        Held::new(&Limits {
            max_message_bytes: 100_000,
            ..Limits::default()
        })
    }

    fn booked(held: &Held, bytes: usize) -> Option<Booked<'_>> {
        let mut booked = Booked::nothing(held);
        booked.more(bytes).then_some(booked)
    }

    #[test]
    fn what_is_arriving_is_bounded_and_its_end_gives_it_back() {
        let held = held();
        let arriving: Vec<_> = (0..8).map(|_| booked(&held, 50_000).unwrap()).collect();
        assert!(booked(&held, 1).is_none());
        drop(arriving);
        assert!(booked(&held, 1).is_some());
    }

    #[test]
    fn large_messages_count_until_they_are_answered_and_small_ones_until_they_have_come() {
        let held = held();
        let come = |bytes| booked(&held, bytes).map(Booked::come);
        let mut large: Vec<_> = (0..4).map(|_| come(90_000).unwrap()).collect();
        let mut more = booked(&held, 40_000).unwrap();
        assert!(!more.more(40_000), "it has become a large one");
        drop(more);
        let small: Vec<_> = (0..20).map(|_| come(60_000).unwrap()).collect();
        assert!(come(90_000).is_none());
        large.pop();
        assert!(come(90_000).is_some());
        drop((large, small));
        assert_eq!(held.arriving.into_inner(), 0);
        assert_eq!(held.unanswered.into_inner(), 0);
    }

    #[test]
    fn header_fields_count_until_they_are_complete_or_given_up() {
        let held = Arc::new(held());
        let mut fields: Vec<_> = (0..10).map(|_| Incomplete::default()).collect();
        for bytes in [10_000, 40_000] {
            assert!(fields.iter_mut().all(|fields| fields.grow(bytes, &held)));
        }
        assert!(!fields[0].grow(40_001, &held));
        assert!(booked(&held, 1).is_none());
        fields[1].complete();
        assert!(fields[0].grow(80_000, &held));
        drop(fields);
        assert_eq!(held.arriving.load(Ordering::Relaxed), 0);
    }
}
