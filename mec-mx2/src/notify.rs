//! Delivers notifications: in order to each context, to all of them at once, without those
//! that do not answer holding up those that do.
//!
//! Each attempt needs a place at its receiver and one of a lane. Receivers whose last
//! attempt succeeded, those never tried, and those that failed have lanes of their own, so
//! that any number of dead receivers only wait for each other.

mod connect;
mod host;
mod names;
mod post;
mod targets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_transport::{Cores, Seldom};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::book::{ContextId, Outcome, Settled};
use crate::state::Mx2;
use host::Hosts;
use post::{Answer, Post};
pub(crate) use targets::Targets;

/// How notifications are delivered.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Of one attempt, from the name to the answer.
    pub(crate) timeout: Duration,
    /// Attempts for one notification, at least 1.
    pub(crate) attempts: u32,
    /// Pause after the first; it doubles.
    pub(crate) first_retry: Duration,
    /// Longest pause.
    pub(crate) last_retry: Duration,
    /// Where notifications may go.
    pub(crate) targets: Targets,
    /// Trust for receivers with `https`.
    pub(crate) tls: Arc<rustls::ClientConfig>,
}

/// Those who deliver.
#[derive(Debug)]
pub(crate) struct Notifier {
    settings: Settings,
    hosts: Hosts,
    cores: Arc<Cores>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// When it was logged that somebody cannot be notified, which anybody can cause.
    unheard: Seldom,
}

impl Notifier {
    pub(crate) fn new(settings: Settings, cores: Arc<Cores>) -> Self {
        Self {
            settings,
            hosts: Hosts::default(),
            cores,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            unheard: Seldom::default(),
        }
    }

    pub(crate) fn targets(&self) -> &Targets {
        &self.settings.targets
    }

    /// Sees to what waits for a context, until nothing does.
    pub(crate) fn deliver(&self, state: &Mx2, id: ContextId) {
        let cores = self.cores.all();
        let state = state.clone();
        let stop = self.stop.clone();
        let task = async move {
            stop.run_until_cancelled(deliver(&state, id)).await;
        };
        cores[id.share(cores.len())].spawn(self.tasks.track_future(task));
    }

    /// Waits, at most for `patience`, until nothing waits any more; then ends. Returns
    /// whether everything was delivered. What was not is tried after the next start.
    pub(crate) async fn finish(&self, patience: Duration) -> bool {
        self.tasks.close();
        let finished = tokio::time::timeout(patience, self.tasks.wait()).await;
        self.stop.cancel();
        self.tasks.wait().await;
        finished.is_ok()
    }

    async fn attempt(&self, post: &Post<'_>) -> Answer {
        let host = self.hosts.of(post);
        let _place = host.place().await;
        let _lane = self.hosts.lane(&host).await;
        // Boxed, since those that wait for their turn are many and need no room for it.
        let sending = Box::pin(post.send(&host, &self.settings));
        let answer = tokio::time::timeout(self.settings.timeout, sending);
        let answer = answer.await.unwrap_or_else(|_| {
            Answer::Failed(format!("no answer within {:?}", self.settings.timeout))
        });
        host.note(&answer);
        answer
    }

    fn pause(&self, attempts: u32) -> Duration {
        let doubled = self
            .settings
            .first_retry
            .saturating_mul(1 << attempts.min(16));
        let pause = doubled.min(self.settings.last_retry);
        pause.mul_f64(rand::random_range(0.5..=1.0))
    }
}

async fn deliver(state: &Mx2, id: ContextId) {
    let notifier = state.notifier();
    let metrics = state.metrics();
    while let Some(job) = state.next_job(id) {
        let kind = job.notification.kind();
        let post = Post {
            callback: &job.callback,
            body: job.notification.to_json(state.scheme()).to_string().into(),
            address: &job.address,
        };
        let answer = notifier.attempt(&post).await;
        metrics.attempted(answer.name());
        let last = job.attempts + 1 >= notifier.settings.attempts;
        let outcome = match answer {
            Answer::Taken => Outcome::Delivered,
            Answer::Gone => Outcome::Gone,
            Answer::Forbidden(why) => Outcome::GivenUp(why.into()),
            Answer::Refused(why) | Answer::Failed(why) if last => Outcome::GivenUp(why.into()),
            Answer::Refused(why) | Answer::Failed(why) => Outcome::Failed(why.into()),
        };
        match &outcome {
            Outcome::Delivered => metrics.notified(kind, "delivered"),
            Outcome::Gone => metrics.notified(kind, "gone"),
            Outcome::GivenUp(error) => {
                metrics.notified(kind, "given up");
                if let Some(others) = notifier.unheard.due(Instant::now()) {
                    tracing::warn!(
                        context = %id, %error, others,
                        "a device application cannot be notified"
                    );
                }
            }
            Outcome::Failed(_) => {}
        }
        match state.settle(id, outcome) {
            Settled::Next => {}
            Settled::Again => tokio::time::sleep(notifier.pause(job.attempts)).await,
            Settled::Idle => return,
        }
    }
}
