//! What a broker knows of the load of one destination, over all lambdas: from its own requests and
//! from what the answers report.

use crate::average::{Average, SHORTEST, decay_over, replace, sample};
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

/// Words that every pick reads and every answer writes.
#[derive(Debug)]
pub(crate) struct Load {
    /// Requests of others at the last report (f32) | their moving average (f32).
    others: AtomicU64,
    /// Stamp of the last report.
    heard: AtomicU32,
    /// As last reported; 0 until then.
    workers: AtomicU32,
    /// One over the workers (f32), 1 until they are reported.
    per_worker: AtomicU32,
    /// Stamp of the last answer, or of the request that ended an idle time.
    progress: AtomicU32,
    /// In a row, contradictory ones counted several times.
    refusals: AtomicU32,
    network: Average,
    service: Average,
    /// Stamp of the last service time.
    served: AtomicU32,
    /// Last reported share of busy processors (f32, NaN until then) | stamp of that report.
    utilization: AtomicU64,
}

impl Load {
    pub(crate) fn new() -> Self {
        Load {
            others: AtomicU64::new(0),
            heard: AtomicU32::new(0),
            workers: AtomicU32::new(0),
            per_worker: AtomicU32::new(1.0_f32.to_bits()),
            progress: AtomicU32::new(0),
            refusals: AtomicU32::new(0),
            network: Average::default(),
            service: Average::default(),
            served: AtomicU32::new(0),
            utilization: AtomicU64::new(pack(f32::NAN.to_bits(), 0)),
        }
    }

    /// Whether it says how busy it is.
    #[inline]
    pub(crate) fn reports(&self) -> bool {
        self.workers.load(Relaxed) > 0
    }

    /// Requests that it executes at the same time, 1 until it said so.
    #[inline]
    pub(crate) fn workers(&self) -> f32 {
        self.workers.load(Relaxed).max(1) as f32
    }

    /// One over [`Load::workers`], so that a pick need not divide.
    #[inline]
    pub(crate) fn per_worker(&self) -> f32 {
        f32::from_bits(self.per_worker.load(Relaxed))
    }

    /// Seconds of a latency that are not spent there: messages under way and in line; 0 before the
    /// first sample.
    #[inline]
    pub(crate) fn network(&self) -> f32 {
        self.network.seconds()
    }

    /// Mean service time in seconds; 0 before the first sample.
    #[inline]
    pub(crate) fn service(&self) -> f32 {
        self.service.seconds()
    }

    /// Since the last service time was reported.
    #[inline]
    pub(crate) fn service_age(&self, now: Stamp) -> Age {
        Stamp(self.served.load(Relaxed)).age(now)
    }

    /// Requests of others there, by now: the last report reverts to its average, since queues that
    /// were long or short do not stay so for more than a few service times. The average is forgotten
    /// in its turn.
    #[inline]
    pub(crate) fn others(&self, service: f32, now: Stamp) -> f32 {
        let (last, average) = unpack(self.others.load(Relaxed));
        let (last, average) = (f32::from_bits(last), f32::from_bits(average));
        let age = Stamp(self.heard.load(Relaxed)).age(now).as_secs();
        let span = (REVERSION_SERVICES * service).max(SHORTEST);
        let average = average * (1.0 - age / REMEMBERED).max(0.0);
        average + (last - average) * decay_over(age, span)
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
        Stamp(self.progress.load(Relaxed)).age(now).as_secs()
    }

    /// Idle until now, it got a request.
    pub(crate) fn woken(&self, now: Nanos) {
        self.progress.store(Stamp::at(now).0, Relaxed);
    }

    /// Takes what an answer says of the queue; `own` requests of this broker remain there.
    pub(crate) fn heard(&self, report: &Report, own: u32, now: Nanos) {
        let now = Stamp::at(now).0;
        self.progress.store(now, Relaxed);
        let Some(workers) = report.workers else {
            return;
        };
        if self.workers.load(Relaxed) != workers {
            self.workers.store(workers, Relaxed);
            let per_worker = 1.0 / self.workers();
            self.per_worker.store(per_worker.to_bits(), Relaxed);
        }
        let Some(in_flight) = report.in_flight else {
            return;
        };
        let others = in_flight.saturating_sub(own) as f32;
        let first = self.heard.load(Relaxed) == 0;
        self.heard.store(now, Relaxed);
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

    /// Takes the parts of the latency of a request that was executed.
    pub(crate) fn answered(&self, latency: Nanos, report: &Report, now: Nanos) {
        self.refusals.store(0, Relaxed);
        self.told(latency, report, now);
    }

    fn told(&self, latency: Nanos, report: &Report, now: Nanos) {
        if let Some(residence) = report.residence {
            let age = self.service_age(Stamp::at(now));
            let weight = if age > OUTDATED {
                OUTDATED_WEIGHT
            } else {
                NETWORK_WEIGHT
            };
            self.network
                .record(sample(latency.since(residence)), weight);
        }
        if let Some(service) = report.service {
            self.service.record(sample(service), SERVICE_WEIGHT);
            self.served.store(Stamp::at(now).0, Relaxed);
        }
        if let Some(share) = report.utilization {
            let word = pack(share.to_bits(), Stamp::at(now).0);
            self.utilization.store(word, Relaxed);
        }
    }

    /// Takes the answer to a probe, which came after `latency`: all of that is network.
    pub(crate) fn estimated(&self, latency: Nanos, service: Option<Nanos>, now: Nanos) {
        let report = Report {
            residence: Some(Nanos::ZERO),
            service,
            ..Report::default()
        };
        self.told(latency, &report, now);
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
