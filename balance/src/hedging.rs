//! Hedging: a request that is late is sent elsewhere, too.

mod copies;
mod delay;

use crate::Nanos;
use crate::average::replace;
use crate::stamp::{pack, unpack};
use copies::Credit;
use delay::Delay;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// When to send copies of requests of one lambda, and how many.
///
/// A request that takes longer than nearly all of its kind has met a slow destination, or it is a
/// longer piece of work than the others. In the first case a copy elsewhere is answered sooner; in the
/// second it takes as long there, and nothing is gained but work for everybody. Which of the two it is
/// shows when copies are answered. So they are sent as long as they help, and only now and then where
/// they do not.
#[derive(Debug)]
pub struct Hedging {
    /// Seconds of the delay (f32) | latencies known of it (u16) | credit of copies (i16). Cores that
    /// write at the same moment may lose a sample or a copy.
    word: AtomicU64,
}

impl Default for Hedging {
    fn default() -> Self {
        let word = AtomicU64::new(both(Delay::UNKNOWN, Credit::FULL));
        Hedging { word }
    }
}

impl Hedging {
    /// After which time a request is late; none until enough is known.
    #[must_use]
    pub fn after(&self) -> Option<Nanos> {
        halves(self.word.load(Relaxed)).0.after()
    }

    /// A request was answered after that time, before it was [late](Self::late).
    pub fn answered(&self, latency: Nanos) {
        self.change(|delay, credit| (delay.answered(latency), credit.request()));
    }

    /// A request was not answered within [`after`](Self::after). To be told once of each.
    pub fn late(&self) {
        self.change(|delay, credit| (delay.late(), credit.request()));
    }

    /// Takes what a copy costs, and answers whether one may be sent: `anyway` if the first destination
    /// does not answer anybody. Then it is to be told what becomes of it.
    #[must_use]
    pub fn take_copy(&self, anyway: bool) -> bool {
        let take = |word| {
            let (delay, credit) = halves(word);
            let left = credit.copy().or(anyway.then(|| credit.copy_anyway()));
            left.map(|left| both(delay, left))
        };
        self.word.fetch_update(Relaxed, Relaxed, take).is_ok()
    }

    /// A copy was not needed, or its answer was of no use, after it had been executed for that time,
    /// zero if it was not sent at all; `delay` is what [`after`](Self::after) had said.
    pub fn copied_in_vain(&self, executed: Nanos, delay: Nanos) {
        let share = executed.as_secs_f64() / delay.max(Nanos(1)).as_secs_f64();
        self.change(|delay, credit| (delay, credit.in_vain(share as f32)));
    }

    /// The answer that counts came from a copy, `took` after that was sent; `delay` is what
    /// [`after`](Self::after) had said. Who is late for being long is as long elsewhere, and was sent there in
    /// vain all the same.
    pub fn copy_answered(&self, took: Nanos, delay: Nanos) {
        if took <= delay {
            self.change(|delay, credit| (delay, credit.helped()));
        } else {
            self.copied_in_vain(took, delay);
        }
    }

    fn change(&self, next: impl FnOnce(Delay, Credit) -> (Delay, Credit)) {
        replace(&self.word, |word| {
            let (delay, credit) = halves(word);
            let (delay, credit) = next(delay, credit);
            both(delay, credit)
        });
    }
}

fn both(delay: Delay, credit: Credit) -> u64 {
    let low = u32::from(delay.known) << 16 | u32::from(credit.word());
    pack(delay.seconds.to_bits(), low)
}

fn halves(word: u64) -> (Delay, Credit) {
    let (seconds, low) = unpack(word);
    let delay = Delay {
        seconds: f32::from_bits(seconds),
        known: (low >> 16) as u16,
    };
    (delay, Credit::from_word(low as u16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_pcg::Pcg32;

    /// What became of requests, one after the other.
    #[derive(Debug, Default)]
    struct Course {
        late: u32,
        copies: u32,
        /// Not answered, and not copied.
        stuck: u32,
        /// Seconds that copies were executed in vain, and requests at all.
        in_vain: f64,
        executed: f64,
    }

    const REQUESTS: u32 = 100_000;

    /// `is_large` says which requests take 20 times as long as the others wherever they are executed,
    /// and `is_stuck` which are never answered by the first destination.
    fn course(is_large: impl Fn(u32) -> bool, is_stuck: impl Fn(u32) -> bool) -> Course {
        let (small, large) = (Nanos::from_millis(10), Nanos::from_millis(200));
        let hedging = Hedging::default();
        let mut random = Pcg32::seed_from_u64(1);
        let mut course = Course::default();
        for request in 0..REQUESTS {
            let span = if is_large(request) { large } else { small };
            let mut spans = || span + Nanos::from_micros(random.random_range(0..2_000));
            let (first, copy) = (spans(), spans());
            course.executed += first.as_secs_f64();
            let stuck = is_stuck(request);
            let Some(delay) = hedging.after().filter(|after| stuck || first > *after) else {
                hedging.answered(first);
                continue;
            };
            hedging.late();
            course.late += 1;
            if hedging.take_copy(false) {
                course.copies += 1;
                if stuck || delay + copy < first {
                    hedging.copy_answered(copy, delay);
                } else {
                    let executed = first.since(delay);
                    hedging.copied_in_vain(executed, delay);
                    course.in_vain += executed.as_secs_f64();
                }
            } else if stuck {
                course.stuck += 1;
            }
        }
        course
    }

    #[test]
    fn little_of_what_is_long_everywhere_is_executed_twice() {
        for every in [5, 10, 15, 30, 100] {
            let course = course(|request| request % every == every - 1, |_| false);
            assert!(course.late > REQUESTS / 100, "{every}: {course:?}");
            let share = course.in_vain / course.executed;
            assert!(share < 0.02, "{every}: {course:?}");
        }
    }

    #[test]
    fn all_that_are_stuck_are_copied() {
        for every in [3, 10, 100, 1_000] {
            let course = course(|_| false, |request| request % every == every - 1);
            // Nothing is known of the first few.
            assert!(course.copies > REQUESTS / every - 20, "{every}: {course:?}");
            assert_eq!(course.stuck, 0, "{every}: {course:?}");
        }
    }

    #[test]
    fn copies_that_could_not_be_sent_cost_nothing() {
        let hedging = Hedging::default();
        for _ in 0..1_000 {
            assert!(hedging.take_copy(false));
            hedging.copied_in_vain(Nanos::ZERO, Nanos::from_millis(10));
        }
    }
}
