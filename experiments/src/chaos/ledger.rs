//! Many requests amid random trouble: do the books of client, router and computers agree?
//!
//! A closed loop keeps many requests in flight. A seed decides which of them the client gives up
//! or allows hardly any time, and when computers are killed, frozen, and cut off. In the end each
//! request has exactly one end at the client, and what the router has counted and the computers
//! have written down must account for all of them.

mod audit;
mod misfortune;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use edge_transport::{Cores, Endpoint};
use indicatif::ProgressBar;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;

use self::audit::Audit;
use self::misfortune::Misfortunes;
use super::load::{Client, End, GRACE, Kind};
use super::world::{Shape, World};

/// Requests in flight.
const IN_FLIGHT: usize = 64;
/// Connections of the client.
const CONNECTIONS: usize = 16;
/// How long the client waits for an answer, if it is patient.
const PATIENT: Duration = Duration::from_secs(10);
/// Longest time for which it waits if it is not: less than many requests take.
const IMPATIENT: Duration = Duration::from_millis(3);
/// Share of the requests that are given up, and of those with a deadline that is too early.
const IMPATIENCE: f64 = 0.01;

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) requests: u64,
    pub(super) seed: u64,
    /// Mean time from one misfortune to the next.
    pub(super) every: Duration,
}

/// What became of one request at the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    number: u64,
    kind: Kind,
    /// `None`: the client has given it up.
    end: Option<End>,
}

/// Runs it, prints the books, and fails if they do not agree. The processes end with the future.
pub(super) async fn run(plan: &Plan, json: bool, progress: &ProgressBar) -> anyhow::Result<()> {
    let shape = Shape {
        computers: 4,
        routers: 1,
        proxied: 2,
        controlled: false,
        workers: u32::try_from(IN_FLIGHT)?,
        service: Duration::from_micros(200),
    };
    let mut world = World::start(&shape).await?;
    let started = Instant::now();
    let (entries, misfortunes) = {
        let load = offer(plan, world.routers[0].endpoint().clone(), progress);
        let mut misfortunes = Misfortunes::default();
        let done = tokio_util::sync::CancellationToken::new();
        let ended = done.clone();
        let load = async move {
            let entries = load.await;
            ended.cancel();
            entries
        };
        let trouble = misfortunes.befall(&mut world, plan, &done);
        let (entries, trouble) = tokio::join!(load, trouble);
        trouble?;
        (entries?, misfortunes)
    };
    let elapsed = started.elapsed();
    let (totals, account) = settled(&world).await?;
    let audit = Audit::of(&entries, &totals, &account, &misfortunes, elapsed)?;
    if json {
        println!("{}", serde_json::to_string(&audit)?);
    } else {
        audit.print();
    }
    anyhow::ensure!(audit.agrees(), "the books do not agree");
    Ok(())
}

/// Keeps requests in flight until all have been sent and have ended.
async fn offer(
    plan: &Plan,
    router: Endpoint,
    progress: &ProgressBar,
) -> anyhow::Result<Vec<Entry>> {
    let cores = Cores::start("load", NonZeroUsize::MIN)?;
    let core = &cores.all()[0];
    let next = Arc::new(AtomicU64::new(0));
    let routers: Arc<[Endpoint]> = [router].into();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| Client::new(core, routers.clone()))
        .collect();
    let workers: Vec<_> = (0..IN_FLIGHT)
        .map(|worker| {
            let client = clients[worker % CONNECTIONS].clone();
            let (next, plan, progress) = (next.clone(), *plan, progress.clone());
            core.spawn(async move {
                let mut entries = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= plan.requests {
                        return entries;
                    }
                    entries.push(ask(&client, number, plan.seed).await);
                    progress.inc(1);
                }
            })
        })
        .collect();
    let mut entries = Vec::new();
    for worker in workers {
        entries.extend(worker.await?);
    }
    cores.join().await;
    Ok(entries)
}

/// Sends one request, and gives it up if the seed says so.
async fn ask(client: &Client, number: u64, seed: u64) -> Entry {
    let mut random = Pcg64::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
    let kind = if random.random_bool(0.5) {
        Kind::Idempotent
    } else {
        Kind::Once
    };
    let gives_up = random.random_bool(IMPATIENCE);
    let hurries = random.random_bool(IMPATIENCE);
    let short = IMPATIENT.mul_f64(random.random());
    let patience = if hurries { short } else { PATIENT };
    let call = client.ask(number, kind, Instant::now() + patience);
    let end = if gives_up {
        tokio::time::timeout(short, call).await.ok()
    } else {
        let end = tokio::time::timeout(patience + GRACE, call).await;
        Some(end.unwrap_or(End::Lost))
    };
    Entry { number, kind, end }
}

/// What router and computers say when requests that were given up are over there, too.
async fn settled(world: &World) -> anyhow::Result<(super::world::Totals, super::journal::Account)> {
    const PATIENCE: Duration = Duration::from_secs(20);
    const PAUSE: Duration = Duration::from_millis(100);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let totals = world.totals().await.context("the router does not answer")?;
        let account = world.account()?;
        let is_settled = totals.in_flight()? == 0 && account.unfinished == 0;
        if is_settled || Instant::now() >= deadline {
            return Ok((totals, account));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How often each end occurred, by its name.
fn ends(entries: &[Entry]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for entry in entries {
        let name = match entry.end {
            Some(End::Right) => "right",
            Some(End::Error(name)) => name,
            Some(End::Mistaken) => "mistaken",
            Some(End::Lost) => "lost",
            None => "given-up",
        };
        *counts.entry(name).or_default() += 1;
    }
    counts
}
