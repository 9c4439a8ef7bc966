//! The waiters of one priority: hosts take turns, within each host its connections, and within each
//! connection the lambdas that it asks for.

use super::line::Line;
use super::pace::Pace;
use super::queue::{Client, Key, LambdaKey};
use super::turns::Turns;
use crate::Nanos;
use std::collections::{BTreeMap, VecDeque};

/// Lambdas that nobody waits for whose pace is remembered, at most.
const REMEMBERED_LINES: usize = 1024;
/// A wait that is so many times too long may be even longer: it is not looked at any further.
const FAR_TOO_LONG: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Class<T> {
    turns: Turns,
    hosts: BTreeMap<u64, Host<T>>,
    lines: BTreeMap<LambdaKey, Line>,
}

/// Only while somebody of it waits.
#[derive(Debug)]
struct Host<T> {
    turns: Turns,
    connections: BTreeMap<u64, Connection<T>>,
}

/// Only while somebody of it waits.
#[derive(Debug)]
struct Connection<T> {
    turns: Turns,
    /// Of each lambda those that wait, in the order of keys, which is that of arrival.
    lambdas: BTreeMap<u64, VecDeque<(Key, T)>>,
    pace: Pace,
}

/// Why somebody does not wait any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// It is its turn, now.
    Called(Nanos),
    /// It gave up or was turned away.
    TurnedAway,
}

impl<T> Class<T> {
    pub(super) fn new() -> Self {
        Class {
            turns: Turns::default(),
            hosts: BTreeMap::new(),
            lines: BTreeMap::new(),
        }
    }

    pub(super) fn push(
        &mut self,
        client: Client,
        key: Key,
        lambda: LambdaKey,
        item: T,
        now: Nanos,
    ) {
        self.turns.join(client.host, key.0);
        let host = self.hosts.entry(client.host).or_insert_with(|| Host {
            turns: Turns::default(),
            connections: BTreeMap::new(),
        });
        host.turns.join(client.connection, key.0);
        let connection = host.connections.entry(client.connection);
        let connection = connection.or_insert_with(|| {
            let mut pace = Pace::default();
            pace.begin(now);
            Connection {
                turns: Turns::default(),
                lambdas: BTreeMap::new(),
                pace,
            }
        });
        connection.turns.join(lambda.0, key.0);
        let waiting = connection.lambdas.entry(lambda.0).or_default();
        waiting.push_back((key, item));
        if !self.lines.contains_key(&lambda) && self.lines.len() >= REMEMBERED_LINES {
            self.lines.retain(|_, line| line.waiting() > 0);
        }
        self.lines.entry(lambda).or_default().join(client.host, now);
    }

    /// The most entitled waiter for a lambda that is `open`; `None` once `open` says `None`: there
    /// is no point in going on.
    pub(super) fn first(&self, mut open: impl FnMut(LambdaKey) -> Option<bool>) -> Option<Key> {
        for id in self.turns.in_order() {
            let host = self.hosts.get(&id)?;
            for connection in host.turns.in_order() {
                let connection = host.connections.get(&connection)?;
                for lambda in connection.turns.in_order() {
                    if open(LambdaKey(lambda))? {
                        let (key, _) = connection.lambdas.get(&lambda)?.front()?;
                        return Some(*key);
                    }
                }
            }
        }
        None
    }

    /// The waiter that would be called last, and what for.
    pub(super) fn hindmost(&self) -> Option<(Key, LambdaKey)> {
        let host = self.hosts.get(&self.turns.hindmost()?)?;
        let connection = host.connections.get(&host.turns.hindmost()?)?;
        let lambda = connection.turns.hindmost()?;
        let (key, _) = connection.lambdas.get(&lambda)?.back()?;
        Some((*key, LambdaKey(lambda)))
    }

