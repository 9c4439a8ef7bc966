//! One core's part of a run: its connections, its counts, and how it sends one request.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use edge_daemon::lifecycle::Shutdown;
use edge_proto::rpc::LambdaRequest;
use edge_transport::{ClientOptions, Core, LambdaClient};
use mec_mx2::client::Followed;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

use super::patience;
use super::requester::{Requester, Work};
use crate::callback::CallbackReceiver;
use crate::config::{Config, ConfigProblem};
use crate::lines::{Columns, NOBODY, line};
use crate::payload::Payloads;
use crate::random::own_seed;
use crate::recorder::{Recorder, Ticket};
use crate::{Answer, Caller, FollowingClient, RequestError};

/// What all cores share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) work: Work,
    /// How `work` is called in the lines of the answers.
    pub(super) name: String,
    pub(super) payloads: Payloads,
    pub(super) columns: Columns,
    pub(super) callbacks: Option<Arc<CallbackReceiver>>,
    /// What moves, instead of the end-points.
    pub(super) followed: Option<Followed>,
    pub(super) start: Instant,
    /// No more requests are to be sent.
    pub(super) stop: CancellationToken,
    /// The run was asked to end.
    pub(super) shutdown: Shutdown,
    /// Requests of an open loop that wait for their answers.
    pub(super) outstanding: AtomicUsize,
}

/// One core's part of a run.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) shared: Arc<Shared>,
    pub(super) recorder: Arc<Recorder>,
    core: Core,
    transports: Vec<Arc<LambdaClient>>,
    lines: Option<Sender<String>>,
}

impl Lane {
    pub(super) fn new(
        shared: &Arc<Shared>,
        core: &Core,
        options: &Arc<ClientOptions>,
        recorder: Arc<Recorder>,
        lines: Option<Sender<String>>,
    ) -> Self {
        let (all, cores) = (shared.config.connections.get(), shared.config.cores.get());
        let own = all / cores + usize::from(core.index() < all % cores);
        let transport = |_| Arc::new(LambdaClient::new(core.clone(), options.clone()));
        Self {
            shared: shared.clone(),
            recorder,
            core: core.clone(),
            transports: (0..own.max(1)).map(transport).collect(),
            lines,
        }
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    /// How many connections this core has to each end-point.
    pub(super) fn connections(&self) -> usize {
        self.transports.len()
    }

    /// A requester on the connection `turn` (modulo their number), with choices
    /// of its own, which `instance` fixes.
    pub(super) fn requester(&self, turn: usize, instance: u64) -> Result<Requester, ConfigProblem> {
        let config = &self.shared.config;
        let transport = self.transports[turn % self.transports.len()].clone();
        if let Some(followed) = &self.shared.followed {
            let client = FollowingClient::new(transport, followed.clone());
            let caller = Caller::following(client, self.shared.callbacks.clone());
            return Ok(self.shared.work.requester(caller));
        }
        let caller = Caller::new(
            transport,
            &config.server_endpoints,
            config.client.persistence,
            own_seed(config.seed, instance),
            self.shared.callbacks.clone(),
        )
        .map_err(|error| ConfigProblem {
            key: "client",
            problem: error.to_string(),
        })?;
        Ok(self.shared.work.requester(caller))
    }

    /// A fresh request with `input`.
    pub(super) fn request(&self, input: &str) -> LambdaRequest {
        let config = &self.shared.config;
        LambdaRequest {
            dry: config.dry,
            idempotent: config.idempotent,
            ..LambdaRequest::new(config.lambda.as_str(), input)
        }
    }

    /// Sends `request`, and settles `ticket` with what becomes of it.
    pub(super) async fn send(
        &self,
        requester: &Requester,
        request: LambdaRequest,
        ticket: Ticket,
    ) -> Result<Answer, RequestError> {
        let result = requester.call(request, self.shared.config.timeout).await;
        match &result {
            Ok(answer) => self.answered(requester, answer, ticket).await,
            Err(error) => ticket.failed(error),
        }
        result
    }

    /// Counts an answer, then waits until its line is taken: an output that
    /// does not keep up slows a closed loop down, and takes up places for
    /// outstanding requests in an open one.
    async fn answered(&self, requester: &Requester, answer: &Answer, ticket: Ticket) {
        let response = &answer.response;
        let latency = match (response.responder.as_str(), requester.only_endpoint()) {
            ("", endpoint) => ticket.answered(endpoint.unwrap_or(NOBODY)),
            (responder, _) => ticket.answered(responder),
        };
        if let Some(lines) = &self.lines {
            let shared = &self.shared;
            let at = shared.start.elapsed();
            // The writer is gone only if the output is, which ends the run.
            let line = line(at, latency, response, &shared.name, shared.columns);
            let _ = lines.send(line).await;
        }
    }

    /// Ends [`LAST_WAIT`] after the run was asked to end.
    pub(super) fn patience(&self) -> impl Future<Output = ()> + Send + use<> {
        patience(self.shared.shutdown.clone())
    }
}
