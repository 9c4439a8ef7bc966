//! A controller that tells losses by chance from those by congestion.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics};
use quinn_proto::RttEstimator;

use super::Factory;

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

/// Makes [`Tolerant`]s around the controllers of another factory.
pub(super) struct Factories(pub(super) Factory);

impl ControllerFactory for Factories {
    fn build(self: Arc<Self>, now: Instant, datagram: u16) -> Box<dyn Controller> {
        Box::new(Tolerant {
            controller: self.0.clone().build(now, datagram),
            path: Path::new(datagram),
        })
    }
}

/// Hides from another controller what is lost by chance: while nothing waits on the path and few are lost.
///
/// A controller that takes each loss for congestion gives way until what it has under way is about
/// 1.2 datagrams by the root of the share that is lost, so twelve at 1 %, however much room there is. Congestion
/// fills queues before it loses: then, and where more is lost than chance is believed to, where the peer
/// says so by ECN, and where nothing arrives any more, the other controller is told.
struct Tolerant {
    controller: Box<dyn Controller>,
    path: Path,
}

/// What is known of the path.
#[derive(Debug, Clone, Copy)]
struct Path {
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
    fn new(datagram: u16) -> Self {
        Self {
            least: Duration::ZERO,
            smoothed: Duration::ZERO,
            datagrams: 1,
            arrived: datagram.into(),
            lost: 0,
        }
    }

    fn arrived(&mut self, bytes: u64, smoothed: Duration, least: Duration) {
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

impl Controller for Tolerant {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.controller.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.path.arrived(bytes, rtt.get(), rtt.min());
        self.controller.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.controller
            .on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.path.lost += lost_bytes;
        let by_ecn = lost_bytes == 0;
        let by_chance = !is_persistent_congestion
            && !by_ecn
            && self.path.is_empty(self.controller.window())
            && self.path.loses_few();
        if !by_chance {
            self.controller
                .on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.controller.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.controller.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        self.controller.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self {
            controller: self.controller.clone_box(),
            path: self.path,
        })
    }

    fn initial_window(&self) -> u64 {
        self.controller.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self.controller.into_any()
    }
}

#[cfg(test)]
mod tests {
    use quinn::congestion::CubicConfig;

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

    /// A controller around cubic, which has never been told of anything.
    fn controller() -> Tolerant {
        let now = Instant::now();
        Tolerant {
            controller: Arc::new(CubicConfig::default()).build(now, 1_200),
            path: path(100, SHORTEST),
        }
    }

    #[test]
    fn a_loss_by_chance_leaves_the_window_as_it_is() {
        let mut controller = controller();
        let now = Instant::now();
        let window = controller.window();
        controller.on_congestion_event(now, now, false, SIZE);
        assert_eq!(controller.window(), window);
    }

    #[test]
    fn the_window_shrinks_when_it_is_more_than_chance() {
        let now = Instant::now();
        let queue: fn(&mut Tolerant) = |c| c.path.smoothed = 2 * SHORTEST;
        let many: fn(&mut Tolerant) = |c| c.path.lost = 10 * SIZE;
        let nothing: fn(&mut Tolerant) = |_| {};
        for (what, make, persistent, bytes) in [
            ("a queue", queue, false, SIZE),
            ("many are lost", many, false, SIZE),
            ("nothing arrives", nothing, true, SIZE),
            ("ECN", nothing, false, 0),
        ] {
            let mut controller = controller();
            make(&mut controller);
            let window = controller.window();
            controller.on_congestion_event(now, now, persistent, bytes);
            assert!(controller.window() < window, "{what}");
        }
    }
}
