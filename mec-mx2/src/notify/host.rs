//! A receiver of notifications: its places, its connections, how it did last.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::names::Names;
use super::post::{Answer, Post};

/// Attempts under way at one receiver.
const PER_HOST: usize = 32;
/// At one that has not answered yet, or not the last time.
const TRIALS: usize = 2;
/// Attempts under way at all receivers: those that answer, those never tried, those that
/// do not answer.
const LANES: [usize; 3] = [256, 128, 64];
/// Receivers that are remembered beyond those in use.
const MAX_HOSTS: usize = 16_384;
/// Connections kept for others that wait for a place.
const MAX_IDLE: usize = PER_HOST;

const GOOD: u8 = 0;
const NEW: u8 = 1;
const BAD: u8 = 2;

pub(super) type Connection = SendRequest<Full<Bytes>>;

/// Scheme and authority, and the address that the context was created from.
type Key = (String, Arc<str>);

/// All receivers.
#[derive(Debug)]
pub(super) struct Hosts {
    known: Mutex<HashMap<Key, Arc<Host>>>,
    lanes: [Semaphore; 3],
    names: Arc<Names<3>>,
}

/// One receiver, as contexts created from one address see it: whether it may be called
/// depends on both.
#[derive(Debug)]
pub(super) struct Host {
    places: Semaphore,
    trials: Semaphore,
    /// Attempts that are under way or wait for a place.
    wanted: AtomicUsize,
    standing: AtomicU8,
    idle: Mutex<Vec<Connection>>,
    names: Arc<Names<3>>,
}

/// A place at a receiver, free again when dropped.
#[derive(Debug)]
pub(super) struct PlaceAt<'a> {
    host: &'a Host,
    _permit: Option<SemaphorePermit<'a>>,
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            lanes: LANES.map(Semaphore::new),
            names: Arc::new(Names::new(LANES)),
        }
    }
}

impl Hosts {
    pub(super) fn of(&self, post: &Post<'_>) -> Arc<Host> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_HOSTS {
            known.retain(|_, host| Arc::strong_count(host) > 1);
        }
        let key = (post.callback.origin(), post.address.clone());
        let new = || {
            Arc::new(Host {
                places: Semaphore::new(PER_HOST),
                trials: Semaphore::new(TRIALS),
                wanted: AtomicUsize::new(0),
                standing: AtomicU8::new(NEW),
                idle: Mutex::default(),
                names: self.names.clone(),
            })
        };
        known.entry(key).or_insert_with(new).clone()
    }

    /// Waits for one's turn in the lane of receivers like this one.
    pub(super) async fn lane(&self, host: &Host) -> Option<SemaphorePermit<'_>> {
        // They are never closed.
        self.lanes[host.kind()].acquire().await.ok()
    }
}

impl Host {
    pub(super) async fn place(&self) -> PlaceAt<'_> {
        self.wanted.fetch_add(1, Ordering::Relaxed);
        let mut place = PlaceAt {
            host: self,
            _permit: None,
        };
        // They are never closed.
        loop {
            if self.is_good() {
                place._permit = self.places.acquire().await.ok();
                return place;
            }
            let trial = self.trials.acquire().await.ok();
            if !self.is_good() {
                place._permit = trial;
                return place;
            }
        }
    }

    /// Where it is, by that name.
    pub(super) async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.names.resolve(self.kind(), name, port).await
    }

    /// Which of the lanes is its.
    fn kind(&self) -> usize {
        usize::from(self.standing.load(Ordering::Relaxed)).min(2)
    }

    fn is_good(&self) -> bool {
        self.standing.load(Ordering::Relaxed) == GOOD
    }

    /// Whether others want to send there, too, so that a connection is worth keeping.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > 1
    }

    pub(super) fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    pub(super) fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    pub(super) fn note(&self, answer: &Answer) {
        let standing = match answer {
            Answer::Failed(_) => BAD,
            Answer::Forbidden(_) => NEW,
            Answer::Taken | Answer::Gone | Answer::Refused(_) => GOOD,
        };
        self.standing.store(standing, Ordering::Relaxed);
    }
}

impl Drop for PlaceAt<'_> {
    fn drop(&mut self) {
        if self.host.wanted.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Nobody wants them: idle connections are file descriptors.
            let mut idle = self
                .host
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            idle.clear();
        }
    }
}
