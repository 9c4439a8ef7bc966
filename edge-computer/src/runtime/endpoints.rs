//! Servers of the protocol that are there already: which of them is taken next, and which is set
//! aside because it failed.

use std::time::{Duration, Instant};

use super::pool::MAX_FAILURES;

/// How long a server is left alone that failed, at first and at the most.
const ASIDE: Duration = Duration::from_secs(1);
const MAX_ASIDE: Duration = Duration::from_secs(30);

/// The servers of one function.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    servers: Vec<Server>,
    /// The one that is taken next.
    next: usize,
    last_fault: String,
}

#[derive(Debug)]
struct Server {
    url: String,
    /// Faults in a row.
    faults: u32,
    aside: Option<Aside>,
}

#[derive(Debug)]
struct Aside {
    until: Instant,
    /// Somebody is finding out whether it answers.
    tried: bool,
}

/// Who serves next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// The server of this number, at this URL.
    Server(usize, String),
    /// One of those that are busy, later.
    Busy,
    /// Nobody: all are set aside, the latest because of this.
    Nobody(String),
}

impl Endpoints {
    pub(super) fn new(urls: &[String]) -> Self {
        let servers = urls.iter().map(|url| Server {
            url: url.clone(),
            faults: 0,
            aside: None,
        });
        Self {
            servers: servers.collect(),
            ..Self::default()
        }
    }

    /// Those that are not set aside.
    pub(super) fn good(&self) -> usize {
        let good = self.servers.iter().filter(|server| server.aside.is_none());
        good.count()
    }

    /// Why none of them is to be asked, if none is.
    pub(super) fn all_aside(&self) -> Option<&str> {
        (self.good() == 0).then_some(&self.last_fault)
    }

    /// The next one that is not `taken`, by turns.
    pub(super) fn pick(&mut self, taken: impl Fn(usize) -> bool) -> Pick {
        if let Some(fault) = self.all_aside() {
            return Pick::Nobody(fault.to_owned());
        }
        let count = self.servers.len();
        let mut order = (0..count).map(|offset| (self.next + offset) % count);
        let free = order.find(|&number| self.servers[number].aside.is_none() && !taken(number));
        free.map_or(Pick::Busy, |number| {
            self.next = number + 1;
            Pick::Server(number, self.servers[number].url.clone())
        })
    }

    /// It has answered a request.
    pub(super) fn answered(&mut self, number: usize) {
        let server = &mut self.servers[number];
        server.faults = 0;
        server.aside = None;
    }

    /// It failed: it is set aside if it cannot be reached, or has failed several times in a row;
    /// each time that happens for twice as long. Whether all of them have failed the last time.
    pub(super) fn failed(
        &mut self,
        number: usize,
        fault: &str,
        unreachable: bool,
        now: Instant,
    ) -> bool {
        fault.clone_into(&mut self.last_fault);
        let server = &mut self.servers[number];
        server.faults = server.faults.saturating_add(1);
        if unreachable || server.faults >= MAX_FAILURES {
            let twice = 2_u32.saturating_pow(server.faults - 1);
            let pause = ASIDE.saturating_mul(twice).min(MAX_ASIDE);
            server.aside = Some(Aside {
                until: now + pause,
                tried: false,
            });
        }
        self.servers.iter().all(|server| server.faults > 0)
    }

    /// Those that have been set aside for long enough. Whoever asks finds out whether they are
    /// [back](Self::back) or have [failed](Self::failed) again.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(usize, String)> {
        let mut due = Vec::new();
        for (number, server) in self.servers.iter_mut().enumerate() {
            let waiting = server.aside.as_mut();
            if let Some(aside) = waiting.filter(|aside| !aside.tried && aside.until <= now) {
                aside.tried = true;
                due.push((number, server.url.clone()));
            }
        }
        due
    }

    /// It answers again. It has yet to execute something before its faults are forgotten.
    pub(super) fn back(&mut self, number: usize) {
        self.servers[number].aside = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Endpoints {
        Endpoints::new(&["a", "b", "c"].map(str::to_owned))
    }

    fn picked(endpoints: &mut Endpoints, taken: &[usize]) -> Option<usize> {
        match endpoints.pick(|number| taken.contains(&number)) {
            Pick::Server(number, _) => Some(number),
            Pick::Busy | Pick::Nobody(_) => None,
        }
    }

    #[test]
    fn servers_take_turns_and_one_that_cannot_be_reached_is_left_out() {
        let now = Instant::now();
        let mut endpoints = three();
        let turns = [(); 4].map(|()| picked(&mut endpoints, &[]));
        assert_eq!(turns, [Some(0), Some(1), Some(2), Some(0)]);
        assert!(!endpoints.failed(1, "refused", true, now));
        assert_eq!(endpoints.good(), 2);
        assert_eq!(picked(&mut endpoints, &[2]), Some(0));
        assert_eq!(endpoints.pick(|number| number != 1), Pick::Busy);
        assert!(!endpoints.failed(0, "refused", true, now));
        assert!(endpoints.failed(2, "gone", true, now));
        assert_eq!(endpoints.pick(|_| false), Pick::Nobody("gone".to_owned()));
    }

    #[test]
    fn one_that_breaks_is_left_out_once_it_has_done_so_several_times() {
        let now = Instant::now();
        let mut endpoints = three();
        for _ in 1..MAX_FAILURES {
            endpoints.failed(0, "reset", false, now);
        }
        assert_eq!(endpoints.good(), 3);
        endpoints.failed(0, "reset", false, now);
        assert_eq!(endpoints.good(), 2);
    }

    #[test]
    fn it_is_tried_once_at_a_time_and_after_ever_longer_pauses_until_it_has_executed() {
        let mut now = Instant::now();
        let mut endpoints = three();
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            endpoints.failed(0, "refused", true, now);
            assert_eq!(endpoints.due(now + Duration::from_millis(999)), []);
            now += Duration::from_secs(seconds);
            assert_eq!(endpoints.due(now), [(0, "a".to_owned())], "{seconds}");
            assert_eq!(endpoints.due(now), []);
            endpoints.back(0);
        }
        assert_eq!(endpoints.good(), 3);
        endpoints.answered(0);
        endpoints.failed(0, "refused", true, now);
        assert_eq!(endpoints.due(now + ASIDE).len(), 1);
    }
}
