//! Counts what becomes of each request, as it happens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::report::{Served, Tally};
use crate::{ErrorKind, RequestError};

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

    /// Counts requests that were due at these instants, and that it is too late for. Returns how
    /// many there are.
    pub(crate) fn missed(&self, dues: impl Iterator<Item = Instant>) -> u64 {
        let mut tally = self.lock();
        let mut count = 0;
        for due in dues {
            let second = tally.second(self.second_of(due));
            second.sent += 1;
            second.errors += 1;
            count += 1;
        }
        if count > 0 {
            let example = || "the rate was not reached: it had not left at the end".to_owned();
            tally.sent += count;
            tally.fail(ErrorKind::Overrun, count, example);
        }
        count
    }

    /// Notes how long after `due` a request left.
    pub(crate) fn left_after(&self, due: Instant) {
        let lag = due.elapsed();
        let mut tally = self.lock();
        tally.lag.saturating_record(nanos(lag));
        tally.longest_lag = tally.longest_lag.max(lag);
    }

    /// How long the run has taken so far.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
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
        let served = Served::one(latency);
        tally.second(second).served.merge(&served);
        tally.serve(responder, &served);
        tally.last_answer = now.saturating_duration_since(self.recorder.start);
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

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use edge_transport::CallError;

    use super::*;
    use crate::report::{MOST_DESTINATIONS, OTHERS};

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
    fn examples_are_fit_to_be_shown() {
        let recorder = recorder();
        let response = Box::new(edge_proto::rpc::LambdaResponse {
            retcode: "\x1b[2J".to_owned() + &"x".repeat(40_000),
            ..Default::default()
        });
        let outcome = edge_proto::rpc::Outcome::Overloaded;
        let error = RequestError::Retcode { outcome, response };
        recorder.sent(Instant::now()).failed(&error);
        let tally = recorder.lock();
        let example = &tally.errors[&error.kind()].example;
        assert!(example.starts_with("\\u{1b}[2Jxxx"), "{example}");
        assert!(example.len() <= 300, "{}", example.len());
    }

    #[test]
    fn what_it_is_too_late_for_is_an_overrun_of_the_second_in_which_it_was_due() {
        let recorder = recorder();
        let start = recorder.start;
        let dues = [0, 1, 1].map(|second| start + Duration::from_secs(second));
        assert_eq!(recorder.missed(dues.into_iter()), 3);
        assert_eq!(recorder.missed(std::iter::empty()), 0);
        let tally = recorder.lock();
        assert_eq!((tally.sent, tally.failed()), (3, 3));
        assert_eq!(tally.errors[&ErrorKind::Overrun].count, 3);
        let seconds = tally.seconds.iter();
        let seconds: Vec<_> = seconds.map(|second| (second.sent, second.errors)).collect();
        assert_eq!(seconds, [(1, 1), (2, 2)]);
    }

    #[test]
    fn responders_are_bounded_in_number_and_length() {
        let (first, second) = (recorder(), recorder());
        let now = Instant::now();
        let names = MOST_DESTINATIONS + 5;
        for number in 0..names {
            first.sent(now).answered(&format!("a:{number}"));
        }
        second.sent(now).answered(&"x".repeat(100_000));
        second.sent(now).answered("a:1");
        let (first, second) = (first.lock().clone(), second.lock().clone());
        for mut tally in [first.clone(), second] {
            tally.merge(&first);
            assert!(tally.destinations.len() <= MOST_DESTINATIONS + 1);
            assert!(tally.destinations.keys().all(|name| name.len() <= 300));
            assert!(tally.destinations[OTHERS].count >= 5);
            let counts = tally.destinations.values().map(|served| served.count);
            assert_eq!(counts.sum::<u64>(), tally.ok);
        }
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
