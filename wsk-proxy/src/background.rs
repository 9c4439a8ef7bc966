//! Non-blocking invocations: accepted, written down, run when there is a place, tried again while
//! no platform takes them.

mod promise;

use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_transport::Metadata;
use tokio::sync::{Semaphore, SemaphorePermit};

use self::promise::Promise;
use crate::activation::{Activation, ActivationId, Kind, Status, Texts, Trail, now_ms};
use crate::ask::Refusal;
use crate::journal::{Accepted, Line};
use crate::json;
use crate::lane::{Lane, Task};
use crate::shared::Shared;

/// First pause before another attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest of them.
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// The places of invocations in the background.
#[derive(Debug)]
pub(crate) struct Places {
    queue: Arc<Semaphore>,
    workers: Semaphore,
    most: usize,
}

/// An invocation was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAccepted {
    #[error("The platform is busy: {0} invocations wait already.")]
    Full(usize),
    #[error("The invocation cannot be written down.")]
    Unwritten,
}

impl Places {
    pub(crate) fn new(queued: usize, workers: usize) -> Self {
        Self {
            queue: Arc::new(Semaphore::new(queued)),
            workers: Semaphore::new(workers),
            most: queued,
        }
    }

    /// Invocations that are accepted and have not ended.
    pub(crate) fn taken(&self) -> usize {
        self.most - self.queue.available_permits().min(self.most)
    }
}

impl Lane {
    /// Promises to run `task`, and does so in the background; `held` is given back when it ends.
    /// `promised` is called once there is no way back, even if nobody waits for this any more.
    ///
    /// # Errors
    /// If there is no place, or the promise cannot be written down.
    pub(crate) async fn accept<H: Send + 'static>(
        self: &Arc<Self>,
        mut task: Task,
        held: H,
        promised: impl FnOnce() + Send + 'static,
    ) -> Result<(), NotAccepted> {
        let places = &self.shared.places;
        let place = places.queue.clone().try_acquire_owned();
        let place = place.map_err(|_| NotAccepted::Full(places.most))?;
        task.promised = true;
        let Some(journal) = self.shared.archive.journal.clone() else {
            promised();
            self.spawn_background(task, place, held);
            return Ok(());
        };
        let accepted = Accepted {
            id: task.id,
            action: task.action.clone(),
            written_out: task.written_out,
            parameters: task.parameters.clone(),
            hops: task.hops,
            at_ms: now_ms(),
        };
        let lane = self.clone();
        let kept = move |place| {
            promised();
            lane.spawn_background(task, place, held);
        };
        let promise = Promise {
            journal,
            accepted,
            place,
            stopping: self.shared.stopping.clone(),
        };
        promise
            .made(&self.shared.background, kept)
            .await
            .map_err(|_| NotAccepted::Unwritten)
    }

    /// Runs what a proxy before this one had promised and not begun.
    pub(crate) fn resume(self: &Arc<Self>, accepted: Accepted) {
        let task = Task {
            id: accepted.id,
            action: accepted.action,
            written_out: accepted.written_out,
            parameters: accepted.parameters,
            hops: accepted.hops,
            metadata: Metadata::new(),
            cause: None,
            promised: true,
        };
        // There may be more of them than there are places now; they wait for a worker all the same.
        let place = self.shared.places.queue.clone().try_acquire_owned().ok();
        self.spawn_background(task, place, ());
    }

    fn spawn_background<P: Send + 'static, H: Send + 'static>(
        self: &Arc<Self>,
        task: Task,
        place: P,
        held: H,
    ) {
        let lane = self.clone();
        let running = async move {
            lane.work_off(&task).await;
            drop((place, held));
        };
        self.core
            .spawn(self.shared.background.track_future(running));
    }

    /// A worker; `None` if the process ends first and the next one does the work.
    async fn worker(&self) -> Option<SemaphorePermit<'_>> {
        let stays = self.shared.archive.journal.is_some();
        tokio::select! {
            biased;
            () = self.shared.stopping.cancelled(), if stays => None,
            worker = self.shared.places.workers.acquire() => worker.ok(),
        }
    }

    async fn work_off(&self, task: &Task) {
        let shared = &*self.shared;
        let mut give_up = None;
        let mut pause = FIRST_PAUSE;
        while let Some(worker) = self.worker().await {
            let give_up = *give_up.get_or_insert(Instant::now() + shared.config.invoke.patience);
            if !shared.tell(Line::Begun, task.id).await {
                // Not written, not begun: nobody may find it unbegun and run it a second time.
                let unwritten = Refusal::Unreachable("the journal cannot be written".to_owned());
                return self.give_up(task, &unwritten).await;
            }
            let Err(refusal) = self.run(task, Instant::now()).await else {
                return;
            };
            shared.tell(Line::Returned, task.id).await;
            if Instant::now() + pause >= give_up || matches!(refusal, Refusal::Unfit(_)) {
                return self.give_up(task, &refusal).await;
            }
            // What nobody takes holds up none of those that somebody does.
            drop(worker);
            let stays = shared.archive.journal.is_some();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shared.stopping.cancelled(), if stays => return,
            }
            pause = (2 * pause).min(LAST_PAUSE);
        }
    }

    async fn give_up(&self, task: &Task, refusal: &Refusal) {
        let text = format!("The action was never executed: {refusal}");
        self.shared.record_failure(task, &text).await;
    }
}

impl Shared {
    /// Writes a line about an invocation, if there is a journal; whether it did not fail.
    async fn tell(&self, line: impl FnOnce(ActivationId) -> Line, id: ActivationId) -> bool {
        match &self.archive.journal {
            Some(journal) => journal.write(&line(id)).await.is_ok(),
            None => true,
        }
    }

    /// Records an invocation that did not run, or nobody knows how far.
    pub(crate) async fn record_failure(&self, task: &Task, text: &str) {
        let now = now_ms();
        let limit = self.config.invoke.action_timeout;
        let activation = Arc::new(Activation {
            id: task.id,
            action: task.action.clone(),
            kind: Kind::Lambda,
            start_ms: now,
            end_ms: now,
            cause: None,
            steps: Vec::new(),
            trail: Trail::default(),
            timed_out: false,
            limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            status: Status::InternalError,
            texts: Texts::new("", "", &json::object("error", text)),
        });
        self.archive.keep_surely(&activation).await;
    }

    /// Records what a proxy before this one had begun and not ended.
    pub(crate) async fn record_interrupted(&self, accepted: Accepted) {
        let task = Task {
            id: accepted.id,
            action: accepted.action,
            written_out: accepted.written_out,
            parameters: String::new(),
            hops: accepted.hops,
            metadata: Metadata::new(),
            cause: None,
            promised: true,
        };
        let text = "The proxy was restarted while the action ran; nobody knows how far it got, and \
                    it is not run again.";
        self.record_failure(&task, text).await;
    }
}
