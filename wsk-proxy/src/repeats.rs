//! Requests that come a second time, because their client did not like the first answer or never
//! got it: they are answered with what the first one did, instead of doing it again.
//!
//! With an `Idempotency-Key` that is a promise: one key, one execution. An `x-request-id` is less:
//! OpenWhisk's own client sends the same one with all that an action does, so only a failure that
//! was executed is given again, to the same request, for a short while.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use tokio::sync::watch;

use crate::activation::ActivationId;
use crate::config::IdempotencyConfig;

/// A digest of what a request asks for.
pub(crate) type Fingerprint = [u8; 32];

/// What is remembered of requests.
#[derive(Debug)]
pub(crate) struct Repeats {
    config: IdempotencyConfig,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Promise(Arc<str>, String),
    Request(Arc<str>, String, Fingerprint),
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Key, Entry>,
    /// What has ended, in the order in which it expires. What is under way is in neither: it is not
    /// forgotten before it ends.
    promises: VecDeque<(Key, u64)>,
    failures: VecDeque<(Key, u64)>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    fingerprint: Fingerprint,
    id: ActivationId,
    ended: watch::Receiver<bool>,
    /// `None`: it is under way.
    until: Option<Instant>,
    serial: u64,
}

impl Entry {
    fn counts(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// Whether a key has been seen.
#[derive(Debug)]
pub(crate) enum Seen {
    /// It is new, and remembered from now on.
    New(Ticket),
    /// It belongs to this activation, which may not have ended.
    Before(ActivationId, watch::Receiver<bool>),
    /// It belongs to another request.
    Misused,
}

/// Remembers a key as long as it lives, and beyond if it is kept.
#[derive(Debug)]
pub(crate) struct Ticket {
    inner: Arc<Mutex<Inner>>,
    key: Key,
    serial: u64,
    ended: watch::Sender<bool>,
    window: Duration,
    most: usize,
    kept: bool,
}

/// The digest of what a request to `path` with this body asks for.
pub(crate) fn fingerprint(path: &str, body: &[u8]) -> Fingerprint {
    let mut context = Context::new(&SHA256);
    context.update(path.as_bytes());
    context.update(&[0]);
    context.update(body);
    let mut fingerprint = Fingerprint::default();
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}

impl Repeats {
    pub(crate) fn new(config: IdempotencyConfig) -> Self {
        let inner = Arc::default();
        Self { config, inner }
    }

    /// Whether the `Idempotency-Key` has been seen; if not, it stands for `id` from now on.
    pub(crate) fn promise(
        &self,
        namespace: &Arc<str>,
        key: &str,
        fingerprint: Fingerprint,
        id: ActivationId,
    ) -> Seen {
        let key = Key::Promise(namespace.clone(), key.to_owned());
        let now = Instant::now();
        let mut inner = lock(&self.inner);
        if let Some(entry) = inner.entries.get(&key).filter(|entry| entry.counts(now)) {
            if entry.fingerprint != fingerprint {
                return Seen::Misused;
            }
            return Seen::Before(entry.id, entry.ended.clone());
        }
        let (ended, receiver) = watch::channel(false);
        let serial = inner.remember(key.clone(), fingerprint, id, receiver, None);
        inner.forget(self.config.max_keys, now);
        Seen::New(Ticket {
            inner: self.inner.clone(),
            key,
            serial,
            ended,
            window: self.config.window,
            most: self.config.max_keys,
            kept: false,
        })
    }

    /// The failure that the same request of this `x-request-id` was answered with just now.
    pub(crate) fn failure(
        &self,
        namespace: &Arc<str>,
        request: &str,
        fingerprint: Fingerprint,
    ) -> Option<ActivationId> {
        let key = Key::Request(namespace.clone(), request.to_owned(), fingerprint);
        let inner = lock(&self.inner);
        let entry = inner.entries.get(&key)?;
        entry.counts(Instant::now()).then_some(entry.id)
    }

    /// Remembers the failure of a request with an `x-request-id`.
    pub(crate) fn failed(
        &self,
        namespace: &Arc<str>,
        request: &str,
        fingerprint: Fingerprint,
        id: ActivationId,
    ) {
        let key = Key::Request(namespace.clone(), request.to_owned(), fingerprint);
        let now = Instant::now();
        let (_, ended) = watch::channel(true);
        let mut inner = lock(&self.inner);
        let until = Some(now + self.config.retry_window);
        let serial = inner.remember(key.clone(), fingerprint, id, ended, until);
        inner.failures.push_back((key, serial));
        inner.forget(self.config.max_keys, now);
    }
}

impl Ticket {
    /// Something was executed: the key stands for it as long as keys are remembered.
    pub(crate) fn keep(mut self) {
        self.kept = true;
        let mut inner = lock(&self.inner);
        let now = Instant::now();
        if let Some(entry) = inner.entries.get_mut(&self.key) {
            entry.until = Some(now + self.window);
            let key = (self.key.clone(), self.serial);
            inner.promises.push_back(key);
            inner.forget(self.most, now);
        }
        self.ended.send_replace(true);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing was executed: whoever comes next may try.
            lock(&self.inner).remove(&self.key, self.serial);
        }
    }
}

impl Inner {
    fn remember(
        &mut self,
        key: Key,
        fingerprint: Fingerprint,
        id: ActivationId,
        ended: watch::Receiver<bool>,
        until: Option<Instant>,
    ) -> u64 {
        let serial = self.next;
        self.next += 1;
        let entry = Entry {
            fingerprint,
            id,
            ended,
            until,
            serial,
        };
        self.entries.insert(key, entry);
        serial
    }

