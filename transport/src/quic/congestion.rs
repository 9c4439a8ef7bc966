//! How fast data is sent: never less than two datagrams at once, and no slower for what is lost by chance.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{BbrConfig, Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use quinn_proto::RttEstimator;
use serde::{Deserialize, Serialize};

mod tolerant;

use tolerant::Path;

type Factory = Arc<dyn ControllerFactory + Send + Sync>;

/// How fast data is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Congestion {
    /// As `Cubic`, but what is lost by chance is only sent again: while no queue builds up on the path and
    /// hardly more than 2 % are lost, which is where congestion begins for BBR, too.
    #[default]
    Tolerant,
    /// By losses (RFC 9438): as TCP does on most machines.
    Cubic,
    /// By a model of the path: for links that lose what is not due to congestion.
    Bbr,
}

impl Congestion {
    pub(super) fn controllers(self) -> Factory {
        let factory: Factory = match self {
            Self::Tolerant | Self::Cubic => Arc::new(CubicConfig::default()),
            Self::Bbr => Arc::new(BbrConfig::default()),
        };
        Arc::new(Pairs {
            factory,
            is_tolerant: self == Self::Tolerant,
        })
    }
}

/// Makes [`Pair`]s.
struct Pairs {
    factory: Factory,
    is_tolerant: bool,
}

impl ControllerFactory for Pairs {
    fn build(self: Arc<Self>, now: Instant, datagram: u16) -> Box<dyn Controller> {
        Box::new(Pair {
            controller: self.factory.clone().build(now, datagram),
            datagram,
            path: self.is_tolerant.then(|| Path::new(datagram)),
        })
    }
}

/// Lets two datagrams be under way, however large they are (RFC 9002, section 7.2). What is sent has to
/// stay below the window of a controller, which is two datagrams at least: that is one, and the peer may
/// wait 25 ms for a second one before it acknowledges anything. Where it knows the path, it does not tell the
/// controller of what is lost by chance.
struct Pair {
    controller: Box<dyn Controller>,
    /// Bytes of the largest datagram.
    datagram: u16,
    /// If what is lost by chance is tolerated.
    path: Option<Path>,
}

impl Controller for Pair {
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
        if let Some(path) = &mut self.path {
            path.arrived(bytes, rtt.get(), rtt.min());
        }
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
        let window = self.controller.window();
        let by_chance = |path: &mut Path| path.lost_by_chance(lost_bytes, window);
        let is_tolerated = self.path.as_mut().is_some_and(by_chance);
        if !is_tolerated || is_persistent_congestion {
            self.controller
                .on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.datagram = new_mtu;
        self.controller.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        let two = 2 * u64::from(self.datagram);
        self.controller.window().max(two + 1)
    }

    fn metrics(&self) -> ControllerMetrics {
        self.controller.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self {
            controller: self.controller.clone_box(),
            datagram: self.datagram,
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn two_datagrams_may_be_under_way_however_large_they_are_and_whatever_has_been_lost() {
        for congestion in [Congestion::Tolerant, Congestion::Cubic, Congestion::Bbr] {
            let now = Instant::now();
            let mut controller = congestion.controllers().build(now, 1200);
            for datagram in [1200, 9000, 16_000] {
                controller.on_mtu_update(datagram);
                assert!(controller.window() > 2 * u64::from(datagram));
                controller.on_congestion_event(now, now, true, 1 << 20);
                let copy = controller.clone_box();
                assert!(copy.window() > 2 * u64::from(datagram));
            }
        }
    }

    /// A controller of that kind that knows a path of 20 ms, on which 100 datagrams have arrived.
    fn pair(congestion: Congestion) -> Pair {
        let factory: Factory = Arc::new(CubicConfig::default());
        let mut path = Path::new(1200);
        let shortest = Duration::from_millis(20);
        (0..100).for_each(|_| path.arrived(1100, shortest, shortest));
        Pair {
            controller: factory.build(Instant::now(), 1200),
            datagram: 1200,
            path: (congestion == Congestion::Tolerant).then_some(path),
        }
    }

    #[test]
    fn a_loss_by_chance_leaves_the_window_of_the_tolerant_one_as_it_is() {
        let now = Instant::now();
        for (congestion, is_tolerant) in [(Congestion::Tolerant, true), (Congestion::Cubic, false)]
        {
            let mut pair = pair(congestion);
            let window = pair.window();
            pair.on_congestion_event(now, now, false, 1100);
            assert_eq!(pair.window() == window, is_tolerant, "{congestion:?}");
        }
    }

    #[test]
    fn the_window_shrinks_when_it_is_more_than_chance() {
        let now = Instant::now();
        let queue: fn(&mut Path) = |path| {
            let shortest = Duration::from_millis(20);
            path.arrived(1100, 2 * shortest, shortest);
        };
        let nothing: fn(&mut Path) = |_| {};
        for (what, make, persistent, bytes) in [
            ("a queue", queue, false, 1100),
            ("many are lost", nothing, false, 11_000),
            ("nothing arrives", nothing, true, 1100),
            ("ECN", nothing, false, 0),
        ] {
            let mut pair = pair(Congestion::Tolerant);
            make(pair.path.as_mut().unwrap());
            let window = pair.window();
            pair.on_congestion_event(now, now, persistent, bytes);
            assert!(pair.window() < window, "{what}");
        }
    }
}
