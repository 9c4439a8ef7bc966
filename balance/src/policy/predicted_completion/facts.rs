//! What a prediction starts from, gathered for one destination or side by side for several.

use crate::route::Route;
use crate::stamp::Stamp;

/// So many destinations are predicted together.
pub(super) const LANES: usize = 16;

macro_rules! facts {
    ($($(#[$documentation:meta])* $name:ident,)*) => {
        /// Numbers about a destination, each an `f32` or, for several destinations, an array of them.
        #[derive(Clone, Copy, Debug)]
        pub(super) struct Facts<T> {
            $($(#[$documentation])* pub(super) $name: T,)*
        }

        impl Facts<[f32; LANES]> {
            pub(super) const NONE: Self = Facts { $($name: [0.0; LANES],)* };

            #[inline(always)]
            pub(super) fn set(&mut self, lane: usize, facts: Facts<f32>) {
                $(self.$name[lane] = facts.$name;)*
            }

            #[inline(always)]
            pub(super) fn lane(&self, lane: usize) -> Facts<f32> {
                Facts { $($name: self.$name[lane],)* }
            }
        }
    };
}

facts! {
    /// Smoothed latency of the lambda there in seconds; 0 if it is unknown.
    latency,
    /// Since its last sample, in seconds.
    latency_age,
    /// One over how many own requests were there on average when one was sent.
    per_company,
    /// Service time of the lambda there in seconds; 0 if it is unknown.
    service,
    /// Service time of all lambdas there in seconds; 0 if it is unknown.
    overall,
    /// Since the last service time, in seconds.
    service_age,
    /// Requests of this broker there.
    own,
    /// Requests of others there at the last report.
    last,
    /// The same on average.
    average,
    /// Since the last report, in seconds.
    report_age,
    /// Requests that it executes at the same time; 0 if it does not say.
    workers,
    /// Seconds of a latency that are not spent there; 0 if unknown.
    network,
    /// Seconds without progress.
    stalled,
    /// The announced weight.
    weight,
}

impl Facts<f32> {
    #[inline(always)]
    pub(super) fn of(route: &Route, now: Stamp) -> Self {
        let destination = route.destination();
        let load = destination.load();
        let pair = route.pair();
        let latency = pair.latency(now);
        let (last, average) = load.reported();
        Facts {
            latency: latency.average,
            latency_age: latency.age.as_secs(),
            per_company: pair.per_company(),
            service: pair.service(),
            overall: load.service(),
            service_age: load.service_age(now).as_secs(),
            own: destination.in_flight() as f32,
            last,
            average,
            report_age: load.report_age(now).as_secs(),
            workers: load.announced_workers() as f32,
            network: load.network(),
            stalled: load.stalled(now),
            weight: route.weight(),
        }
    }
}
