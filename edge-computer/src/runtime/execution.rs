//! One execution in a container: initialise it if it is new, run, collect what was printed.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::container::Host;
use super::pool::Lease;
use super::protocol::{Activated, Activation, Answer, Status, error, read};
use crate::executor::ExecutionError;

/// What the preparation of a container has come to.
pub(super) enum Prepared {
    /// The function can be executed; what is known of its execution so far.
    Ready(Lease, Box<Activated>),
    /// It cannot be initialised: this is the end of the execution.
    Failed(Activated),
    /// The container is gone, for this reason; another one may do it.
    Gone(String),
}

/// What an execution has come to.
pub(super) enum Executed {
    /// It has ended, after so long if that says something about the next ones.
    Done(Activated, Option<Duration>),
    /// The container was gone before it began, for this reason; another one may do it.
    Gone(String),
}

impl Lease {
    /// Initialises the container for the sake of `activation`, which came in `waited` ago and has to
    /// be done at `latest`, if nobody has. Once begun this goes on though nobody waits for it, so
    /// that the next one is spared it.
    pub(super) async fn prepare(
        self,
        activation: Arc<Activation>,
        waited: Duration,
        latest: Instant,
    ) -> Result<Prepared, ExecutionError> {
        let is_process = matches!(self.container.host, Host::Process(_));
        let activated = Activated {
            status: Status::DeveloperError,
            result: error(""),
            logs: Vec::new(),
            wait: waited,
            start: self.started.filter(|_| is_process),
            init: None,
            run: Duration::ZERO,
            timed_out: false,
        };
        let activated = Box::new(activated);
        if self.started.is_none() {
            return Ok(Prepared::Ready(self, activated));
        }
        let pool = self.pool.clone();
        let initialising = pool.site.home.spawn(async move {
            let closing = self.pool.site.closing.clone();
            let initialised = self.init(&activation, activated, latest);
            closing.run_until_cancelled(initialised).await
        });
        let initialised = initialising.await.ok().flatten();
        initialised.unwrap_or_else(|| Err(pool.cut_off()))
    }

    /// Executes `activation` in a container that is ready.
    pub(super) async fn execute(
        mut self,
        activation: &Activation,
        activated: Box<Activated>,
        latest: Instant,
    ) -> Result<Executed, ExecutionError> {
        self.clean = false;
        let mut activated = *activated;
        let begun = Instant::now();
        let answer = self.run(activation, deadline_ms(latest)).await;
        activated.run = begun.elapsed();
        let function = &self.pool.function;
        let mut marked = true;
        let mut service = Some(activated.run);
        match answer {
            Answer::Said(status, text) => {
                self.answered();
                if status.is_success() {
                    self.ended_well();
                }
                (activated.status, activated.result) = read(status, &text);
            }
            Answer::TooLong(status, limit) => {
                self.answered();
                if status.is_success() {
                    self.ended_well();
                }
                let text = format!(
                    "The action produced a response that exceeded the allowed length: > {limit} \
                     bytes."
                );
                activated.status = Status::ApplicationError;
                activated.result = error(&text);
            }
            Answer::Late => {
                let text = format!(
                    "The action exceeded its time limits of {} milliseconds.",
                    function.limits.timeout.as_millis()
                );
                activated.result = error(&text);
                activated.timed_out = true;
                marked = false;
            }
            Answer::Unreachable(fault) => return self.unreachable(&fault).map(Executed::Gone),
            Answer::Broken(fault) if matches!(self.container.host, Host::Endpoint(..)) => {
                return Err(self.broken(&fault, true));
            }
            Answer::Broken(_) => {
                let text = "The action did not produce a valid response and exited unexpectedly.";
                activated.result = error(text);
                marked = false;
                // How soon it crashes is not how long it executes.
                service = None;
            }
        }
        activated.logs = self.logs(marked).await;
        Ok(Executed::Done(activated, service))
    }

    async fn run(&self, activation: &Activation, deadline_ms: u128) -> Answer {
        let client = &self.pool.site.workshop.client;
        let (url, secret) = (self.container.url(), self.container.secret());
        let function = &self.pool.function;
        client
            .run(url, secret, function, activation, deadline_ms)
            .await
    }

