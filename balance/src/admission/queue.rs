//! A bounded, fair queue for requests that find no place anywhere.

use super::class::{Class, Leaving};
use crate::Nanos;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A refused client is never told to come back sooner.
const SHORTEST_PUSH_BACK: Nanos = Nanos::from_millis(1);
/// Nor later: nothing is foretold so well.
const LONGEST_PUSH_BACK: Nanos = Nanos::from_secs(10);

/// Who sent a request: hashes, or whatever tells hosts and their connections apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client {
    /// Hosts share equally.
    pub host: u64,
    /// So do the connections of a host in its share.
    pub connection: u64,
}

/// A lambda, by a number of the caller's choosing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LambdaKey(pub u64);

/// What the queue needs to know of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Who sent it.
    pub client: Client,
    /// For what.
    pub lambda: LambdaKey,
    /// The larger the more urgent: as long as anybody with a higher one can be served nobody with a
    /// lower one is.
    pub priority: u8,
    /// Shed it if it has to expect a longer wait; none for what [`QueueConfig`] says.
    pub max_wait: Option<Nanos>,
}

/// Names a waiter; never used twice by a queue. Later ones are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub(super) u64);

/// Bounds of a [`FairQueue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Waiters, from 1 to 65536.
    pub max_waiting: usize,
    /// Who has to expect a longer wait is shed at once.
    pub max_wait: Nanos,
}

impl Default for QueueConfig {
    fn default() -> Self {
        QueueConfig {
            max_waiting: 1024,
            max_wait: Nanos::from_millis(100),
        }
    }
}

/// A waiter was taken in.
#[derive(Debug, PartialEq, Eq)]
pub struct Pushed<T> {
    /// Its name.
    pub key: Key,
    /// How long it has to expect to wait at most, if none comes that is more entitled; zero if that
    /// is not known.
    pub expected_wait: Nanos,
    /// Another one that had to leave for it, because the queue was full.
    pub displaced: Option<Shed<T>>,
}

/// A waiter that is to be refused, at once.
#[derive(Debug, PartialEq, Eq)]
pub struct Shed<T> {
    /// The request.
    pub item: T,
    /// Which it had been given, if it did wait.
    pub key: Key,
    /// When to come back: after the expected wait, at least 1 ms and at most 10 s.
    pub push_back: Nanos,
    /// How long it would have waited at most, or zero if that is not known.
    pub expected_wait: Nanos,
}

/// Requests that wait until one of their destinations has room, the most entitled first.
///
/// Higher priorities go first. Within a priority hosts take turns, those that have a place given
/// back to them least recently first, however many requests and connections each has; within a host
/// its connections take turns, and within a connection the lambdas that it asks for: it may be that of
/// a proxy, and one lambda whose destinations are full is not to hold up the others. Requests of a
/// connection for the same lambda go in the order in which they came. All levels are start-time fair
/// queueing. Only requests for lambdas with room are called up, and a
/// host whose turn was passed over for the lack of it keeps that turn.
///
/// When the queue is full the least entitled waiter leaves: of the lowest priority, of the host
/// whose last turn would come last, of its connection and the lambda there for which that holds, the
/// latest. That may be the newcomer. A newcomer is shed as well if it would wait for longer than `max_wait`: those for
/// the same lambda and of the same priority that come before it, times the average interval at
/// which such are called up. As long as that is unknown everybody is let in. With nobody before it
/// a request always is.
///
/// It is not synchronised. Pushing, popping and removing cost the logarithm of the number of
/// waiters, plus, for a pop, a look at those who come first but for whose lambdas there is no room,
/// and for a push to a line that is too long a look at as many hosts in it as could be served within
/// `max_wait`. Memory is bounded whoever sends: by `max_waiting`, and some history of at most about
/// as many clients.
///
/// ```
/// use edge_balance::{Client, FairQueue, LambdaKey, Nanos, QueueConfig, Waiter};
///
/// let mut queue = FairQueue::new(QueueConfig::default());
/// let waiter = |host, lambda| Waiter {
///     client: Client { host, connection: 0 },
///     lambda: LambdaKey(lambda),
///     priority: 0,
///     max_wait: None,
/// };
/// for (host, lambda, item) in [(1, 7, "a"), (1, 7, "b"), (2, 7, "c"), (3, 8, "d")] {
///     assert!(queue.push(waiter(host, lambda), item, Nanos(0)).is_ok());
/// }
/// let mut pop = || queue.pop(Nanos(1), |lambda| lambda == LambdaKey(7)).map(|(_, item)| item);
/// assert_eq!([pop(), pop(), pop(), pop()], [Some("a"), Some("c"), Some("b"), None]);
/// ```
#[derive(Debug)]
pub struct FairQueue<T> {
    config: QueueConfig,
    classes: BTreeMap<Reverse<u8>, Class<T>>,
    places: BTreeMap<Key, (u8, Client, LambdaKey)>,
    /// Those with waiters.
    lambdas: BTreeMap<LambdaKey, Lambda>,
    /// Keys given out so far.
    keys: u64,
    /// Pops so far.
    pops: u64,
}

