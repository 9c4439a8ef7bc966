//! What a broker knows of the load of one destination, over all lambdas: from its own requests and
//! from what the answers report.

use crate::average::{SHORTEST, decay_over, replace, sample, taken};
use crate::real::Real;
use crate::speeds::{Moved, Speeds};
use crate::stamp::{Age, Stamp, pack, unpack};
use crate::{Nanos, Report};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Weight of a new report in the average of others' requests.
const OTHERS_WEIGHT: f32 = 0.1;
/// Weight of a new sample in the share of a latency that was not spent at the destination.
const NETWORK_WEIGHT: f32 = 0.1;
/// What was measured longer ago is as good as the first new sample.
const OUTDATED: Age = Age::from_millis(1_000);
const OUTDATED_WEIGHT: f32 = 0.5;
/// Weight of a new sample in the mean service time.
const SERVICE_WEIGHT: f32 = 0.02;
/// The last report reverts to the average with so many mean service times as its time constant.
const REVERSION_SERVICES: f32 = 3.0;
/// Seconds without a report after which nothing is left of the average: a destination that was busy
/// once gets another chance from a broker that has little to send. If it is busy still, it refuses.
const REMEMBERED: f32 = 5.0;
/// Refusals in a row that are taken for a fault: no queue is longer than the last report every time.
const MOST_REFUSALS: u32 = 32;
/// A refusal by a destination that reports idle workers contradicts itself and counts as so many.
const CONTRADICTION: u32 = 8;

/// Requests of others at a destination so many seconds after a report: what it said reverts to its
/// average, since queues that were long or short do not stay so for more than a few service times.
/// The average is forgotten in its turn.
#[inline(always)]
pub(crate) fn others_by_now<R: Real>(last: R, average: R, age: R, service: R) -> R {
    let span = (R::from(REVERSION_SERVICES) * service).at_least(R::from(SHORTEST));
    let forgotten = age * R::from(1.0 / REMEMBERED);
    let average = average * (R::from(1.0) - forgotten).at_least(R::from(0.0));
    average + (last - average) * decay_over(age, span)
}

/// Words that every pick reads and every answer writes.
#[derive(Debug)]
pub(crate) struct Load {
    /// Requests of others at the last report (f32) | their moving average (f32).
    others: AtomicU64,
    /// Stamp of the last report | stamp of the last answer, or of the request that ended an idle
    /// time.
    times: AtomicU64,
    /// As last reported, 0 until then (f32) | one over them, 1 until then (f32).
    workers: AtomicU64,
    /// In seconds, 0 before the first sample: moving average of what latencies contain beside the
    /// stay there (f32) | service time to expect (f32).
    parts: AtomicU64,
    /// Stamp of the last service time.
    served: AtomicU32,
    /// In a row, contradictory ones counted several times.
    refusals: AtomicU32,
    /// Moving average of service times in seconds, as measured; 0 before the first sample (f32) |
    /// how many samples are in the averages: for network and service, sixteen bits each.
    measured: AtomicU64,
    /// Last reported share of busy processors (f32, NaN until then) | stamp of that report.
    utilization: AtomicU64,
}

/// The words of a [`Load`] that hold two numbers each, as they are, for those who look at many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    /// Requests of others: as last heard | on average.
    pub(crate) others: u64,
    /// Stamps: of the last report | of the last progress.
    pub(crate) times: u64,
    /// Workers | one over them.
    pub(crate) workers: u64,
    /// Seconds: network | service.
    pub(crate) parts: u64,
}

impl Load {
    pub(crate) fn new() -> Self {
        Load {
            others: AtomicU64::new(0),
            times: AtomicU64::new(0),
            workers: AtomicU64::new(pack(0, 1.0_f32.to_bits())),
            parts: AtomicU64::new(0),
            served: AtomicU32::new(0),
            refusals: AtomicU32::new(0),
            measured: AtomicU64::new(0),
            utilization: AtomicU64::new(pack(f32::NAN.to_bits(), 0)),
        }
    }

    /// All that predictions need but for [`Load::served_at`].
    #[inline(always)]
    pub(crate) fn words(&self) -> Words {
        Words {
            others: self.others.load(Relaxed),
            times: self.times.load(Relaxed),
            workers: self.workers.load(Relaxed),
            parts: self.parts.load(Relaxed),
        }
    }

    /// Whether it says how busy it is.
    #[inline]
    pub(crate) fn reports(&self) -> bool {
        self.workers() > 0.0
    }

    /// Requests that it executes at the same time; 0 until it said so.
    #[inline]
    pub(crate) fn workers(&self) -> f32 {
        f32::from_bits(unpack(self.workers.load(Relaxed)).0)
    }

    /// Seconds of a latency that are not spent there: messages under way and in line; 0 before the
    /// first sample.
    #[inline]
    pub(crate) fn network(&self) -> f32 {
        f32::from_bits(unpack(self.parts.load(Relaxed)).0)
    }

    /// The service time to expect, in seconds; 0 before the first sample.
    #[inline]
    pub(crate) fn service(&self) -> f32 {
        f32::from_bits(unpack(self.parts.load(Relaxed)).1)
    }

    /// When the last service time was reported.
    #[inline]
    pub(crate) fn served_at(&self) -> Stamp {
        Stamp(self.served.load(Relaxed))
    }

    /// Requests of others there, by now.
    #[inline]
    pub(crate) fn others(&self, service: f32, now: Stamp) -> f32 {
        let (last, average) = unpack(self.others.load(Relaxed));
        let (last, average) = (f32::from_bits(last), f32::from_bits(average));
        let heard = Stamp(unpack(self.times.load(Relaxed)).0);
        others_by_now(last, average, heard.age(now).as_secs(), service)
    }