    /// Hands the function over to a new container.
    async fn init(
        mut self,
        activation: &Activation,
        mut activated: Box<Activated>,
        latest: Instant,
    ) -> Result<Prepared, ExecutionError> {
        let client = &self.pool.site.workshop.client;
        let (url, secret) = (self.container.url(), self.container.secret());
        let function = &self.pool.function;
        let begun = Instant::now();
        let asked = client.init(url, secret, function, activation, deadline_ms(latest));
        let answer = asked.await;
        let took = begun.elapsed();
        let is_endpoint = matches!(self.container.host, Host::Endpoint(..));
        let text = match answer {
            Answer::Said(status, _) if status.is_success() => {
                self.answered();
                self.initialised();
                // Until it is executed nothing can go wrong with it.
                self.ended_well();
                activated.init = Some(took);
                return Ok(Prepared::Ready(self, activated));
            }
            // A server that outlives us has been initialised before.
            Answer::Said(http::StatusCode::FORBIDDEN, _) if is_endpoint => {
                self.answered();
                self.initialised();
                self.ended_well();
                return Ok(Prepared::Ready(self, activated));
            }
            Answer::Said(status, text) => {
                let (_, result) = read(status, &text);
                let text = crate::params::failure(&result);
                text.unwrap_or_else(|| result.get().to_owned())
            }
            Answer::TooLong(_, limit) => {
                format!("The answer to /init has more than {limit} bytes.")
            }
            Answer::Late => {
                activated.timed_out = true;
                format!(
                    "The action initialization exceeded its time limits of {} milliseconds.",
                    function.limits.timeout.as_millis()
                )
            }
            Answer::Broken(fault) if is_endpoint => return Err(self.broken(&fault, false)),
            Answer::Unreachable(fault) if is_endpoint || !self.has_exited() => {
                return self.unreachable(&fault).map(Prepared::Gone);
            }
            Answer::Unreachable(_) | Answer::Broken(_) => {
                "The action failed during initialization: its process has ended.".to_owned()
            }
        };
        activated.init = Some(took);
        activated.result = error(&text);
        activated.logs = self.logs(!activated.timed_out).await;
        Ok(Prepared::Failed(*activated))
    }

    fn has_exited(&self) -> bool {
        matches!(&self.container.host, Host::Process(process) if process.has_exited())
    }

    /// Nobody was reached, so that another container may do it; unless it is this computer that
    /// reaches nobody, for which no container is to be blamed.
    fn unreachable(&self, fault: &str) -> Result<String, ExecutionError> {
        let fault = format!("{}: {fault}", self.container.shown_url());
        match self.container.host {
            Host::Endpoint(number, _) => {
                self.pool.endpoint_failed(number, &fault, true);
                Ok(fault)
            }
            Host::Process(_) if self.has_exited() => Ok(fault),
            Host::Process(_) => Err(self.pool.unavailable(&fault)),
        }
    }

    /// The connection to a server has broken, which has perhaps `begun` to execute.
    fn broken(&self, fault: &str, begun: bool) -> ExecutionError {
        let fault = format!("{}: {fault}", self.container.shown_url());
        if let Host::Endpoint(number, _) = self.container.host {
            self.pool.endpoint_failed(number, &fault, false);
        }
        ExecutionError::Unavailable {
            text: format!("lambda {}: {fault}", self.pool.function.name),
            begun,
        }
    }

    /// Servers that are there anyhow are healthy while they answer.
    fn answered(&self) {
        if let Host::Endpoint(number, _) = self.container.host {
            self.pool.endpoint_answered(number);
        }
    }

    /// What the function has printed.
    async fn logs(&self, marked: bool) -> Vec<String> {
        match &self.container.host {
            Host::Process(process) if marked && !self.container.has_ended() => {
                process.log.take().await
            }
            Host::Process(process) => process.log.rest(),
            Host::Endpoint(..) => Vec::new(),
        }
    }
}

/// `latest` as functions are told it.
fn deadline_ms(latest: Instant) -> u128 {
    let left = latest.saturating_duration_since(Instant::now());
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    (since_epoch.unwrap_or_default() + left).as_millis()
}
