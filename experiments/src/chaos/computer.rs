//! A simulated computer in a process of its own, which keeps a journal and fails as it is told.

mod announcer;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use edge_computer::executor::{ExecutionError, Executor as _, Invocation, Patience};
use edge_computer::platform::Simulated;
use edge_computer::sim::{Computer, Estimator, Lambda, Processor, ProcessorKind, Requirements};
use edge_daemon::lifecycle::Shutdown;
use edge_daemon::signals;
use edge_proto::OK;
use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use edge_transport::{
    Core, Cores, Endpoint, LambdaHandler, Listener, Server, Typed, TypedReply, services,
};

use self::announcer::Announcer;
use super::journal::{Event, Journal};
use super::request::{self, LAMBDA, POISON};

/// How long a computer that is asked to end lets requests finish.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a request may wait for its turn.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Options of the computer.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Where to serve
    #[arg(long)]
    endpoint: Endpoint,
    /// File of the journal
    #[arg(long)]
    journal: PathBuf,
    /// Requests executed at the same time
    #[arg(long)]
    workers: u32,
    /// How long each takes, in microseconds
    #[arg(long)]
    service_us: u32,
    /// Where to announce itself
    #[arg(long)]
    controller: Option<Endpoint>,
}

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// As it should.
    Well = 0,
    /// At once, that it is not available.
    Unavailable = 1,
    /// At once, that it has too much to do.
    Overloaded = 2,
}

impl Mood {
    const ALL: [Self; 3] = [Self::Well, Self::Unavailable, Self::Overloaded];

    /// The line on standard input that makes a computer behave so.
    pub(super) fn command(self) -> String {
        (self as u8).to_string()
    }
}

#[derive(Debug)]
struct Service {
    simulated: Simulated,
    journal: Journal,
    mood: AtomicU8,
}

/// Serves until it is asked to end, which lets requests finish, or its standard input ends.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    let listener = Listener::bind(&flags.endpoint)?;
    let cores = Arc::new(Cores::start("computer", NonZeroUsize::MIN)?);
    let service = Arc::new(Service {
        simulated: Simulated::start(platform(flags)?, Estimator::Exact, MAX_WAIT)?,
        journal: Journal::open(&flags.journal)?,
        mood: AtomicU8::new(Mood::Well as u8),
    });
    let (_health, routes) = services::standard();
    let server = Server::new(routes)
        .with_lambda(Arc::new(Typed(Handler(service.clone()))))
        .serve(listener, &cores);
    let shutdown = Shutdown::new();
    signals::install(&shutdown)?;
    let announcer = flags
        .controller
        .as_ref()
        .map(|at| Announcer::start(at, &flags.endpoint, service.simulated.containers()));
    println!("{}", server.local_addr());
    let told = tokio::task::spawn_blocking(move || service.obey());
    tokio::select! {
        // The parent holds the other end: it cannot leave us behind.
        obeyed = told => return obeyed?,
        _ = shutdown.requested() => {}
    }
    if let Some(announcer) = announcer {
        announcer.withdraw().await;
    }
    anyhow::ensure!(server.drain(DRAIN).await, "requests have been cut off");
    // The thread that waits for standard input cannot be interrupted.
    std::process::exit(0)
}

fn platform(flags: &Flags) -> anyhow::Result<Computer> {
    /// Operations per second: one takes a microsecond.
    const SPEED: f64 = 1e6;
    let mut builder = Computer::builder("chaos");
    let cores = flags.workers;
    builder.add_processor(Processor::new(
        "cpu",
        ProcessorKind::GenericCpu,
        SPEED,
        cores,
        u64::from(u32::MAX),
    )?)?;
    let requirements = Requirements::Fixed {
        ops: flags.service_us.into(),
        memory: 0,
    };
    let lambda = Lambda::copying(LAMBDA, requirements);
    builder.add_container("container", "cpu", lambda, flags.workers)?;
    Ok(builder.build())
}

