//! A log line that anybody can cause: written once in a while, however often it is caused.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shortest time between two lines.
const PAUSE: Duration = Duration::from_secs(10);

/// Decides whether a line is due.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Since>);

#[derive(Debug, Default)]
struct Since {
    last: Option<Instant>,
    untold: u64,
}

impl Seldom {
    /// If a line is due: how often it was not since the last one.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<u64> {
        // Nothing that is done with it can leave it half changed.
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if since.last.is_some_and(|last| now < last + PAUSE) {
            since.untold += 1;
            return None;
        }
        since.last = Some(now);
        Some(std::mem::take(&mut since.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_seldom_is_counted_in_between() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        assert_eq!(seldom.due(start), Some(0));
        assert_eq!(seldom.due(start), None);
        assert_eq!(seldom.due(start + PAUSE / 2), None);
        assert_eq!(seldom.due(start + PAUSE), Some(2));
        assert_eq!(seldom.due(start + PAUSE), None);
        assert_eq!(seldom.due(start + 3 * PAUSE), Some(1));
    }
}
