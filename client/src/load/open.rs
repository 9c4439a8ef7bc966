//! Open loop: requests leave when they are due, however slow the answers are.
//!
//! Latency counts from the instant at which a request was due, not from its
//! sending, so that a stall of the server or of this program shows in every
//! request that it delayed. (Closed loops omit those requests, which is known
//! as coordinated omission.)
//!
//! What was due before the end of the run and has not left soon after it never leaves: it counts
//! as an overrun, so that a rate which this machine cannot reach does not make the run longer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand_pcg::Pcg64;
use tokio::task::JoinSet;

use super::RunError;
use super::lane::{Lane, Shared};
use super::requester::Requester;
use crate::arrivals::Schedule;
use crate::pacer::Pacer;
use crate::random::{Variable, generator};

/// Requests sent in one go before connections get their turn.
const BURST: u32 = 32;

/// How long after the end of the run a request may still leave. Timers and schedulers are never
/// exact, and the last requests are not to fail for it.
const GRACE: Duration = Duration::from_millis(250);

/// Requests that are counted in one go when it is too late for them.
const BATCH: usize = 10_000;

/// A request that is due.
struct Arrival<'a> {
    /// Time since the beginning of the run.
    due: Duration,
    input: &'a str,
}

/// All requests of a run, of which each core takes its own. Every core walks
/// the whole sequence, so that the seed alone fixes it.
struct Arrivals {
    schedule: Schedule,
    sizes: Pcg64,
    number: u64,
    /// Until when requests were due so far, as time since the beginning of the run.
    until: Duration,
}

/// Sends this core's share of the requests, and waits for the answers. Returns
/// until when requests were due, as time since the beginning of the run.
pub(super) async fn send(lane: Lane, rate: f64) -> Result<Duration, RunError> {
    let lane = Arc::new(lane);
    let shared = &lane.shared;
    let mut requesters = requesters(&lane)?.into_iter().cycle();
    let mut arrivals = Arrivals {
        schedule: Schedule::new(shared.config.arrivals, rate, shared.config.seed),
        sizes: generator(shared.config.seed, 0, Variable::Size),
        number: 0,
        until: Duration::ZERO,
    };
    let duration = shared.config.duration;
    let last_moment = (!duration.is_zero()).then(|| shared.start + duration + GRACE);
    let pacer = Pacer::new()?;
    let mut tasks = JoinSet::new();
    let mut in_a_row = 0;
    let end = loop {
        let Some(arrival) = arrivals.next(&lane) else {
            break arrivals.until;
        };
        let due = shared.start + arrival.due;
        let now = Instant::now();
        if now < due {
            in_a_row = 0;
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => break shared.start.elapsed(),
                paced = pacer.until(due) => paced?,
            }
        } else if shared.stop.is_cancelled() {
            break shared.start.elapsed();
        } else if last_moment.is_some_and(|last| now > last) {
            lane.recorder.missed(std::iter::once(due));
            miss(&lane, &mut arrivals).await;
            break arrivals.until;
        }
        if let Some(requester) = requesters.next() {
            spawn(&mut tasks, &lane, requester, due, arrival.input);
        }
        in_a_row += 1;
        if in_a_row == BURST {
            in_a_row = 0;
            tokio::task::yield_now().await;
        }
        while tasks.try_join_next().is_some() {}
    };
    wait(&lane, tasks).await;
    Ok(end)
}

/// One requester per connection.
fn requesters(lane: &Lane) -> Result<Vec<Arc<Requester>>, RunError> {
    let cores = lane.shared.config.cores.get();
    (0..lane.connections())
        .map(|connection| {
            let instance = connection * cores + lane.core().index();
            Ok(Arc::new(lane.requester(connection, instance as u64)?))
        })
        .collect()
}

fn spawn(
    tasks: &mut JoinSet<()>,
    lane: &Arc<Lane>,
    requester: Arc<Requester>,
    due: Instant,
    input: &str,
) {
    let ticket = lane.recorder.sent(due);
    let Some(place) = Place::take(&lane.shared) else {
        return ticket.overran(lane.shared.config.max_outstanding.get());
    };
    let lane = lane.clone();
    let request = lane.request(input);
    tasks.spawn(async move {
        let _place = place;
        lane.recorder.left_after(due);
        // The ticket knows what became of it.
        let _ = lane.send(&requester, request, ticket).await;
    });
}

/// Counts all requests that are left: it is too late for them.
async fn miss(lane: &Lane, arrivals: &mut Arrivals) {
    let shared = &lane.shared;
    while !shared.stop.is_cancelled() {
        let rest = std::iter::from_fn(|| arrivals.next(lane));
        let dues = rest.map(|arrival| shared.start + arrival.due);
        if lane.recorder.missed(dues.take(BATCH)) == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Waits for the answers; once the run is asked to end, not much longer.
async fn wait(lane: &Lane, mut tasks: JoinSet<()>) {
    let all = async { while tasks.join_next().await.is_some() {} };
    tokio::select! {
        () = all => {}
        () = lane.patience() => {}
    }
    tasks.shutdown().await;
}

impl Arrivals {
    /// The next request of `lane`, if there is one.
    fn next<'a>(&mut self, lane: &'a Lane) -> Option<Arrival<'a>> {
        let config = &lane.shared.config;
        loop {
            if config
                .max_requests
                .is_some_and(|most| self.number == most.get())
            {
                return None;
            }
            let due = self.schedule.next();
            if !config.duration.is_zero() && due >= config.duration {
                self.until = config.duration;
                return None;
            }
            self.until = due;
            let input = lane.shared.payloads.draw(&mut self.sizes);
            let owner = self.number % config.cores.get() as u64;
            self.number += 1;
            if owner == lane.core().index() as u64 {
                return Some(Arrival { due, input });
            }
        }
    }
}

/// One of the places for outstanding requests; free again when dropped.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let limit = shared.config.max_outstanding.get();
        shared
            .outstanding
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < limit).then_some(count + 1)
            })
            .ok()
            .map(|_| Self(shared.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}
