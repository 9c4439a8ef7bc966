//! One task per router that makes its table what it ought to be, at the router's own pace.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use edge_proto::rpc::edge_router_conf::Filling;
use edge_transport::{Endpoint, Seldom};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::fleet::Fleet;
use crate::inbox::{Contact, Inbox, Taken};
use crate::ledger::{Differences, Ledger, Order};
use crate::names::Address;
use crate::table::{Fault, Refusal, Table};

/// Orders up to this number are carried out one after the other, as they came.
const IN_ORDER: usize = 32;
/// Of more, as many are under way at the same time: a router far away would
/// otherwise take minutes for a large table.
const AT_ONCE: usize = 32;
/// Failed attempts after which a router is said to be set aside.
const SET_ASIDE_AFTER: u32 = 3;

/// Sees to the table of one router.
#[derive(Debug)]
pub(crate) struct Pusher {
    router: Address,
    inbox: Arc<Inbox>,
    fleet: Arc<Fleet>,
    table: Table,
    ledger: Ledger,
    /// When the table is to be compared again with what it ought to be.
    reconcile_at: Instant,
    failing: Option<Failing>,
    /// A router may refuse whatever it is asked for, and take it the next time.
    refusals: Seldom,
}

/// A router that does not answer.
#[derive(Debug)]
struct Failing {
    attempts: u32,
    since: Instant,
}

impl Pusher {
    /// For `router`, known by what comes in by `inbox`. To be called, and run,
    /// on the runtime that the connection shall live on.
    pub(crate) fn new(
        router: Address,
        table: &Endpoint,
        inbox: Arc<Inbox>,
        fleet: Arc<Fleet>,
    ) -> Self {
        Self {
            router,
            inbox,
            table: fleet.table_at(table),
            reconcile_at: Instant::now() + jittered(fleet.push().reconcile_interval),
            fleet,
            ledger: Ledger::default(),
            failing: None,
            refusals: Seldom::default(),
        }
    }

    /// Works until the router is forgotten, or `finish` is asked for and there
    /// is nothing left that this router can be told.
    pub(crate) async fn run(mut self, finish: CancellationToken) {
        loop {
            let finishing = finish.is_cancelled();
            match self.round().await {
                Ok(()) if finishing && self.inbox.is_empty() => return,
                Ok(()) => tokio::select! {
                    () = self.inbox.wake.notified() => {}
                    () = sleep_until(self.reconcile_at) => {}
                    () = finish.cancelled(), if !finishing => {}
                },
                Err(_) if finishing => return,
                Err(fault) => {
                    let until = Instant::now() + self.failed(&fault);
                    tokio::select! {
                        () = self.announced() => {}
                        () = sleep_until(until) => {}
                        () = finish.cancelled() => {}
                    }
                }
            }
        }
    }

    /// Waits until the router announces itself.
    async fn announced(&self) {
        while !self.inbox.is_announced() {
            self.inbox.wake.notified().await;
        }
    }

    /// Does all that there is to do now.
    async fn round(&mut self) -> Result<(), Fault> {
        let Taken {
            moved,
            reconcile,
            wishes,
        } = self.inbox.take();
        if let Some(table) = moved {
            self.table = self.fleet.table_at(&table);
            self.ledger.postpone(Vec::new());
        }
        let now = Instant::now();
        let reconcile = reconcile
            || self.failing.is_some()
            || self.reconcile_at <= now
            || self.ledger.has_to_read(&wishes);
        let mut orders = Vec::new();
        if reconcile {
            match self.difference().await {
                Ok(found) => orders = found,
                Err(fault) => {
                    self.ledger.postpone(wishes);
                    return Err(fault);
                }
            }
        }
        if !wishes.is_empty() {
            // What was wished for counts; the comparison is for the rest.
            let wished: HashSet<_> = wishes.iter().map(|(r, _)| r).collect();
            orders.retain(|order| !wished.contains(order.route()));
            orders.extend(self.ledger.orders(wishes));
        }
        let contacted = reconcile || !orders.is_empty();
        if reconcile {
            self.complete(orders).await?;
        } else {
            self.carry_out(orders, Filling::Unsaid).await?;
        }
        if contacted {
            self.answered();
        }
        Ok(())
    }