#[derive(Debug, Default)]
struct Lambda {
    waiting: usize,
    /// The pop that asked whether it has room, and what the answer was.
    asked: u64,
    room: bool,
}

impl<T> FairQueue<T> {
    /// An empty queue. A `max_waiting` that is out of range counts as the nearest in range.
    #[must_use]
    pub fn new(config: QueueConfig) -> Self {
        FairQueue {
            config: QueueConfig {
                max_waiting: config.max_waiting.clamp(1, 1 << 16),
                ..config
            },
            classes: BTreeMap::new(),
            places: BTreeMap::new(),
            lambdas: BTreeMap::new(),
            keys: 0,
            pops: 0,
        }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Lets a request wait.
    ///
    /// # Errors
    /// It is to be refused at once, because it would wait for too long, or because the queue is full
    /// of others that are more entitled.
    pub fn push(&mut self, waiter: Waiter, item: T, now: Nanos) -> Result<Pushed<T>, Shed<T>> {
        let key = self.insert(waiter, item, now);
        let max_wait = waiter.max_wait.unwrap_or(self.config.max_wait);
        let wait = self.expected_wait(key, waiter.lambda, max_wait, now);
        if wait > max_wait
            && let Some(item) = self.remove(key)
        {
            return Err(shed(item, key, wait));
        }
        if self.len() <= self.config.max_waiting {
            return Ok(Pushed {
                key,
                expected_wait: wait,
                displaced: None,
            });
        }
        match self.displace(now) {
            Some(displaced) if displaced.key == key => Err(displaced),
            displaced => Ok(Pushed {
                key,
                expected_wait: wait,
                displaced,
            }),
        }
    }

    /// Calls up the most entitled waiter whose lambda has room: it does not wait any more.
    /// `has_room` is asked at most once for each lambda.
    pub fn pop(
        &mut self,
        now: Nanos,
        mut has_room: impl FnMut(LambdaKey) -> bool,
    ) -> Option<(Key, T)> {
        self.pops += 1;
        let (pop, mut hopeful) = (self.pops, self.places.len());
        let lambdas = &mut self.lambdas;
        let mut open = |key| {
            let lambda = lambdas.get_mut(&key)?;
            if lambda.asked != pop {
                lambda.asked = pop;
                lambda.room = has_room(key);
                if !lambda.room {
                    hopeful -= lambda.waiting;
                }
            }
            (hopeful > 0).then_some(lambda.room)
        };
        let mut classes = self.classes.values();
        let key = classes.find_map(|class| class.first(&mut open))?;
        let item = self.take(key, Leaving::Called(now))?;
        Some((key, item))
    }

    /// Removes one that gave up; `None` if it does not wait any more.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.take(key, Leaving::TurnedAway)
    }

    fn insert(&mut self, waiter: Waiter, item: T, now: Nanos) -> Key {
        let key = Key(self.keys);
        self.keys += 1;
        let class = self.classes.entry(Reverse(waiter.priority));
        let class = class.or_insert_with(Class::new);
        class.push(waiter.client, key, waiter.lambda, item, now);
        let place = (waiter.priority, waiter.client, waiter.lambda);
        self.places.insert(key, place);
        self.lambdas.entry(waiter.lambda).or_default().waiting += 1;
        key
    }

    /// Turns the least entitled away.
    fn displace(&mut self, now: Nanos) -> Option<Shed<T>> {
        let mut lowest = self.classes.values().rev();
        let (key, lambda) = lowest.find_map(Class::hindmost)?;
        let wait = self.expected_wait(key, lambda, self.config.max_wait, now);
        let item = self.remove(key)?;
        Some(shed(item, key, wait))
    }

    fn take(&mut self, key: Key, why: Leaving) -> Option<T> {
        let (priority, client, lambda) = self.places.remove(&key)?;
        let class = self.classes.get_mut(&Reverse(priority))?;
        let item = class.take(client, lambda, key, why)?;
        let of_lambda = self.lambdas.get_mut(&lambda)?;
        of_lambda.waiting -= 1;
        if of_lambda.waiting == 0 {
            self.lambdas.remove(&lambda);
        }
        Some(item)
    }

    /// Of the last waiter of a client; zero if it is not known.
    fn expected_wait(&self, key: Key, lambda: LambdaKey, max_wait: Nanos, now: Nanos) -> Nanos {
        let long = max_wait.as_secs_f64();
        let seconds = self.places.get(&key).and_then(|(priority, client, _)| {
            let class = self.classes.get(&Reverse(*priority))?;
            class.expected_wait(*client, lambda, long, now)
        });
        seconds.map_or(Nanos::ZERO, Nanos::from_secs_f64)
    }
}

fn shed<T>(item: T, key: Key, expected_wait: Nanos) -> Shed<T> {
    Shed {
        item,
        key,
        push_back: expected_wait.clamp(SHORTEST_PUSH_BACK, LONGEST_PUSH_BACK),
        expected_wait,
    }
}
