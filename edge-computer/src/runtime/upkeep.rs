//! What is done for functions while nobody calls them: idle containers are given up, and what is out
//! of service is tried until it works.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::function::Kind;
use super::line::launch;
use super::pool::{MAX_FAILURES, Pool, Site, Slots, Starting, lock};

/// How often.
const EVERY: Duration = Duration::from_secs(1);
/// The same where containers are to be given up sooner than that.
const AT_MOST_EVERY: Duration = Duration::from_millis(20);
/// How long a function that does not work is left alone, at first and at the most.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const MAX_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// How long a trial waits for the place of a process.
const PLACE_WITHIN: Duration = Duration::from_secs(1);

/// Looks after all functions of `site`, whose containers are given up once they were idle for `idle`.
pub(super) async fn keep_up(site: Arc<Site>, idle: Duration) {
    loop {
        tokio::time::sleep(idle.clamp(AT_MOST_EVERY, EVERY)).await;
        let pools: Vec<_> = lock(&site.pools).iter().filter_map(Weak::upgrade).collect();
        for pool in pools {
            pool.expire(idle);
            pool.try_again();
        }
    }
}

impl Pool {
    /// Begins to find out whether what is out of service works again. Nobody waits for it, as it may
    /// take long.
    fn try_again(self: &Arc<Self>) {
        match &self.function.kind {
            Kind::Endpoints(_) => self.try_endpoints(),
            Kind::NodeJs | Kind::Command(_) if !self.health.is_healthy() => self.try_process(),
            Kind::NodeJs | Kind::Command(_) => {}
        }
    }

    fn try_endpoints(self: &Arc<Self>) {
        for (number, url) in self.slots().endpoints.due(Instant::now()) {
            let pool = self.clone();
            self.site.home.spawn(async move {
                let closing = &pool.site.closing;
                let answers = pool.site.workshop.client.answers(&url);
                match closing.run_until_cancelled(answers).await {
                    Some(true) => pool.endpoint_is_back(number),
                    Some(false) => pool.endpoint_failed(number, "it does not answer", true),
                    None => {}
                }
            });
        }
    }

    /// Starts a process; if it serves, requests find it.
    fn try_process(self: &Arc<Self>) {
        let faults = self.health.faults().0;
        let mut slots = self.slots();
        let pause = pause(faults);
        let too_soon = slots.tried.is_some_and(|tried| tried.elapsed() < pause);
        if too_soon || slots.starting > 0 {
            return;
        }
        slots.tried = Some(Instant::now());
        let starting = Starting::new(self, &mut slots);
        drop(slots);
        let site = self.site.clone();
        let ask = site.places.ask(self.number);
        site.make_room();
        self.site.home.spawn(async move {
            let place = tokio::time::timeout(PLACE_WITHIN, ask.place()).await;
            if let Ok(Ok(place)) = place {
                launch(starting, place);
            }
        });
    }

    /// A server has answered a request.
    pub(super) fn endpoint_answered(&self, number: usize) {
        self.change_endpoints(|slots| slots.endpoints.answered(number));
        self.judge(None);
    }

    /// A server has failed, or cannot be reached.
    pub(super) fn endpoint_failed(&self, number: usize, fault: &str, unreachable: bool) {
        let all_failed = self.change_endpoints(|slots| {
            let now = Instant::now();
            slots.endpoints.failed(number, fault, unreachable, now)
        });
        if all_failed {
            self.judge(Some(&Fault(fault.to_owned())));
        }
    }

    /// A server answers again, which is enough to use it.
    fn endpoint_is_back(&self, number: usize) {
        self.change_endpoints(|slots| slots.endpoints.back(number));
        self.judge(None);
    }

    /// As many servers as work are announced.
    fn change_endpoints<T>(&self, change: impl FnOnce(&mut Slots) -> T) -> T {
        let mut slots = self.slots();
        let before = slots.endpoints.good();
        let result = change(&mut slots);
        let after = slots.endpoints.good();
        drop(slots);
        if before != after {
            let lambda = &self.function.name;
            tracing::info!(lambda, servers = after, "servers in use");
            self.announce();
        }
        result
    }
}

/// What a server says or does not say.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Fault(String);

/// How long a function is left alone that has failed so many times in a row.
fn pause(faults: u32) -> Duration {
    let twice = 2_u32.saturating_pow(faults.saturating_sub(MAX_FAILURES));
    AGAIN_AFTER.saturating_mul(twice).min(MAX_AGAIN_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_faults_up_to_a_bound() {
        let seconds = [3, 4, 5, 8, 1000].map(|faults| pause(faults).as_secs());
        assert_eq!(seconds, [1, 2, 4, 30, 30]);
    }
}