    /// The share of busy processors that it reported last, and how old that is.
    pub(crate) fn utilization(&self, now: Stamp) -> Option<(f32, Age)> {
        let (bits, stamp) = unpack(self.utilization.load(Relaxed));
        let share = f32::from_bits(bits);
        (!share.is_nan()).then(|| (share, Stamp(stamp).age(now)))
    }

    /// Seconds since it made progress.
    #[inline]
    pub(crate) fn stalled(&self, now: Stamp) -> f32 {
        let progress = Stamp(unpack(self.times.load(Relaxed)).1);
        progress.age(now).as_secs()
    }

    /// Idle until now, it got a request.
    pub(crate) fn woken(&self, now: Nanos) {
        self.progressed(Stamp::at(now).0);
    }

    fn progressed(&self, now: u32) {
        replace(&self.times, |word| pack(unpack(word).0, now));
    }

    /// Takes what an answer says of the queue; `own` requests of this broker remain there.
    pub(crate) fn heard(&self, report: &Report, own: u32, now: Nanos) {
        let now = Stamp::at(now).0;
        let Some(workers) = report.workers else {
            return self.progressed(now);
        };
        let workers = workers as f32;
        if self.workers() != workers {
            let word = pack(workers.to_bits(), (1.0 / workers.max(1.0)).to_bits());
            self.workers.store(word, Relaxed);
        }
        let Some(in_flight) = report.in_flight else {
            return self.progressed(now);
        };
        let others = in_flight.saturating_sub(own) as f32;
        let first = unpack(self.times.load(Relaxed)).0 == 0;
        self.times.store(pack(now, now), Relaxed);
        replace(&self.others, |word| {
            let average = f32::from_bits(unpack(word).1);
            let moved = if first {
                others
            } else {
                average + OTHERS_WEIGHT * (others - average)
            };
            pack(others.to_bits(), moved.to_bits())
        });
    }

    /// Takes the parts of the latency of a request that was executed. Where nobody asks how `speeds`
    /// compare, the service time to expect is the average.
    pub(crate) fn answered(
        &self,
        latency: Nanos,
        report: &Report,
        speeds: Option<&Speeds>,
        now: Nanos,
    ) {
        self.refusals.store(0, Relaxed);
        match speeds {
            Some(speeds) => self.told(latency, report, |moved| speeds.expected(moved), now),
            None => self.told(latency, report, |moved| moved.after, now),
        }
    }

    /// Takes note that a request was executed, of which nothing else is wanted: refusals before it are not
    /// in a row with those to come.
    pub(crate) fn executed(&self) {
        if self.refusals.load(Relaxed) != 0 {
            self.refusals.store(0, Relaxed);
        }
    }

    /// Takes the parts of a latency, where `expected` tells what service time to expect.
    fn told(&self, latency: Nanos, report: &Report, expected: impl Fn(Moved) -> f32, now: Nanos) {
        let (network, service) = unpack(self.parts.load(Relaxed));
        let (mut network, mut service) = (f32::from_bits(network), f32::from_bits(service));
        let (measured, samples) = unpack(self.measured.load(Relaxed));
        let mut measured = f32::from_bits(measured);
        let (mut networks, mut services) = (samples >> 16, samples & 0xFFFF);
        if let Some(residence) = report.residence {
            let age = self.served_at().age(Stamp::at(now));
            let weight = if age > OUTDATED {
                OUTDATED_WEIGHT
            } else {
                NETWORK_WEIGHT
            };
            let new = sample(latency.since(residence));
            (network, networks) = taken(network, networks, new, weight);
        }
        if let Some(new) = report.service {
            let (before, new) = (measured, sample(new));
            (measured, services) = taken(before, services, new, SERVICE_WEIGHT);
            service = expected(Moved {
                before,
                sample: new,
                after: measured,
                samples: services,
                weight: SERVICE_WEIGHT,
            });
            self.served.store(Stamp::at(now).0, Relaxed);
        }
        let parts = pack(network.to_bits(), service.to_bits());
        self.parts.store(parts, Relaxed);
        let samples = networks << 16 | services;
        self.measured
            .store(pack(measured.to_bits(), samples), Relaxed);
        if let Some(share) = report.utilization {
            let word = pack(share.to_bits(), Stamp::at(now).0);
            self.utilization.store(word, Relaxed);
        }
    }

    /// Takes the answer to a probe, which came after `latency`: all of that is network. An estimate is
    /// no sample, so nothing is concluded from how it differs from others.
    pub(crate) fn estimated(&self, latency: Nanos, service: Option<Nanos>, now: Nanos) {
        let report = Report {
            residence: Some(Nanos::ZERO),
            service,
            ..Report::default()
        };
        self.told(latency, &report, |moved| moved.after, now);
    }

    /// Takes a refusal; true if there have been so many, or such implausible ones, that the
    /// destination is to be taken for broken.
    pub(crate) fn refused(&self, report: &Report) -> bool {
        let idle = match (report.in_flight, report.workers) {
            (Some(in_flight), Some(workers)) => in_flight < workers,
            _ => false,
        };
        let weight = if idle { CONTRADICTION } else { 1 };
        let before = self.refusals.fetch_add(weight, Relaxed);
        let broken = before.saturating_add(weight) >= MOST_REFUSALS;
        if broken {
            self.refusals.store(0, Relaxed);
        }
        broken
    }
}
