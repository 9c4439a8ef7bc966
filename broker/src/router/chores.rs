//! What a router does again and again while it runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_balance::Nanos;
use rand::Rng as _;
use rand_pcg::Pcg64Mcg;
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::clock::Clock;
use crate::forward::Forwarder;
use crate::tables::Tables;

/// How often cores measure how late they are.
const WATCH_EVERY: Duration = Duration::from_millis(10);
/// How often destinations that owe answers are looked for.
const INSPECT_EVERY: Duration = Duration::from_millis(50);
/// How often connections to destinations that are gone are closed.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Lets the optimizers work when it is time.
pub(super) async fn tick(tables: Arc<Tables>, clock: Clock, stop: CancellationToken) {
    /// Pause when nothing is due.
    const IDLE: Duration = Duration::from_secs(1);
    loop {
        let now = clock.now();
        let pause = tables.next_tick(now).map_or(IDLE, |due| {
            Duration::from_nanos(due.0.saturating_sub(now.0)).min(IDLE)
        });
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => tables.tick(clock.now()),
        }
    }
}

/// Sets destinations aside that have fallen silent.
pub(super) async fn inspect(tables: Arc<Tables>, clock: Clock, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INSPECT_EVERY) => tables.inspect(clock.now()),
        }
    }
}

/// Calls up those who wait for places that nobody gives back.
pub(super) async fn look_after(admission: Arc<Admission>, stop: CancellationToken) {
    let rng = Pcg64Mcg::new(rand::rng().next_u64().into());
    tokio::select! {
        () = stop.cancelled() => {}
        () = admission.look_after(rng) => {}
    }
}

/// Measures how late a core is, and bounds its requests accordingly.
pub(super) async fn watch(
    forwarder: Arc<Forwarder>,
    core: usize,
    clock: Clock,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let due = Instant::now() + WATCH_EVERY;
        tokio::time::sleep_until(due.into()).await;
        let late = Nanos::from(due.elapsed());
        let in_flight = forwarder.in_flight(core);
        forwarder
            .core_limit(core)
            .observed(late, in_flight, clock.now());
    }
}

/// Closes connections to destinations that are gone.
pub(super) async fn sweep(forwarder: Arc<Forwarder>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP_EVERY) => forwarder.forget_unused_destinations(),
        }
    }
}
