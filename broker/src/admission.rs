//! Requests that wait for a place at a destination, and those for which that would take too long.
//!
//! A request goes straight to a destination as long as one of its lambda has room and nobody waits.
//! Else it lines up in one queue of the broker, which says whose turn is next when a place is given
//! back: `edge_balance::FairQueue` decides, this file keeps the clock and the channels.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use edge_balance::{
    Client, FairQueue, Key, LambdaKey, Nanos, NoDestination, Pick, QueueConfig, Request, Shed,
    Tried, Waiter,
};
use edge_transport::Peer;
use foldhash::HashMap;
use foldhash::fast::FixedState;
use rand::Rng;
use std::hash::BuildHasher as _;
use tokio::sync::{Notify, oneshot};

use crate::clock::Clock;
use crate::tables::LearningTable;

/// How often waiters are looked after while nothing else happens: destinations that asked to be left
/// alone are free again without anybody saying so.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Nobody waits for longer, whatever they wait for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What a waiter gets: its destination, or why there is none after all.
type Called = Result<Pick, NoDestination>;

/// What somebody waits for: a place for a lambda at a destination where the request has not been.
#[derive(Debug)]
struct Wanted {
    lambda: Box<str>,
    table: Arc<LearningTable>,
    tried: Tried,
}

/// A request that waits, with all that is needed to pick for it.
#[derive(Debug)]
struct Waiting {
    wanted: Arc<Wanted>,
    input_bytes: usize,
    affinity: u64,
    called: oneshot::Sender<Called>,
}

/// A request that asks to be let in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applicant<'a> {
    pub(crate) peer: Peer,
    pub(crate) request: Request<'a>,
    /// Where it has been already.
    pub(crate) tried: &'a Tried,
    pub(crate) priority: u8,
    pub(crate) table: &'a Arc<LearningTable>,
    pub(crate) deadline: Instant,
}

/// There is no place now, nor will there be one soon; come back after that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy(pub(crate) Duration);

/// The queue of a broker.
#[derive(Debug)]
pub(crate) struct Admission {
    clock: Clock,
    max_wait: Duration,
    line: Mutex<Line>,
    /// How many wait, to be read without the lock.
    waiting: AtomicUsize,
    somebody_waits: Notify,
}

#[derive(Debug)]
struct Line {
    queue: FairQueue<Waiting>,
    /// What somebody waits for, and how many do. Who has been somewhere is to the queue a waiter for
    /// another lambda, one with fewer destinations: so it is called up when one of those has room,
    /// and meanwhile keeps nobody behind it from the others.
    wanted: HashMap<LambdaKey, (Arc<Wanted>, usize)>,
}

impl Admission {
    pub(crate) fn new(config: QueueConfig, clock: Clock) -> Self {
        Self {
            clock,
            max_wait: config.max_wait.into(),
            line: Mutex::new(Line {
                queue: FairQueue::new(config),
                wanted: HashMap::default(),
            }),
            waiting: AtomicUsize::new(0),
            somebody_waits: Notify::new(),
        }
    }