    /// Removes what has this serial number, and nothing that came after it.
    fn remove(&mut self, key: &Key, serial: u64) {
        if self
            .entries
            .get(key)
            .is_some_and(|entry| entry.serial == serial)
        {
            self.entries.remove(key);
        }
    }

    /// Lets go of what is too old, and of the oldest of too many: of failures first, which are given
    /// again as a favour only.
    fn forget(&mut self, most: usize, now: Instant) {
        for queue in [Self::failures, Self::promises] {
            while let Some((key, serial)) = queue(self).front().cloned() {
                let entry = self.entries.get(&key);
                if entry.is_some_and(|entry| entry.serial == serial && entry.counts(now)) {
                    break;
                }
                self.remove(&key, serial);
                queue(self).pop_front();
            }
        }
        while self.entries.len() > most {
            let oldest = self.failures.pop_front();
            let Some((key, serial)) = oldest.or_else(|| self.promises.pop_front()) else {
                return;
            };
            self.remove(&key, serial);
        }
    }

    fn failures(&mut self) -> &mut VecDeque<(Key, u64)> {
        &mut self.failures
    }

    fn promises(&mut self) -> &mut VecDeque<(Key, u64)> {
        &mut self.promises
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeats(config: IdempotencyConfig) -> (Repeats, Arc<str>) {
        (Repeats::new(config), "a".into())
    }

    #[test]
    fn a_key_stands_for_what_was_executed_first() {
        let (repeats, namespace) = repeats(IdempotencyConfig::default());
        let (id, other) = (ActivationId::random(), ActivationId::random());
        let print = fingerprint("/f", b"{}");
        let promise = |id| repeats.promise(&namespace, "k", print, id);
        let Seen::New(ticket) = promise(id) else {
            panic!("it is new");
        };
        let Seen::Before(first, ended) = promise(other) else {
            panic!("it was there");
        };
        assert_eq!((first, *ended.borrow()), (id, false));
        ticket.keep();
        assert!(*ended.borrow());
        assert!(matches!(promise(other), Seen::Before(first, _) if first == id));
        let misused = repeats.promise(&namespace, "k", fingerprint("/g", b"{}"), other);
        assert!(matches!(misused, Seen::Misused));
        let elsewhere = repeats.promise(&"b".into(), "k", print, other);
        assert!(matches!(elsewhere, Seen::New(_)));
    }

    #[test]
    fn a_key_of_what_was_not_executed_is_free_again() {
        let (repeats, namespace) = repeats(IdempotencyConfig::default());
        let print = fingerprint("/f", b"{}");
        let promise = || repeats.promise(&namespace, "k", print, ActivationId::random());
        let first = promise();
        let Seen::Before(_, mut ended) = promise() else {
            panic!("it was there");
        };
        drop(first);
        assert!(ended.has_changed().is_err());
        ended.mark_unchanged();
        assert!(matches!(promise(), Seen::New(_)));
    }

    #[test]
    fn failures_are_given_again_to_the_same_request_for_a_while() {
        let (repeats, namespace) = repeats(IdempotencyConfig::default());
        let id = ActivationId::random();
        let print = fingerprint("/f", b"{}");
        repeats.failed(&namespace, "r", print, id);
        assert_eq!(repeats.failure(&namespace, "r", print), Some(id));
        let other = fingerprint("/f", b"{\"x\":1}");
        assert_eq!(repeats.failure(&namespace, "r", other), None);
        let (short, namespace) = self::repeats(IdempotencyConfig {
            retry_window: Duration::ZERO,
            ..IdempotencyConfig::default()
        });
        short.failed(&namespace, "r", print, id);
        assert_eq!(short.failure(&namespace, "r", print), None);
    }

    #[test]
    fn the_oldest_are_forgotten_when_there_are_too_many() {
        let (repeats, namespace) = repeats(IdempotencyConfig {
            max_keys: 2,
            ..IdempotencyConfig::default()
        });
        let print = fingerprint("/f", b"{}");
        for key in ["1", "2", "3"] {
            let seen = repeats.promise(&namespace, key, print, ActivationId::random());
            let Seen::New(ticket) = seen else {
                panic!("it is new");
            };
            ticket.keep();
        }
        let seen = |key| repeats.promise(&namespace, key, print, ActivationId::random());
        assert!(matches!(seen("3"), Seen::Before(..)));
        assert!(matches!(seen("1"), Seen::New(_)));
        assert!(lock(&repeats.inner).promises.len() < 10);
    }

    #[test]
    fn what_is_under_way_is_not_forgotten_and_failures_go_before_keys() {
        let (repeats, namespace) = repeats(IdempotencyConfig {
            max_keys: 2,
            window: Duration::from_secs(3600),
            retry_window: Duration::from_secs(3600),
        });
        let print = fingerprint("/f", b"{}");
        let promise = |key| repeats.promise(&namespace, key, print, ActivationId::random());
        let Seen::New(under_way) = promise("under way") else {
            panic!("it is new");
        };
        let Seen::New(ended) = promise("ended") else {
            panic!("it is new");
        };
        ended.keep();
        repeats.failed(&namespace, "r", print, ActivationId::random());
        assert_eq!(repeats.failure(&namespace, "r", print), None);
        assert!(matches!(promise("ended"), Seen::Before(..)));
        let _third = promise("third");
        assert!(matches!(promise("under way"), Seen::Before(..)));
        drop(under_way);
        assert!(matches!(promise("under way"), Seen::New(_)));
    }
}