impl Service {
    fn obey(&self) -> anyhow::Result<()> {
        for line in std::io::stdin().lines() {
            let line = line?;
            let mood = Mood::ALL.into_iter().find(|mood| mood.command() == line);
            let mood = mood.with_context(|| format!("no command '{line}'"))?;
            self.mood.store(mood as u8, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn answer(
        &self,
        request: LambdaRequest,
        deadline: Instant,
    ) -> Result<LambdaResponse, LambdaResponse> {
        let text = "as it was told";
        match self.mood.load(Ordering::Relaxed) {
            mood if mood == Mood::Unavailable as u8 => {
                return Err(LambdaResponse::error(Outcome::Unavailable, text));
            }
            mood if mood == Mood::Overloaded as u8 => {
                return Err(LambdaResponse::error(Outcome::Overloaded, text));
            }
            _ => {}
        }
        let error =
            |error: &ExecutionError| LambdaResponse::error(error.outcome(), error.to_string());
        if request.dry {
            let estimate = self.simulated.estimate(&request.name, request.input.len());
            let estimate = estimate.map_err(|e| error(&e))?;
            return Ok(LambdaResponse {
                ptime: u32::try_from(estimate.as_millis()).unwrap_or(u32::MAX),
                ..success()
            });
        }
        if request.input == POISON {
            let outcome = Outcome::ApplicationError;
            return Err(LambdaResponse::error(outcome, "the input is poison"));
        }
        let max_wait = request.max_wait_us;
        let invocation = Invocation {
            lambda: request.name,
            input: request.input,
            patience: if max_wait > 0 {
                Patience::AtMost(Duration::from_micros(max_wait))
            } else {
                Patience::Usual
            },
            ..Invocation::default()
        };
        let execution = self.simulated.run(invocation, deadline).await;
        let execution = execution.map_err(|e| error(&e))?;
        Ok(LambdaResponse {
            output: execution.output,
            service_us: micros(execution.service),
            ..success()
        })
    }
}

fn success() -> LambdaResponse {
    LambdaResponse {
        retcode: OK.to_owned(),
        outcome: Outcome::Ok as i32,
        ..LambdaResponse::default()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[derive(Debug)]
struct Handler(Arc<Service>);

impl LambdaHandler for Handler {
    async fn handle(
        &self,
        _: &Core,
        request: LambdaRequest,
        deadline: Instant,
    ) -> Result<TypedReply, String> {
        let arrived = Instant::now();
        let (uuid, hops) = (request.uuid.clone(), request.hops.saturating_add(1));
        let entry = (!request.dry).then(|| Entry::begin(&self.0.journal, &uuid));
        let entry = entry.transpose()?;
        let answer = self.0.answer(request, deadline).await;
        let response = answer.unwrap_or_else(|error| error);
        if let Some(entry) = entry {
            entry.end(response.outcome());
        }
        let standing = self.0.simulated.standing(LAMBDA).unwrap_or_default();
        Ok(TypedReply::from(LambdaResponse {
            hops,
            uuid,
            in_flight: standing.in_flight,
            workers: standing.workers,
            residence_us: micros(arrived.elapsed()),
            ..response
        }))
    }
}

/// A request in the journal; dropped before it has ended, it is written down as cancelled.
#[derive(Debug)]
struct Entry<'a> {
    journal: &'a Journal,
    number: u64,
    became: Event,
}

impl<'a> Entry<'a> {
    fn begin(journal: &'a Journal, uuid: &str) -> Result<Self, String> {
        let number = request::number(uuid).ok_or("not a request of this experiment")?;
        let written = journal.write(Event::Arrived, number);
        written.map_err(|error| format!("no journal: {error}"))?;
        Ok(Self {
            journal,
            number,
            became: Event::Cancelled,
        })
    }

    fn end(mut self, outcome: Outcome) {
        self.became = match outcome {
            Outcome::Ok => Event::Executed,
            Outcome::Refused | Outcome::Overloaded | Outcome::NotFound | Outcome::Unavailable => {
                Event::TurnedDown
            }
            Outcome::ApplicationError | Outcome::Unspecified => Event::Failed,
            Outcome::Deadline => Event::Overdue,
        };
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.journal.write(self.became, self.number) {
            eprintln!("the journal is incomplete: {error}");
            std::process::abort();
        }
    }
}
