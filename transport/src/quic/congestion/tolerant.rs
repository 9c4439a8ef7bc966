//! What is lost by chance, told from what is lost by congestion.

use std::time::Duration;

/// Datagrams that may wait on the path while a loss still passes for chance: β of TCP Veno (Fu and Liew,
/// "TCP Veno: TCP enhancement for transmission over wireless access networks", 2003).
const BACKLOG: u64 = 3;

/// One part in so many of the shortest round trip may be waiting on the path while a loss still passes for
/// chance: jitter, where windows are so large that it looks like a backlog of many datagrams.
const JITTER: u32 = 8;

/// One part in so many may be lost by chance: `BBR.LossThresh` of draft-ietf-ccwg-bbr is 2 %.
const TOLERATED: u64 = 50;

/// Datagrams that may be lost by chance beyond that share, since what is counted is few.
const ALLOWANCE: u64 = 3;

/// Datagrams that are remembered: half of what has been counted is forgotten when there are so many.
const REMEMBERED: u64 = 512;

/// What is known of the path: whether a loss passes for chance, while nothing waits there and few are lost.
///
/// A controller that takes each loss for congestion gives way until what it has under way is about
/// 1.2 datagrams by the root of the share that is lost, so twelve at 1 %, however much room there is. Congestion
/// fills queues before it loses: then, and where more is lost than chance is believed to, where the peer
/// says so by ECN, and where nothing arrives any more, it has to be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    /// The shortest round trip.
    least: Duration,
    /// The round trip of late, smoothed.
    smoothed: Duration,
    /// Datagrams that have arrived, of late.
    datagrams: u64,
    /// Their bytes.
    arrived: u64,
    /// Bytes that have been lost meanwhile.
    lost: u64,
}

impl Path {
    pub(super) fn new(datagram: u16) -> Self {
        Self {
            least: Duration::ZERO,
            smoothed: Duration::ZERO,
            datagrams: 1,
            arrived: datagram.into(),
            lost: 0,
        }
    }

    pub(super) fn arrived(&mut self, bytes: u64, smoothed: Duration, least: Duration) {
        self.datagrams += 1;
        self.arrived += bytes;
        self.smoothed = smoothed;
        self.least = least;
        if self.datagrams > REMEMBERED {
            self.datagrams /= 2;
            self.arrived /= 2;
            self.lost /= 2;
        }
    }

    /// Takes note of bytes that were lost, 0 of them where ECN told of congestion; whether it was by chance,
    /// with `window` bytes allowed under way.
    pub(super) fn lost_by_chance(&mut self, bytes: u64, window: u64) -> bool {
        self.lost += bytes;
        let by_ecn = bytes == 0;
        !by_ecn && self.is_empty(window) && self.loses_few()
    }

    /// Bytes of so many datagrams as they are sent here, which may be much smaller than they could be.
    fn bytes(&self, datagrams: u64) -> u64 {
        datagrams * self.arrived / self.datagrams
    }

    /// Whether hardly anything waits on the path with `window` bytes under way.
    fn is_empty(&self, window: u64) -> bool {
        let waits = self.smoothed.saturating_sub(self.least);
        // bytes that wait = window * waits / smoothed
        waits <= self.least / JITTER
            || u128::from(window) * waits.as_nanos()
                <= u128::from(self.bytes(BACKLOG)) * self.smoothed.as_nanos()
    }

    /// Whether so few are lost that it may be chance.
    fn loses_few(&self) -> bool {
        self.lost <= (self.arrived + self.lost) / TOLERATED + self.bytes(ALLOWANCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 1_100;
    const WINDOW: u64 = 20 * SIZE;
    const SHORTEST: Duration = Duration::from_millis(20);

    /// A path on which so many datagrams have arrived, of 1,100 bytes.
    fn path(datagrams: u64, smoothed: Duration) -> Path {
        let mut path = Path::new(1_200);
        for _ in 0..datagrams {
            path.arrived(SIZE, smoothed, SHORTEST);
        }
        path
    }

    #[test]
    fn a_path_is_empty_while_three_datagrams_wait_or_an_eighth_of_the_round_trip() {
        // of 20 datagrams three wait: 3/20 of the round trip
        assert!(path(100, Duration::from_millis(23)).is_empty(WINDOW));
        assert!(!path(100, Duration::from_millis(24)).is_empty(WINDOW));
        // of 1,000, when an eighth of the shortest round trip has been added
        assert!(path(100, Duration::from_micros(22_400)).is_empty(1_000 * SIZE));
        assert!(!path(100, Duration::from_micros(22_600)).is_empty(1_000 * SIZE));
    }

    #[test]
    fn one_in_a_hundred_passes_for_chance_and_one_in_twenty_does_not() {
        for (one_in, by_chance) in [(100, true), (20, false)] {
            let mut path = path(0, SHORTEST);
            for number in 1..5_000 {
                if number % one_in == 0 {
                    path.lost += SIZE;
                } else {
                    path.arrived(SIZE, SHORTEST, SHORTEST);
                }
            }
            assert_eq!(path.loses_few(), by_chance, "one in {one_in}");
        }
    }

    #[test]
    fn a_few_datagrams_may_be_lost_at_the_beginning_and_the_past_is_forgotten() {
        let mut path = path(10, SHORTEST);
        path.lost += 3 * SIZE;
        assert!(path.loses_few());
        path.lost += SIZE;
        assert!(!path.loses_few());
        for _ in 0..200 {
            path.arrived(SIZE, SHORTEST, SHORTEST);
        }
        assert!(path.loses_few());
    }

    #[test]
    fn small_datagrams_are_counted_as_such_where_large_ones_would_pass() {
        let mut path = Path::new(9_000);
        for _ in 0..400 {
            path.arrived(100, SHORTEST, SHORTEST);
        }
        assert!(path.bytes(3) < 400, "{}", path.bytes(3));
    }

    #[test]
    fn it_is_chance_unless_something_waits_or_many_are_lost_or_ecn_tells() {
        assert!(path(100, SHORTEST).lost_by_chance(SIZE, WINDOW));
        assert!(!path(100, 2 * SHORTEST).lost_by_chance(SIZE, WINDOW));
        assert!(!path(100, SHORTEST).lost_by_chance(10 * SIZE, WINDOW));
        assert!(!path(100, SHORTEST).lost_by_chance(0, WINDOW));
    }
}
