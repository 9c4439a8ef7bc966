//! Open loop: requests leave when they are due, however slow the answers are.
//!
//! Latency counts from the instant at which a request was due, not from its
//! sending, so that a stall of the server or of this program shows in every
//! request that it delayed. (Closed loops omit those requests, which is known
//! as coordinated omission.)

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

/// A request that is due.
struct Arrival {
    /// Time since the beginning of the run.
    due: Duration,
    input: String,
}

/// All requests of a run, of which each core takes its own. Every core walks
/// the whole sequence, so that the seed alone fixes it.
struct Arrivals {
    schedule: Schedule,
    sizes: Pcg64,
    number: u64,
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
    };
    let pacer = Pacer::new()?;
    let mut tasks = JoinSet::new();
    let mut in_a_row = 0;
    let end = loop {
        let arrival = match arrivals.next(&lane) {
            Ok(arrival) => arrival,
            Err(end) => break end,
        };
        let due = shared.start + arrival.due;
        if Instant::now() < due {
            in_a_row = 0;
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => break shared.start.elapsed(),
                paced = pacer.until(due) => paced?,
            }
        } else if shared.stop.is_cancelled() {
            break shared.start.elapsed();
        }
        if let Some(requester) = requesters.next() {
            spawn(&mut tasks, &lane, requester, due, &arrival.input);
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
    /// The next request of `lane`, or until when requests were due if there
    /// are no more.
    fn next(&mut self, lane: &Lane) -> Result<Arrival, Duration> {
        let config = &lane.shared.config;
        loop {
            let due = self.schedule.next();
            if !config.duration.is_zero() && due >= config.duration {
                return Err(config.duration);
            }
            if config
                .max_requests
                .is_some_and(|most| self.number == most.get())
            {
                return Err(due);
            }
            let input = lane.shared.payloads.draw(&mut self.sizes);
            let owner = self.number % config.cores.get() as u64;
            self.number += 1;
            if owner == lane.core().index() as u64 {
                let input = input.to_owned();
                return Ok(Arrival { due, input });
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
