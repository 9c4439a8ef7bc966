//! The routers that calls go to: the first that can be reached.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_transport::{CallError, Endpoint, LambdaClient, LambdaReply, Metadata};

use crate::config::RouterConfig;

/// Routers, best first.
#[derive(Debug)]
pub(crate) struct Routers {
    all: Vec<Router>,
    set_aside: Duration,
    since: Instant,
}

#[derive(Debug)]
struct Router {
    endpoint: Endpoint,
    /// Milliseconds since the start until which it is passed over; 0: it is not.
    aside_until: AtomicU64,
}

impl Routers {
    pub(crate) fn new(config: &RouterConfig) -> Self {
        let router = |endpoint: &Endpoint| Router {
            endpoint: endpoint.clone(),
            aside_until: AtomicU64::new(0),
        };
        Self {
            all: config.endpoints.as_slice().iter().map(router).collect(),
            set_aside: config.set_aside,
            since: Instant::now(),
        }
    }

    /// Sends an encoded request at `now` to the first router that takes it.
    ///
    /// # Errors
    /// That of the last router, if none can have acted upon the call; or that of one that can.
    pub(crate) async fn call(
        &self,
        client: &LambdaClient,
        message: Bytes,
        metadata: &Metadata,
        deadline: Instant,
        mut now: Instant,
    ) -> Result<LambdaReply, CallError> {
        let mut last = Err(CallError::Deadline);
        let message = [message];
        for router in self.in_turn(now) {
            let name = router.endpoint.as_str();
            last = client.send(name, &message, metadata, deadline, now).await;
            match &last {
                Err(error) if error.never_left() => {
                    now = Instant::now();
                    self.pass_over(router, now);
                }
                _ => {
                    router.aside_until.store(0, Ordering::Relaxed);
                    return last;
                }
            }
        }
        last
    }

    /// Those that are not passed over in their order, then the others.
    fn in_turn(&self, now: Instant) -> impl Iterator<Item = &Router> {
        let now = self.millis(now);
        // A bit for each: there are 16 at the most.
        let usable = self
            .all
            .iter()
            .enumerate()
            .fold(0_u64, |bits, (at, router)| {
                bits | u64::from(self.is_usable(router, now)) << at
            });
        let those = move |wanted| {
            let fits = move |(at, _): &(usize, &Router)| (usable >> at & 1 == 1) == wanted;
            self.all.iter().enumerate().filter(fits)
        };
        those(true).chain(those(false)).map(|(_, router)| router)
    }

    /// Whether it works as far as is known, or is to be tried again: by one call, the others go on
    /// passing it over until that one has succeeded.
    fn is_usable(&self, router: &Router, now: u64) -> bool {
        let until = router.aside_until.load(Ordering::Relaxed);
        let later = now + self.pause();
        until == 0
            || (until <= now
                && router
                    .aside_until
                    .compare_exchange(until, later, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok())
    }

    fn pass_over(&self, router: &Router, now: Instant) {
        let until = self.millis(now) + self.pause();
        router.aside_until.store(until, Ordering::Relaxed);
    }

    /// Milliseconds since the start, from 1.
    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX / 2)
            + 1
    }

    fn pause(&self) -> u64 {
        u64::try_from(self.set_aside.as_millis()).unwrap_or(u64::MAX / 4)
    }
}