    pub(super) fn take(
        &mut self,
        client: Client,
        lambda: LambdaKey,
        key: Key,
        why: Leaving,
    ) -> Option<T> {
        let host = self.hosts.get_mut(&client.host)?;
        let connection = host.connections.get_mut(&client.connection)?;
        let waiting = connection.lambdas.get_mut(&lambda.0)?;
        let place = waiting.binary_search_by_key(&key, |(key, _)| *key);
        let (_, item) = waiting.remove(place.ok()?)?;
        if waiting.is_empty() {
            connection.lambdas.remove(&lambda.0);
        }
        match why {
            Leaving::Called(now) => {
                connection.turns.serve(lambda.0);
                connection.pace.called(now);
            }
            Leaving::TurnedAway => connection.turns.leave(lambda.0),
        }
        if connection.lambdas.is_empty() {
            host.connections.remove(&client.connection);
        }
        let line = self.lines.get_mut(&lambda);
        match why {
            Leaving::Called(now) => {
                host.turns.serve(client.connection);
                self.turns.serve(client.host);
                line.into_iter().for_each(|line| {
                    line.leave(client.host);
                    line.called(now);
                });
            }
            Leaving::TurnedAway => {
                host.turns.leave(client.connection);
                self.turns.leave(client.host);
                line.into_iter().for_each(|line| line.leave(client.host));
            }
        }
        if host.connections.is_empty() {
            self.hosts.remove(&client.host);
        }
        Some(item)
    }

    /// How long the last waiter of a client, which is for `lambda`, is going to wait; `None` if the
    /// pace of the lambda is unknown. All in seconds; when the whole line is not too long, or those
    /// ahead in it are, it is the wait for the whole line. So nobody who makes a line long makes it
    /// costly to turn others away.
    pub(super) fn expected_wait(
        &self,
        client: Client,
        lambda: LambdaKey,
        too_long: f64,
        now: Nanos,
    ) -> Option<f64> {
        let line = self.lines.get(&lambda)?;
        let interval = line.interval(now)?;
        // Others may yet come and go before it, so what it is used to counts as well.
        let own = self.own_wait(client, lambda, too_long, now);
        let own = own.unwrap_or_default();
        if own > too_long {
            return Some(own);
        }
        let whole = line.waiting().saturating_sub(1) as f64 * interval;
        if whole <= too_long {
            return Some(whole.max(own));
        }
        let ahead = self.ahead(client, line, too_long / interval)? * interval;
        Some(if ahead <= too_long {
            ahead.max(own)
        } else {
            whole
        })
    }

    /// How long the last waiter of a connection for `lambda` is going to wait at the pace of that
    /// connection, as far as it is not far too long.
    fn own_wait(
        &self,
        client: Client,
        lambda: LambdaKey,
        too_long: f64,
        now: Nanos,
    ) -> Option<f64> {
        let host = self.hosts.get(&client.host)?;
        let connection = host.connections.get(&client.connection)?;
        let interval = connection.pace.interval(now)?;
        let before = connection
            .turns
            .before_last(lambda.0, FAR_TOO_LONG * too_long / interval);
        Some(before as f64 * interval)
    }

    /// Those of a line that come before the last waiter of a client, counted no further than
    /// `enough`. Among the waiters of a host lambdas are taken to be mixed evenly.
    fn ahead(&self, client: Client, line: &Line, enough: f64) -> Option<f64> {
        let turns = &self.hosts.get(&client.host)?.turns;
        let others = self.turns.waiting(client.host).saturating_sub(1).max(1) as f64;
        let share = line.waiting_of(client.host).saturating_sub(1) as f64 / others;
        let own = turns.before_last(client.connection, enough / share);
        let mut ahead = own as f64 * share;
        let start = self.turns.start(client.host, own);
        for (host, of_line) in line.hosts().filter(|(host, _)| *host != client.host) {
            if ahead > enough {
                break;
            }
            let share = of_line as f64 / self.turns.waiting(host).max(1) as f64;
            ahead += self.turns.turns_before(host, start) as f64 * share;
        }
        Some(ahead)
    }
}
