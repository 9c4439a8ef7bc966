//! One execution in a container: initialise it if it is new, run, collect what was printed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::container::Host;
use super::pool::Lease;
use super::protocol::{Activated, Activation, Answer, Status, error, read};
use crate::executor::ExecutionError;

/// What /init has come to.
enum Initialised {
    Ready(Option<Duration>),
    /// It is no use: this is the end of the execution.
    Failed {
        text: String,
        took: Duration,
        timed_out: bool,
    },
}

impl Lease {
    /// Executes `activation`, for which was waited for `waited` and which has to be done at
    /// `latest`. `None` if the container was gone before it began, so that another one may do it.
    pub(super) async fn execute(
        mut self,
        activation: &Activation,
        waited: Duration,
        latest: Instant,
    ) -> Result<Option<Activated>, ExecutionError> {
        let left = latest.saturating_duration_since(Instant::now());
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let deadline_ms = (since_epoch + left).as_millis();
        let start = self
            .started
            .filter(|_| matches!(self.container.host, Host::Process(_)));
        let mut activated = Activated {
            status: Status::DeveloperError,
            result: error(""),
            logs: Vec::new(),
            wait: waited,
            start,
            init: None,
            run: Duration::ZERO,
            timed_out: false,
        };
        if self.started.is_some() {
            match self.init(activation, deadline_ms).await? {
                Initialised::Ready(took) => activated.init = took,
                Initialised::Failed {
                    text,
                    took,
                    timed_out,
                } => {
                    activated.init = Some(took);
                    activated.result = error(&text);
                    activated.timed_out = timed_out;
                    activated.logs = self.logs(!timed_out).await;
                    return Ok(Some(activated));
                }
            }
        }
        let begun = Instant::now();
        let answer = self.run(activation, deadline_ms).await;
        activated.run = begun.elapsed();
        let function = &self.pool.function;
        let mut marked = true;
        match answer {
            Answer::Said(status, text) => {
                self.judge_endpoint(None);
                if status.is_success() {
                    self.ended_well();
                }
                (activated.status, activated.result) = read(status, &text);
            }
            Answer::TooLong(limit) => {
                self.ended_well();
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
            Answer::Unreachable(_) if matches!(self.container.host, Host::Process(_)) => {
                return Ok(None);
            }
            Answer::Unreachable(fault) => return Err(self.unavailable(&fault, false)),
            Answer::Broken(fault) if matches!(self.container.host, Host::Endpoint(..)) => {
                return Err(self.unavailable(&fault, true));
            }
            Answer::Broken(_) => {
                let text = "The action did not produce a valid response and exited unexpectedly.";
                activated.result = error(text);
                marked = false;
            }
        }
        activated.logs = self.logs(marked).await;
        Ok(Some(activated))
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
        &self,
        activation: &Activation,
        deadline_ms: u128,
    ) -> Result<Initialised, ExecutionError> {
        let client = &self.pool.site.workshop.client;
        let (url, secret) = (self.container.url(), self.container.secret());
        let function = &self.pool.function;
        let begun = Instant::now();
        let asked = client.init(url, secret, function, activation, deadline_ms);
        let answer = asked.await;
        let took = begun.elapsed();
        let is_endpoint = matches!(self.container.host, Host::Endpoint(..));
        let failed = |text: String, timed_out| {
            Ok(Initialised::Failed {
                text,
                took,
                timed_out,
            })
        };
        match answer {
            Answer::Said(status, _) if status.is_success() => {
                self.judge_endpoint(None);
                self.initialised();
                Ok(Initialised::Ready(Some(took)))
            }
            // A server that outlives us has been initialised before.
            Answer::Said(http::StatusCode::FORBIDDEN, _) if is_endpoint => {
                self.judge_endpoint(None);
                self.initialised();
                Ok(Initialised::Ready(None))
            }
            Answer::Said(status, text) => {
                let (_, result) = read(status, &text);
                let text = crate::params::failure(&result);
                failed(text.unwrap_or_else(|| result.get().to_owned()), false)
            }
            Answer::TooLong(limit) => failed(
                format!("The answer to /init has more than {limit} bytes."),
                false,
            ),
            Answer::Late => failed(
                format!(
                    "The action initialization exceeded its time limits of {} milliseconds.",
                    function.limits.timeout.as_millis()
                ),
                true,
            ),
            Answer::Unreachable(fault) | Answer::Broken(fault) if is_endpoint => {
                Err(self.unavailable(&fault, false))
            }
            Answer::Unreachable(_) | Answer::Broken(_) => failed(
                "The action failed during initialization: its process has ended.".to_owned(),
                false,
            ),
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

    /// Servers that are there anyhow are healthy while they answer.
    fn judge_endpoint(&self, fault: Option<&dyn std::error::Error>) {
        if matches!(self.container.host, Host::Endpoint(..)) {
            self.pool.judge(fault);
        }
    }

    fn unavailable(&self, fault: &str, begun: bool) -> ExecutionError {
        let lambda = &self.pool.function.name;
        let error = ExecutionError::Unavailable {
            text: format!("lambda {lambda}: {}: {fault}", self.container.url()),
            begun,
        };
        self.judge_endpoint(Some(&error));
        error
    }
}
