//! What is done to the processes and connections of a scenario, and what is expected of routers.

mod behaviour;
mod control;
mod network;
mod process;

use std::time::{Duration, Instant};

use super::world::{Shape, World};
use crate::chaos::proxy::Treatment;

/// A fault. All concern the first computer, unless they say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fault {
    /// Its process is killed (SIGKILL), and restarted in the end
    Kill,
    /// Its process is frozen (SIGSTOP) for a while; its sockets stay open
    Stop,
    /// Nothing gets through to it, and attempts to connect get no answer
    BlackHole,
    /// It reads a few bytes per second
    SlowReader,
    /// Its connections are reset, and new ones, too, for a while
    Reset,
    /// Its connections are forgotten without a word; new ones work
    HalfOpen,
    /// It answers with garbage, and somebody sends garbage to the router
    Garbage,
    /// It is killed and restarted, again and again
    Flapping,
    /// It answers at once that it is not available
    FailUnavailable,
    /// It answers at once that it is overloaded
    FailOverloaded,
    /// It accepts connections and closes them
    FailClosing,
    /// Computers and routers are asked to end (SIGTERM) and restarted, one after the other
    RollingRestart,
    /// The controller is killed, then the computer; both come back
    ControllerAway,
    /// One of ten requests makes its function fail
    Poison,
}

/// When the fault happened, from the beginning of the load, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    pub(super) from: Duration,
    pub(super) until: Duration,
    /// Requests that reached the first computer meanwhile, where it counts.
    pub(super) reached: Option<u64>,
    /// Connections to the first computer that were accepted meanwhile, where there is a proxy.
    pub(super) connections: Option<u64>,
}

/// The times of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    pub(super) started: Instant,
    pub(super) before: Duration,
    pub(super) during: Duration,
    pub(super) after: Duration,
    /// From one blow to the next, where there are several.
    pub(super) period: Duration,
}

/// What routers are expected to achieve; `None`: nothing in particular.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Goals {
    /// Errors of requests that may be repeated.
    pub(super) idempotent_errors: Option<u64>,
    /// Errors of requests that may not.
    pub(super) once_errors: OnceErrors,
    /// Until the p99 is back.
    pub(super) recovery: Option<Duration>,
    /// Share of the requests that may reach the first computer, beyond the first twenty.
    pub(super) share: Option<f64>,
}

/// How many requests that may not be repeated may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnceErrors {
    None,
    /// As many as were at the computer, so many times.
    InFlight(u64),
    /// As many as a computer had begun with: whoever cuts its connections leaves nobody to tell what
    /// became of those.
    Begun,
    /// Any number.
    Any,
}

impl Fault {
    /// All of them, in the order of the table.
    pub(super) const ALL: [Self; 14] = [
        Self::Kill,
        Self::Stop,
        Self::BlackHole,
        Self::SlowReader,
        Self::Reset,
        Self::HalfOpen,
        Self::Garbage,
        Self::Flapping,
        Self::FailUnavailable,
        Self::FailOverloaded,
        Self::FailClosing,
        Self::RollingRestart,
        Self::ControllerAway,
        Self::Poison,
    ];

