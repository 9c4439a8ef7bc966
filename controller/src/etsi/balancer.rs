//! Keeps the routes of a proxy right: with each change of the computers, and periodically, since
//! contexts and latencies change, too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use edge_transport::control;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::Status;

use super::orders::{Order, Restraint, orders};
use super::proxy::Proxy;
use super::view::View;
use super::weights::Latencies;
use crate::fleet::Fleet;

/// How long computers may take to announce themselves to a controller that has just
/// started: three renewals of ours.
const START: Duration = Duration::from_secs(10);
/// How long changes are gathered, since they come in groups.
const GATHER: Duration = Duration::from_millis(50);
/// Periods that a client stays where it was moved to, so that what the move changes can be
/// measured before the next.
const SETTLING_PERIODS: u32 = 2;

/// Works until the controller ends.
pub(crate) async fn keep(fleet: Arc<Fleet>, proxy: Proxy, period: Duration) {
    let mut changes = fleet.changes();
    let mut balancer = Balancer {
        proxy,
        restraint: Restraint::default(),
        moved: BTreeMap::new(),
        started: Instant::now(),
        period,
        failing: false,
        first: true,
    };
    let mut latencies = Latencies::default();
    let mut measure_at = Instant::now();
    loop {
        if measure_at <= Instant::now() {
            let tables = fleet.view().tables;
            tokio::select! {
                measured = Latencies::measured(&fleet, &tables) => {
                    latencies = measured;
                    measure_at = Instant::now() + period;
                }
                // Routers that do not answer must not delay what follows from a change.
                changed = changes.changed() => if changed.is_err() {
                    return;
                }
            }
        }
        changes.borrow_and_update();
        balancer.round(&fleet.view(), &latencies).await;
        match timeout_at(measure_at, changes.changed()).await {
            Ok(Ok(())) => sleep(GATHER).await,
            Ok(Err(_)) => return,
            Err(_) => {}
        }
    }
}

#[derive(Debug)]
struct Balancer {
    proxy: Proxy,
    restraint: Restraint,
    /// When which client of which application was moved.
    moved: BTreeMap<(String, String), Instant>,
    started: Instant,
    period: Duration,
    failing: bool,
    first: bool,
}

impl Balancer {
    async fn round(&mut self, view: &View, latencies: &Latencies) {
        match self.tell(view, latencies).await {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!("the LCM proxy answers again");
            }
            Ok(()) => {}
            Err(status) => {
                if !self.failing {
                    self.failing = true;
                    let error = control::explain(&status);
                    tracing::warn!(error, "the LCM proxy cannot be told");
                }
                // It may have restarted, and know nothing any more.
                self.restraint.seen_apps.clear();
            }
        }
    }

    async fn tell(&mut self, view: &View, latencies: &Latencies) -> Result<(), Status> {
        let known = self.proxy.known().await?;
        if std::mem::take(&mut self.first) && !known.routes.is_empty() {
            tracing::warn!(
                routes = known.routes.len(),
                "the LCM proxy has routes already; they are taken over"
            );
        }
        let settled = self.period * SETTLING_PERIODS;
        self.moved.retain(|_, at| at.elapsed() < settled);
        self.restraint.settling = self.moved.keys().cloned().collect();
        self.restraint.starting = self.started.elapsed() < START;
        let endpoints = view.computers.iter().map(|c| c.endpoint.clone());
        self.restraint.seen.extend(endpoints);

        let latency = |app: &str, endpoint: &str| latencies.get(app, endpoint);
        let orders = orders(&known, &view.computers, latency, &self.restraint);
        for order in orders {
            if let Order::Associate {
                client,
                app,
                server,
            } = &order
            {
                tracing::info!(client, app, server, "route of the LCM proxy");
                if !client.is_empty() {
                    self.moved
                        .insert((client.clone(), app.clone()), Instant::now());
                }
            }
            self.proxy.carry_out(order).await?;
        }
        let served = view.apps();
        self.restraint
            .seen_apps
            .retain(|app| served.contains(app.as_str()));
        self.restraint
            .seen_apps
            .extend(served.iter().map(|app| (*app).to_owned()));
        if known.apps.is_some() {
            for app in served {
                if let Some(latency_ms) = latencies.best_ms(app) {
                    self.proxy.set_latency(app, latency_ms).await?;
                }
            }
        }
        Ok(())
    }
}
