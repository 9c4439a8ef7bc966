//! Counts what becomes of requests, as it happens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::{ErrorKind, RequestError};

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
    /// Failures by kind.
    pub errors: BTreeMap<ErrorKind, Failures>,
    /// Requests answered with "OK", by the responder of the answer.
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
    /// What the first one said.
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

    /// Adds what another part of the run counted.
    pub fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.ok += other.ok;
        let same = "histograms of one range";
        self.latency.add(&other.latency).expect(same);
        self.lag.add(&other.lag).expect(same);
        for (&kind, failures) in &other.errors {
            self.fail(kind, failures.count, || failures.example.clone());
        }
        for (responder, served) in &other.destinations {
            self.destinations
                .entry(responder.clone())
                .or_default()
                .merge(served);
        }
        for (number, second) in other.seconds.iter().enumerate() {
            let own = self.second(number);
            own.sent += second.sent;
            own.errors += second.errors;
            own.served.merge(&second.served);
        }
        self.last_answer = self.last_answer.max(other.last_answer);
    }

    fn fail(&mut self, kind: ErrorKind, count: u64, example: impl FnOnce() -> String) {
        let failures = self.errors.entry(kind).or_insert_with(|| Failures {
            count: 0,
            example: example(),
        });
        failures.count += count;
    }

    fn second(&mut self, number: usize) -> &mut Second {
        if self.seconds.len() <= number {
            self.seconds.resize(number + 1, Second::default());
        }
        &mut self.seconds[number]
    }
}

impl Served {
    /// Mean latency; zero if there was nothing.
    pub fn mean(&self) -> Duration {
        let count = u32::try_from(self.count).unwrap_or(u32::MAX);
        self.total.checked_div(count).unwrap_or_default()
    }

    fn add(&mut self, latency: Duration) {
        self.count += 1;
        self.total += latency;
        self.longest = self.longest.max(latency);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }
}

/// Counts for one core; the lock is contended only by who looks at the progress.
#[derive(Debug)]
pub(crate) struct Recorder {
    start: Instant,
    tally: Mutex<Tally>,
}

/// A request that is counted as sent, and must be counted as answered or
/// failed. Dropped without, it counts as interrupted.
#[derive(Debug)]
pub(crate) struct Ticket {
    recorder: Arc<Recorder>,
    since: Instant,
    settled: bool,
}

impl Recorder {
    /// Counts for a run that begins at `start`.
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            tally: Mutex::default(),
        }
    }

    /// Counts a request that is due, or sent, at `since`.
    pub(crate) fn sent(self: &Arc<Self>, since: Instant) -> Ticket {
        let mut tally = self.lock();
        tally.sent += 1;
        tally.second(self.second_of(since)).sent += 1;
        drop(tally);
        Ticket {
            recorder: self.clone(),
            since,
            settled: false,
        }
    }

    /// Notes how long after `due` a request left.
    pub(crate) fn left_after(&self, due: Instant) {
        let lag = nanos(due.elapsed());
        self.lock().lag.saturating_record(lag);
    }

    /// The counts, to look at.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn second_of(&self, instant: Instant) -> usize {
        let since = instant.saturating_duration_since(self.start);
        usize::try_from(since.as_secs()).unwrap_or(usize::MAX)
    }

    fn fail(&self, since: Instant, kind: ErrorKind, example: impl FnOnce() -> String) {
        let second = self.second_of(since);
        let mut tally = self.lock();
        tally.fail(kind, 1, example);
        tally.second(second).errors += 1;
    }
}

impl Ticket {
    /// The request was answered "OK" by `responder`. Returns its latency.
    pub(crate) fn answered(mut self, responder: &str) -> Duration {
        self.settled = true;
        let now = Instant::now();
        let latency = now.saturating_duration_since(self.since);
        let second = self.recorder.second_of(self.since);
        let mut tally = self.recorder.lock();
        tally.ok += 1;
        tally.latency.saturating_record(nanos(latency));
        tally.second(second).served.add(latency);
        tally.last_answer = now.saturating_duration_since(self.recorder.start);
        if let Some(served) = tally.destinations.get_mut(responder) {
            served.add(latency);
        } else {
            let served = tally.destinations.entry(responder.to_owned());
            served.or_default().add(latency);
        }
        latency
    }

    /// The request failed.
    pub(crate) fn failed(mut self, error: &RequestError) {
        self.settled = true;
        self.recorder
            .fail(self.since, error.kind(), || error.to_string());
    }

    /// The request could not leave: `limit` others were outstanding.
    pub(crate) fn overran(mut self, limit: usize) {
        self.settled = true;
        let example = || format!("{limit} requests were outstanding");
        self.recorder.fail(self.since, ErrorKind::Overrun, example);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.settled {
            let example = || "still in flight at the end".to_owned();
            self.recorder
                .fail(self.since, ErrorKind::Interrupted, example);
        }
    }
}

/// Nanoseconds up to an hour, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("the bounds are valid")
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use edge_transport::CallError;

    use super::*;

    fn recorder() -> Arc<Recorder> {
        Arc::new(Recorder::new(Instant::now()))
    }

    #[test]
    fn every_request_ends_as_ok_or_as_one_error() {
        let recorder = recorder();
        let now = Instant::now();
        recorder.sent(now).answered("a:1");
        recorder.sent(now).failed(&CallError::Deadline.into());
        recorder.sent(now).overran(5);
        drop(recorder.sent(now));
        let tally = recorder.lock();
        assert_eq!((tally.sent, tally.ok, tally.failed()), (4, 1, 3));
        let kinds: Vec<_> = tally.errors.keys().map(|kind| kind.name()).collect();
        assert_eq!(kinds, ["deadline", "overrun", "interrupted"]);
        assert_eq!(tally.seconds[0].sent, 4);
        assert_eq!(tally.seconds[0].errors, 3);
        assert_eq!(tally.destinations["a:1"].count, 1);
    }

    #[test]
    fn merging_adds_everything() {
        let (first, second) = (recorder(), recorder());
        let now = Instant::now();
        first.sent(now).answered("a:1");
        second.sent(now + Duration::from_secs(2)).answered("a:1");
        second.sent(now).answered("b:1");
        second.sent(now).overran(1);
        let mut total = first.lock().clone();
        total.merge(&second.lock());
        assert_eq!((total.sent, total.ok, total.failed()), (4, 3, 1));
        assert_eq!(total.latency.len(), 3);
        assert_eq!(total.destinations["a:1"].count, 2);
        assert_eq!(total.seconds.len(), 3);
        assert_eq!(total.seconds[2].served.count, 1);
    }
}