    /// Its name in tables and JSON lines.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::BlackHole => "black-hole",
            Self::SlowReader => "slow-reader",
            Self::Reset => "reset",
            Self::HalfOpen => "half-open",
            Self::Garbage => "garbage",
            Self::Flapping => "flapping",
            Self::FailUnavailable => "fail-unavailable",
            Self::FailOverloaded => "fail-overloaded",
            Self::FailClosing => "fail-closing",
            Self::RollingRestart => "rolling-restart",
            Self::ControllerAway => "controller-away",
            Self::Poison => "poison",
        }
    }

    /// What it needs beyond `shape`.
    pub(super) fn shape(self, shape: Shape) -> Shape {
        let proxied = match self {
            Self::BlackHole
            | Self::SlowReader
            | Self::Reset
            | Self::HalfOpen
            | Self::Garbage
            | Self::FailClosing => 1,
            _ => 0,
        };
        Shape {
            proxied,
            controlled: matches!(self, Self::RollingRestart | Self::ControllerAway),
            routers: match self {
                Self::RollingRestart => shape.routers.max(2),
                _ => shape.routers,
            },
            ..shape
        }
    }

    /// Share of requests whose function fails.
    pub(super) fn poisoned(self) -> f64 {
        if self == Self::Poison { 0.1 } else { 0.0 }
    }

    /// True if routers end, and with them what they have counted.
    pub(super) fn ends_routers(self) -> bool {
        self == Self::RollingRestart
    }

    /// True if there is no steady state before it is over.
    pub(super) fn is_unsteady(self) -> bool {
        matches!(self, Self::Flapping | Self::RollingRestart)
    }

    pub(super) fn goals(self, schedule: &Schedule) -> Goals {
        let within = |seconds| Goals {
            idempotent_errors: Some(1),
            once_errors: OnceErrors::InFlight(1),
            recovery: Some(Duration::from_secs(seconds)),
            share: None,
        };
        let none = Goals {
            idempotent_errors: Some(0),
            once_errors: OnceErrors::None,
            recovery: None,
            share: None,
        };
        let shunned = Goals {
            once_errors: OnceErrors::Any,
            share: Some(0.01),
            ..none
        };
        match self {
            Self::Kill => within(1),
            Self::Reset | Self::Garbage => Goals {
                once_errors: OnceErrors::Begun,
                ..within(1)
            },
            Self::Stop | Self::BlackHole | Self::SlowReader | Self::HalfOpen => within(3),
            Self::ControllerAway => Goals {
                recovery: None,
                ..within(1)
            },
            Self::Flapping => {
                let blows = schedule.blows();
                Goals {
                    idempotent_errors: Some(blows),
                    once_errors: OnceErrors::InFlight(blows),
                    recovery: None,
                    share: None,
                }
            }
            Self::FailUnavailable => shunned,
            Self::FailOverloaded => Goals {
                once_errors: OnceErrors::None,
                ..shunned
            },
            Self::FailClosing => Goals {
                once_errors: OnceErrors::Begun,
                ..shunned
            },
            Self::RollingRestart | Self::Poison => none,
        }
    }

    /// Lets it happen, when it is time, and undoes it.
    pub(super) async fn inject(
        self,
        world: &mut World,
        schedule: &Schedule,
    ) -> anyhow::Result<Trouble> {
        match self {
            Self::Kill => process::kill(world, schedule).await,
            Self::Stop => process::stop(world, schedule).await,
            Self::Flapping => process::flap(world, schedule).await,
            Self::RollingRestart => process::restart_all(world, schedule).await,
            Self::BlackHole => network::treat(world, schedule, Treatment::BlackHole).await,
            Self::SlowReader => network::treat(world, schedule, Treatment::Trickle).await,
            Self::Reset => network::treat(world, schedule, Treatment::Reset).await,
            Self::FailClosing => network::treat(world, schedule, Treatment::Close).await,
            Self::HalfOpen => network::forget(world, schedule).await,
            Self::Garbage => network::garble(world, schedule).await,
            Self::FailUnavailable => behaviour::refuse(world, schedule, false).await,
            Self::FailOverloaded => behaviour::refuse(world, schedule, true).await,
            Self::Poison => behaviour::none(schedule).await,
            Self::ControllerAway => control::lose(world, schedule).await,
        }
    }
}

impl Schedule {
    /// Waits for the moment of the fault; how late it is by then.
    async fn fault(&self) -> Duration {
        let at = self.started + self.before;
        tokio::time::sleep_until(at.into()).await;
        self.started.elapsed()
    }

    /// Waits for the end of the fault.
    async fn end(&self) {
        let at = self.started + self.before + self.during;
        tokio::time::sleep_until(at.into()).await;
    }

    /// How often something is struck that is struck periodically.
    fn blows(&self) -> u64 {
        let blows = self.during.as_secs_f64() / self.period.as_secs_f64();
        (blows.round() as u64).max(1)
    }

    /// What has happened since `from`.
    fn trouble(&self, from: Duration) -> Trouble {
        Trouble {
            from,
            until: self.started.elapsed(),
            reached: None,
            connections: None,
        }
    }
}
