//! Counts of what became of requests.

use std::collections::BTreeMap;
use std::time::Duration;

use edge_daemon::shown;
use hdrhistogram::Histogram;

use crate::ErrorKind;

/// Responders that are counted each by itself; peers can make up as many as they like.
pub const MOST_DESTINATIONS: usize = 10_000;

/// Stands for all responders beyond [`MOST_DESTINATIONS`].
pub const OTHERS: &str = "(others)";

/// What became of the requests of a run, or of a part of it.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Requests that were due, those that overran the limit included. At the
    /// end of a run this is `ok` plus all errors.
    pub sent: u64,
    /// Requests answered with "OK".
    pub ok: u64,
    /// Latencies of the requests answered with "OK", in nanoseconds: from the
    /// instant a request was due in an open loop, from its sending in a closed
    /// one.
    pub latency: Histogram<u64>,
    /// How long after they were due the requests of an open loop left, in
    /// nanoseconds: the imprecision of the load generator itself.
    pub lag: Histogram<u64>,
    /// The longest of them, exactly.
    pub longest_lag: Duration,
    /// Failures by kind.
    pub errors: BTreeMap<ErrorKind, Failures>,
    /// Requests answered with "OK", by the responder of the answer: without control
    /// characters, of 300 bytes at the most, and those beyond [`MOST_DESTINATIONS`] as
    /// [`OTHERS`].
    pub destinations: BTreeMap<String, Served>,
    /// The same over time: element n holds the requests due in second n.
    pub seconds: Vec<Second>,
    /// When the last answer came, as time since the beginning.
    pub last_answer: Duration,
}

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: u64,
    /// What the first one said, without control characters and of 300 bytes at the most.
    pub example: String,
}

/// Requests that one destination answered with "OK".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Served {
    /// How many.
    pub count: u64,
    /// Sum of their latencies.
    pub total: Duration,
    /// Longest latency.
    pub longest: Duration,
}

/// Requests that were due within one second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Second {
    /// How many.
    pub sent: u64,
    /// How many failed.
    pub errors: u64,
    /// Those answered with "OK".
    pub served: Served,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            sent: 0,
            ok: 0,
            latency: histogram(),
            lag: histogram(),
            longest_lag: Duration::ZERO,
            errors: BTreeMap::new(),
            destinations: BTreeMap::new(),
            seconds: Vec::new(),
            last_answer: Duration::ZERO,
        }
    }
}

impl Tally {
    /// Requests that failed.
    pub fn failed(&self) -> u64 {
        self.errors.values().map(|failures| failures.count).sum()
    }

    /// All requests answered with "OK".
    pub fn served(&self) -> Served {
        let mut all = Served::default();
        for second in &self.seconds {
            all.merge(&second.served);
        }
        all
    }

    /// Adds what another part of the run counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.ok += other.ok;
        let same = "histograms of one range";
        self.latency.add(&other.latency).expect(same);
        self.lag.add(&other.lag).expect(same);
        self.longest_lag = self.longest_lag.max(other.longest_lag);
        for (&kind, failures) in &other.errors {
            self.fail(kind, failures.count, || failures.example.clone());
        }
        for (responder, served) in &other.destinations {
            self.serve(responder, served);
        }
        for (number, second) in other.seconds.iter().enumerate() {
            let own = self.second(number);
            own.sent += second.sent;
            own.errors += second.errors;
            own.served.merge(&second.served);
        }
        self.last_answer = self.last_answer.max(other.last_answer);
    }

    /// Adds what `responder` has answered.
    pub(crate) fn serve(&mut self, responder: &str, served: &Served) {
        let name = shown(responder);
        if let Some(known) = self.destinations.get_mut(name.as_ref()) {
            return known.merge(served);
        }
        let name = if self.destinations.len() < MOST_DESTINATIONS {
            name.into_owned()
        } else {
            OTHERS.to_owned()
        };
        self.destinations.entry(name).or_default().merge(served);
    }

    pub(crate) fn fail(&mut self, kind: ErrorKind, count: u64, example: impl FnOnce() -> String) {
        let failures = self.errors.entry(kind).or_insert_with(|| Failures {
            count: 0,
            example: shown(&example()).into_owned(),
        });
        failures.count += count;
    }

    pub(crate) fn second(&mut self, number: usize) -> &mut Second {
        if self.seconds.len() <= number {
            self.seconds.resize(number + 1, Second::default());
        }
        &mut self.seconds[number]
    }
}

impl Served {
    /// Mean latency; zero if there was nothing.
    pub fn mean(&self) -> Duration {
        let total = self.total.as_nanos();
        let mean = total
            .checked_div(u128::from(self.count))
            .unwrap_or_default();
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// One request.
    pub(crate) fn one(latency: Duration) -> Self {
        Self {
            count: 1,
            total: latency,
            longest: latency,
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }
}

/// Nanoseconds up to an hour, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("the bounds are valid")
}
