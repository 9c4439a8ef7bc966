//! What the configurations of all computers have in common, whatever executes their lambdas.

use std::num::NonZeroUsize;

use edge_transport::{Cores, Endpoint};

use super::{
    Admin, AsynchronousConfig, ControllerConfig, InvalidConfig, MAX_THREADS, ServerConfig,
    StateConfig, TlsConfig, TransportConfig, UtilizationConfig,
};

/// The sections that the server around an executor goes by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Common {
    /// The lambda service.
    pub server: ServerConfig,
    /// What they are taken over.
    pub transport: TransportConfig,
    /// Whom to tell what is served here.
    pub controller: ControllerConfig,
    /// The stream of utilisation.
    pub utilization: UtilizationConfig,
    /// Requests with a callback, chains and graphs.
    pub asynchronous: AsynchronousConfig,
    /// The state server.
    pub state: StateConfig,
    /// Encryption.
    pub tls: TlsConfig,
    /// Metrics and health.
    pub admin: Admin,
}

impl Common {
    /// Checks what the types of the values do not say.
    ///
    /// # Errors
    /// The first value that makes no sense.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let check = |holds: bool, key, problem: &str| {
            let problem = problem.to_owned();
            let error = InvalidConfig { key, problem };
            holds.then_some(()).ok_or(error)
        };
        let listening = self.server.endpoint.check_listening();
        listening.map_err(|problem| InvalidConfig {
            key: "server.endpoint",
            problem,
        })?;
        for (key, endpoint) in [
            ("controller.endpoint", &self.controller.endpoint),
            ("state.endpoint", &self.state.endpoint),
        ] {
            let over_tcp = endpoint.get().map_or(Ok(()), Endpoint::check_over_tcp);
            over_tcp.map_err(|problem| InvalidConfig { key, problem })?;
        }
        let threads = self.server.num_threads;
        check(
            threads.is_none_or(|count| (1..=MAX_THREADS).contains(&count)),
            "server.num-threads",
            &format!("must be from 1 to {MAX_THREADS}"),
        )?;
        check(
            self.server.advertise.get().is_none_or(|at| at.port() != 0),
            "server.advertise",
            "port 0 cannot be reached; name the port that others connect to",
        )?;
        check(
            self.state.serve || self.state.endpoint.get().is_some(),
            "state.serve",
            "without a state server of its own (--no-state-server), state.endpoint \
             (--state-endpoint) must say where there is one",
        )?;
        check(
            self.state.serve || self.state.endpoint.get().is_none_or(|at| at.port() != 0),
            "state.endpoint",
            "port 0 cannot be reached",
        )?;
        check(
            self.asynchronous.max_queued > 0,
            "asynchronous.max-queued",
            "must be at least 1",
        )?;
        check(
            self.asynchronous.max_queued_bytes > 0,
            "asynchronous.max-queued-bytes",
            "must be at least 1",
        )?;
        check(
            !self.asynchronous.deadline.is_zero(),
            "asynchronous.deadline",
            "must be longer than nothing",
        )?;
        check(
            !self.asynchronous.join_deadline.is_zero(),
            "asynchronous.join-deadline",
            "must be longer than nothing",
        )
    }

    /// Whether requests with a callback are taken.
    pub fn takes_callbacks(&self) -> bool {
        self.asynchronous.enabled || self.asynchronous.companion.get().is_some()
    }

    /// Cores of the data plane.
    pub(crate) fn threads(&self) -> NonZeroUsize {
        let asked = self
            .server
            .num_threads
            .and_then(|count| usize::try_from(count).ok());
        asked
            .and_then(NonZeroUsize::new)
            .unwrap_or_else(Cores::available)
    }
}
