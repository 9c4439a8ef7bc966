//! `lab demo`: the main job on one machine, with a slow-down and a crash on the way.

mod ledger;
mod load;
mod screen;
mod story;
mod world;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use edge_daemon::lifecycle::Shutdown;
use edge_daemon::{Interrupted, UsageError, signals};

use self::ledger::Ledger;
use self::screen::Screen;
use self::world::{FAST, MEDIUM, World};

/// Options of the demo.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Length of the run, in seconds, at least 10
    #[arg(long, default_value_t = 15.0)]
    seconds: f64,
    /// Requests per second
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
}

impl Flags {
    fn check(&self) -> Result<(), UsageError> {
        let wrong = if !(10.0..=3600.0).contains(&self.seconds) {
            "--seconds takes 10 to 3600: less leaves no time to come back"
        } else if !(1.0..=5000.0).contains(&self.rate) {
            "--rate takes 1 to 5000"
        } else {
            return Ok(());
        };
        Err(UsageError(wrong.to_owned()))
    }
}

/// How many times slower the fastest computer becomes.
const SLOW_DOWN: f64 = 6.0;
/// Pause between two looks at the table.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// When what happens, from the first request.
#[derive(Debug, Clone, Copy)]
struct Plan {
    slow_down: Duration,
    crash: Duration,
    back: Duration,
    end: Duration,
}

impl Plan {
    fn of(length: Duration) -> Self {
        let crash = length * 2 / 3;
        Self {
            slow_down: length / 3,
            crash,
            back: crash + length / 10,
            end: length,
        }
    }
}

/// Runs the demo. Fails if a client saw a failure.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    flags.check()?;
    let shutdown = Shutdown::new();
    signals::install(&shutdown)?;
    let plan = Plan::of(Duration::from_secs_f64(flags.seconds));

    println!("controller, three unequal computers, a router and a client, over loopback sockets");
    let mut world = World::start().await?;
    world.introduce();

    let ledger = Arc::new(Mutex::new(Ledger::new(world.names())));
    let load = tokio::spawn(load::run(
        world.router_endpoint(),
        flags.rate,
        plan.end,
        ledger.clone(),
        shutdown.clone(),
    ));
    let interrupted = direct(&mut world, plan, &ledger, &shutdown).await?;
    load.await?;

    let (requests, failed) = {
        let ledger = lock(&ledger);
        story::tell(&ledger, &plan, &world, interrupted);
        (ledger.requests(), ledger.failed())
    };
    world.stop().await;
    println!("requests {requests} failed {failed}");
    anyhow::ensure!(failed == 0, "{failed} of {requests} requests failed");
    anyhow::ensure!(requests > 0, "no request was answered");
    if interrupted {
        return Err(Interrupted(shutdown.requested().await).into());
    }
    Ok(())
}

/// Lets things happen when it is their time, and shows what follows. Returns
/// true if the user ended it early.
async fn direct(
    world: &mut World,
    plan: Plan,
    ledger: &Mutex<Ledger>,
    shutdown: &Shutdown,
) -> anyhow::Result<bool> {
    let started = Instant::now();
    let mut screen = Screen::new();
    let events = [plan.slow_down, plan.crash, plan.back, plan.end];
    let mut next_event = 0;
    let mut next_look = LOOK_EVERY;
    while next_event < events.len() {
        let due = events[next_event].min(next_look);
        let pause = due.saturating_sub(started.elapsed());
        tokio::select! {
            _ = shutdown.requested() => return Ok(true),
            () = tokio::time::sleep(pause) => {}
        }
        let now = started.elapsed();
        if now >= next_look {
            next_look += LOOK_EVERY;
            screen.show(now, &lock(ledger).look(), &world.router().destinations());
        }
        if now < events[next_event] {
            continue;
        }
        match next_event {
            0 => {
                world.slow_down(FAST, SLOW_DOWN)?;
                screen.announce(
                    now,
                    &format!("{} becomes {SLOW_DOWN} times slower", world.label(FAST)),
                );
            }
            1 => {
                world.kill(MEDIUM).await;
                screen.announce(
                    now,
                    &format!(
                        "{} dies: connections reset, no good-bye",
                        world.label(MEDIUM)
                    ),
                );
            }
            2 => {
                world.revive(MEDIUM).await?;
                screen.announce(now, &format!("{} is back", world.label(MEDIUM)));
            }
            _ => {}
        }
        next_event += 1;
    }
    Ok(false)
}

fn lock(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