    /// Reads the table, and finds what has to be done to it.
    async fn difference(&mut self) -> Result<Vec<Order>, Fault> {
        let reading = self.table.read().await?;
        let desired = self.fleet.desired();
        let is_gone = |destination: &Address| self.fleet.is_gone(destination, &desired);
        let (orders, differences) = self.ledger.difference(reading, &desired, is_gone);
        let interval = self.fleet.push().reconcile_interval;
        self.reconcile_at = Instant::now() + jittered(interval);
        let Differences {
            missing,
            finality,
            stale,
        } = differences;
        let metrics = self.fleet.metrics();
        metrics.differed("missing", missing);
        metrics.differed("not-final", finality);
        metrics.differed("stale", stale);
        if missing + finality + stale > 0 {
            tracing::info!(router = %self.router, missing, finality, stale, "table differs and is put right");
        }
        Ok(orders)
    }

    /// Carries out all that the table lacks, and lets the router know when that is done: until then
    /// one that has just started does not say of a lambda that it is not found.
    async fn complete(&mut self, mut orders: Vec<Order>) -> Result<(), Fault> {
        let last = orders.pop();
        // As long as not everybody is known there is more to come.
        let end = match self.fleet.is_settled() {
            true => Filling::Complete,
            false => Filling::MoreFollow,
        };
        self.carry_out(orders, Filling::MoreFollow).await?;
        self.carry_out(last.into_iter().collect(), end).await
    }

    async fn carry_out(&mut self, orders: Vec<Order>, filling: Filling) -> Result<(), Fault> {
        let width = if orders.len() <= IN_ORDER { 1 } else { AT_ONCE };
        let table = self.table.clone();
        let mut outcomes = stream::iter(orders)
            .map(|order| {
                let table = &table;
                async move {
                    let outcome = table.carry_out(&order, filling).await;
                    (order, outcome)
                }
            })
            .buffered(width);
        while let Some((order, outcome)) = outcomes.next().await {
            match outcome? {
                Ok(()) => {
                    self.fleet.metrics().pushed(action(&order), true);
                    self.ledger.accepted(&order);
                }
                Err(refusal) => self.refused(&order, &refusal),
            }
        }
        Ok(())
    }

    fn refused(&mut self, order: &Order, Refusal(said): &Refusal) {
        self.fleet.metrics().pushed(action(order), false);
        if !self.ledger.refused(order) {
            return;
        }
        let Some(others) = self.refusals.due(Instant::now().into_std()) else {
            return;
        };
        let route = order.route();
        tracing::error!(
            router = %self.router,
            lambda = ?route.lambda.as_str(),
            destination = %route.destination,
            action = action(order),
            said = beginning(said),
            others,
            "the router refuses an entry; it is tried again, and reported when it changes"
        );
    }

    fn answered(&mut self) {
        if let Some(Failing { attempts, since }) = self.failing.take()
            && attempts >= SET_ASIDE_AFTER
        {
            let after_s = since.elapsed().as_secs();
            tracing::info!(router = %self.router, after_s, "router answers again");
        }
        self.inbox.set_contact(Contact::Answers);
    }

    /// Takes note of a failure; returns how long to wait before the next attempt.
    fn failed(&mut self, fault: &Fault) -> Duration {
        self.fleet.metrics().failed();
        self.ledger.postpone(Vec::new());
        let failing = self.failing.get_or_insert_with(|| Failing {
            attempts: 0,
            since: Instant::now(),
        });
        failing.attempts = failing.attempts.saturating_add(1);
        let attempts = failing.attempts;
        let error = fault.to_string();
        let error = beginning(&error);
        if attempts == SET_ASIDE_AFTER {
            tracing::warn!(router = %self.router, error, "router does not answer: set aside until it does");
        } else {
            tracing::debug!(router = %self.router, attempts, error, "router does not answer");
        }
        let error = error.into();
        self.inbox.set_contact(Contact::Fails { attempts, error });
        // A connection that has gone quiet must not outlive what was asked on it.
        self.table = self.fleet.table_at(&self.inbox.table());
        if failing.since.elapsed() >= self.fleet.forget_after() {
            self.fleet.forget_unreachable_router(&self.router);
        }
        let push = self.fleet.push();
        let doubled = push.first_retry.saturating_mul(1 << (attempts - 1).min(16));
        jittered(doubled.min(push.last_retry))
    }
}

fn action(order: &Order) -> &'static str {
    match order {
        Order::Change { .. } => "change",
        Order::Replace { .. } => "replace",
        Order::Remove { .. } => "remove",
    }
}

/// As much of what a router says as people are shown.
fn beginning(text: &str) -> &str {
    const MOST: usize = 300;
    &text[..text.floor_char_boundary(MOST)]
}

/// Somewhat less than `duration`, so that routers that were started together
/// are not called together for ever.
fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(rand::random_range(0.75..=1.0))
}