    /// Whether a newcomer has to line up because others wait for the same lambda. Those who have been
    /// somewhere do not count: there may be room where they cannot go.
    pub(crate) fn is_awaited(&self, lambda: &str, table: &Arc<LearningTable>) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
            && self.line().wanted.contains_key(&key(lambda, table, 0))
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes a place in the line. Call [`call_up`](Self::call_up) then: a place at a destination may
    /// have been given back just before.
    ///
    /// # Errors
    /// The wait would be too long.
    pub(crate) fn line_up(&self, applicant: Applicant<'_>) -> Result<Place<'_>, Busy> {
        let (called, calls) = oneshot::channel();
        let Applicant {
            request,
            table,
            tried,
            ..
        } = applicant;
        let lambda = key(request.lambda, table, tried.fingerprint());
        let max_wait = self.max_wait_for(applicant);
        let mut line = self.line();
        let wanted = match line.wanted.get(&lambda) {
            Some((known, _)) => known.clone(),
            None => Arc::new(Wanted {
                lambda: request.lambda.into(),
                table: table.clone(),
                tried: tried.clone(),
            }),
        };
        let waiter = Waiter {
            client: client(applicant.peer),
            lambda,
            priority: applicant.priority,
            // What is foretold is only an average.
            max_wait: Some(max_wait.mul_f64(0.9).into()),
        };
        let waiting = Waiting {
            wanted: wanted.clone(),
            input_bytes: request.input_bytes,
            affinity: request.affinity,
            called,
        };
        let pushed = line.queue.push(waiter, waiting, self.clock.now());
        let pushed = pushed.map_err(|Shed { push_back, .. }| Busy(push_back.into()))?;
        line.wanted.entry(lambda).or_insert((wanted, 0)).1 += 1;
        if let Some(displaced) = pushed.displaced {
            // Its sender is dropped, which tells it.
            line.gone(displaced.item.wanted.key());
        }
        self.count(&line);
        self.somebody_waits.notify_one();
        let patience = Instant::now() + max_wait.mul_f64(1.5);
        Ok(Place {
            admission: self,
            key: pushed.key,
            until: patience.min(applicant.deadline),
            calls,
        })
    }

    /// Who asks for seconds of work does not mind a second of waiting.
    fn max_wait_for(&self, applicant: Applicant<'_>) -> Duration {
        const SERVICES: u32 = 20;
        let table = &applicant.table.table;
        let service = table.service_time(applicant.request.lambda);
        let service = Duration::from(service.unwrap_or_default());
        self.max_wait
            .max(service.saturating_mul(SERVICES))
            .min(LONGEST_WAIT)
    }

    /// Gives free places to those whose turn it is.
    pub(crate) fn call_up(&self, rng: &mut dyn Rng) {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut line = self.line();
        let now = self.clock.now();
        while let Some(waiting) = line.next(now) {
            let wanted = &waiting.wanted;
            line.gone(wanted.key());
            let request = Request {
                lambda: &wanted.lambda,
                input_bytes: waiting.input_bytes,
                affinity: waiting.affinity,
            };
            let picked = wanted.table.table.pick(request, &wanted.tried, now, rng);
            let saturated = matches!(picked, Err(NoDestination::Saturated));
            // Whoever left meanwhile gives the place back at once.
            drop(waiting.called.send(picked));
            if saturated {
                break;
            }
        }
        self.count(&line);
    }

    /// Looks after those who wait as long as the broker lives.
    pub(crate) async fn look_after(&self, mut rng: impl Rng) {
        loop {
            self.somebody_waits.notified().await;
            while self.waiting.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(LOOK_EVERY).await;
                self.call_up(&mut rng);
            }
        }
    }

    fn count(&self, line: &Line) {
        self.waiting.store(line.queue.len(), Ordering::Relaxed);
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// The next one for whom there is room.
    fn next(&mut self, now: Nanos) -> Option<Waiting> {
        let known = &self.wanted;
        let has_room = |key: LambdaKey| {
            let known = known.get(&key);
            known.is_none_or(|(wanted, _)| wanted.has_room(now))
        };
        let (_, waiting) = self.queue.pop(now, has_room)?;
        Some(waiting)
    }

    /// One less waits for that.
    fn gone(&mut self, wanted: LambdaKey) {
        if let Some((_, waiting)) = self.wanted.get_mut(&wanted) {
            *waiting -= 1;
            if *waiting == 0 {
                self.wanted.remove(&wanted);
            }
        }
    }
}

impl Wanted {
    fn key(&self) -> LambdaKey {
        key(&self.lambda, &self.table, self.tried.fingerprint())
    }

    fn has_room(&self, now: Nanos) -> bool {
        let table = &self.table.table;
        table.has_room(&self.lambda, &self.tried, now)
    }
}

/// A place in the line, left when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    admission: &'a Admission,
    key: Key,
    until: Instant,
    calls: oneshot::Receiver<Called>,
}

impl Place<'_> {
    /// Waits for a destination, at most until the deadline.
    ///
    /// # Errors
    /// The wait has been too long, or others that are more entitled have displaced this one.
    pub(crate) async fn called(mut self) -> Result<Called, Busy> {
        match tokio::time::timeout_at(self.until.into(), &mut self.calls).await {
            Ok(Ok(called)) => Ok(called),
            Ok(Err(_)) | Err(_) => Err(Busy(self.admission.max_wait)),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut line = self.admission.line();
        if let Some(waiting) = line.queue.remove(self.key) {
            line.gone(waiting.wanted.key());
            self.admission.count(&line);
        }
    }
}

/// The same name means something else in another table, and to who has been to the destinations with
/// that fingerprint.
fn key(lambda: &str, table: &Arc<LearningTable>, tried: u64) -> LambdaKey {
    let table = Arc::as_ptr(table) as usize;
    LambdaKey(FixedState::with_seed(1).hash_one((lambda, table, tried)))
}

fn client(peer: Peer) -> Client {
    Client {
        host: FixedState::with_seed(2).hash_one(peer.host),
        connection: peer.connection,
    }
}
