//! How fast data is sent: never less than two datagrams at once.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{BbrConfig, Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use quinn_proto::RttEstimator;
use serde::{Deserialize, Serialize};

mod tolerant;

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
            Self::Tolerant => Arc::new(tolerant::Factories(Arc::new(CubicConfig::default()))),
            Self::Cubic => Arc::new(CubicConfig::default()),
            Self::Bbr => Arc::new(BbrConfig::default()),
        };
        Arc::new(Pairs(factory))
    }
}

/// Makes [`Pair`]s.
struct Pairs(Factory);

impl ControllerFactory for Pairs {
    fn build(self: Arc<Self>, now: Instant, datagram: u16) -> Box<dyn Controller> {
        Box::new(Pair {
            controller: self.0.clone().build(now, datagram),
            datagram,
        })
    }
}

/// Lets two datagrams be under way, however large they are (RFC 9002, section 7.2). What is sent has to
/// stay below the window of a controller, which is two datagrams at least: that is one, and the peer may
/// wait 25 ms for a second one before it acknowledges anything.
struct Pair {
    controller: Box<dyn Controller>,
    /// Bytes of the largest datagram.
    datagram: u16,
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
        self.controller
            .on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
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
}
