//! Whether the first table of a broker that has just started has yet to come.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use edge_balance::Nanos;
use edge_proto::rpc::edge_router_conf::Filling;

/// A controller is given so long, from the start of the broker, to fill its tables.
const WITHIN: Nanos = Nanos::from_secs(2);
/// Where the controller does not say when it is done, it is when it has been quiet for so long.
const QUIET_FOR: Nanos = Nanos::from_millis(100);

/// Nothing has come yet.
const NOTHING: u64 = u64::MAX;
/// The controller has said that more follows.
const MORE: u64 = u64::MAX - 1;
/// The controller has said that this is all.
const COMPLETE: u64 = u64::MAX - 2;

/// Follows how the tables of one broker are filled for the first time. A router that was restarted
/// is asked for lambdas before its controller has seen that it is back, and while it is being told
/// of them one after the other.
#[derive(Debug)]
pub(crate) struct FirstTable {
    /// One of the above, or when the last operation came that did not say how far things are.
    progress: AtomicU64,
}

impl FirstTable {
    /// Of a broker that has a controller, or has none and so nothing to wait for.
    pub(crate) fn new(has_controller: bool) -> Self {
        Self {
            progress: AtomicU64::new(if has_controller { NOTHING } else { COMPLETE }),
        }
    }

    /// An operation that adds or removes an entry has been carried out.
    pub(crate) fn configured(&self, filling: Filling, now: Nanos) {
        if now >= WITHIN {
            return;
        }
        let step = |progress| match (filling, progress) {
            (_, COMPLETE) | (Filling::Unsaid, MORE) => None,
            (Filling::Complete, _) => Some(COMPLETE),
            (Filling::MoreFollow, _) => Some(MORE),
            (Filling::Unsaid, _) => Some(now.0),
        };
        // Where nothing is to be changed nothing is.
        let _ = self.progress.fetch_update(Relaxed, Relaxed, step);
    }

    /// Whether a lambda that is not known may be known soon.
    pub(crate) fn is_awaited(&self, now: Nanos) -> bool {
        now < WITHIN
            && match self.progress.load(Relaxed) {
                NOTHING | MORE => true,
                COMPLETE => false,
                last => now.0 < last.saturating_add(QUIET_FOR.0),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Nanos {
        Nanos::from_millis(ms)
    }

    #[test]
    fn without_a_controller_nothing_is_waited_for() {
        assert!(!FirstTable::new(false).is_awaited(at(0)));
    }

    #[test]
    fn a_controller_that_says_nothing_is_waited_for_until_it_is_quiet_and_not_for_long() {
        let table = FirstTable::new(true);
        assert!(table.is_awaited(at(1999)) && !table.is_awaited(at(2000)));
        for ms in (500..1500).step_by(90) {
            assert!(table.is_awaited(at(ms)));
            table.configured(Filling::Unsaid, at(ms));
        }
        assert!(table.is_awaited(at(1500)) && !table.is_awaited(at(1600)));
        table.configured(Filling::Unsaid, at(1950));
        assert!(table.is_awaited(at(1999)) && !table.is_awaited(at(2000)));
    }

    #[test]
    fn a_controller_that_says_when_it_is_done_is_taken_at_its_word() {
        let table = FirstTable::new(true);
        table.configured(Filling::Unsaid, at(10));
        table.configured(Filling::MoreFollow, at(20));
        // Somebody else's operation says nothing about the controller.
        table.configured(Filling::Unsaid, at(30));
        assert!(table.is_awaited(at(1500)));
        table.configured(Filling::Complete, at(1500));
        assert!(!table.is_awaited(at(1500)));
        table.configured(Filling::MoreFollow, at(1501));
        assert!(
            !table.is_awaited(at(1501)),
            "only the first table is waited for"
        );
    }
}
