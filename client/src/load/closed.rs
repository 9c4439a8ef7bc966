//! Closed loop, as in the C++ reference: clients that wait for one answer before the next request.

mod statistics;

use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_proto::rpc::Outcome;
use tokio::task::JoinSet;

use self::statistics::Statistics;
use super::RunError;
use super::lane::Lane;
use super::requester::Requester;
use crate::ErrorKind;
use crate::arrivals::Gaps;
use crate::random::{Variable, generator};

/// Runs this core's share of the clients to their end. Returns zero: a closed
/// loop ends with its last request, answered or not.
pub(super) async fn send(lane: Lane) -> Result<Duration, RunError> {
    let lane = Arc::new(lane);
    let config = &lane.shared.config;
    let mut clients = JoinSet::new();
    let own = (0..config.num_threads.get())
        .filter(|number| number % config.cores.get() == lane.core().index());
    for (turn, number) in own.enumerate() {
        let instance = number as u64;
        let requester = lane.requester(turn, instance)?;
        clients.spawn(client(lane.clone(), requester, instance));
    }
    while let Some(ended) = clients.join_next().await {
        ended.map_err(std::io::Error::other)?;
    }
    Ok(lane.recorder.elapsed())
}

/// One client. It follows an absolute schedule: after a late answer its next
/// requests leave back to back until it has caught up, and their latency
/// counts from when they left.
async fn client(lane: Arc<Lane>, requester: Requester, instance: u64) {
    let config = &lane.shared.config;
    let mut gaps = Gaps::new(
        config.inter_request_type,
        config.inter_request_time,
        config.seed,
        instance,
    );
    let mut sizes = generator(config.seed, instance, Variable::Size);
    let mut statistics = Statistics::default();
    let mut backoff = Backoff::default();
    let mut patience = std::pin::pin!(lane.patience());
    let mut due = lane.shared.start + gaps.draw();
    for _ in 0..config.max_requests.map_or(u64::MAX, std::num::NonZero::get) {
        if !wait_until(&lane, due.max(backoff.until)).await {
            break;
        }
        let request = lane.request(lane.shared.payloads.draw(&mut sizes));
        let ticket = lane.recorder.sent(Instant::now());
        let result = tokio::select! {
            biased;
            result = lane.send(&requester, request, ticket) => result,
            () = &mut patience => break,
        };
        match &result {
            Ok(answer) => statistics.add(answer),
            Err(error) if is_unreachable(error.kind()) => backoff.fail(),
            Err(_) => {}
        }
        if result.is_ok() {
            backoff = Backoff::default();
        }
        due += gaps.draw();
    }
    statistics.log(instance);
}

/// Waits until `due`. Returns whether the client is to go on.
async fn wait_until(lane: &Lane, due: Instant) -> bool {
    let stop = &lane.shared.stop;
    if Instant::now() < due {
        let waiting = tokio::time::sleep_until(due.into());
        return stop.run_until_cancelled(waiting).await.is_some();
    }
    !stop.is_cancelled()
}

fn is_unreachable(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Connect | ErrorKind::Retcode(Outcome::Unavailable)
    )
}

/// Growing pauses, so that a server that cannot be reached does not keep the
/// processor busy.
#[derive(Debug)]
struct Backoff {
    until: Instant,
    pause: Duration,
}

impl Backoff {
    const SHORTEST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(500);

    fn fail(&mut self) {
        self.until = Instant::now() + self.pause;
        self.pause = self.pause.saturating_mul(2).min(Self::LONGEST);
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            until: Instant::now(),
            pause: Self::SHORTEST,
        }
    }
}
