//! A computer whose functions do what tests want, and remember what they did.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use edge_proto::rpc::computer_info::Container;
use edge_proto::rpc::edge_controller_client::EdgeControllerClient;
use edge_proto::rpc::{ComputerInfo, LambdaRequest, LambdaResponse, Outcome};
use edge_transport::{
    Core, Cores, Endpoint, LambdaCall, LambdaHandler, LambdaReply, LambdaService, Listener, Peer,
    Server, ServerHandle, Typed, TypedReply, control,
};
use tokio::sync::watch;
use tonic::Status;
use tonic::service::Routes;

use super::{Client, PATIENCE};

/// What it serves.
pub(crate) const LAMBDAS: [&str; 11] = [
    // Answers its input.
    "echo",
    // Answers the text that is the member `output` of its input.
    "say",
    // Answers the bytes of its input, or some, and the rest of its input.
    "bytes",
    // Fails, as computers do that know what an outcome is.
    "fail",
    // Fails as its output says, as functions of OpenWhisk do.
    "error",
    // Ends when the test says so.
    "slow",
    // Says how it was called.
    "show",
    // Invokes itself by the proxy, as an adapter does that has the proxy for its platform.
    "loop",
    // Has a namespace, and one of the default one.
    "/guest/full",
    "/guest/tools/hammer",
    "/alice/own",
];

#[derive(Clone)]
pub(crate) struct Platform {
    functions: Arc<Functions>,
    server: ServerHandle,
    _cores: Arc<Cores>,
    endpoint: Endpoint,
}

struct Functions {
    /// What each lambda was called with.
    calls: Mutex<HashMap<String, Vec<String>>>,
    /// The `traceparent` and `tracestate` of the last call.
    trace: Mutex<(String, String)>,
    /// Calls of `slow` that were cancelled.
    cancelled: watch::Sender<usize>,
    running: watch::Sender<usize>,
    released: watch::Sender<bool>,
    /// Whom `loop` calls.
    proxy: OnceLock<Client>,
}

impl Platform {
    pub(crate) fn start() -> Self {
        let functions = Arc::new(Functions {
            calls: Mutex::default(),
            trace: Mutex::default(),
            cancelled: watch::Sender::new(0),
            running: watch::Sender::new(0),
            released: watch::Sender::new(false),
            proxy: OnceLock::new(),
        });
        let cores = Arc::new(Cores::start("platform", NonZeroUsize::MIN).unwrap());
        let listener = Listener::bind(&super::anywhere()).unwrap();
        let handler = Arc::new(Traced(Typed(Handler(functions.clone()))));
        let server = Server::new(Routes::default())
            .with_lambda(handler)
            .serve(listener, &cores);
        Self {
            functions,
            endpoint: server.local_addr().into(),
            server,
            _cores: cores,
        }
    }

    pub(crate) async fn announced_to(controller: &edge_controller::Handle) -> Self {
        let platform = Self::start();
        platform.announce(controller, &LAMBDAS).await;
        platform
    }

    /// Tells the controller that it serves `lambdas`.
    pub(crate) async fn announce(&self, controller: &edge_controller::Handle, lambdas: &[&str]) {
        let channel = control::channel(&controller.address().into(), None, PATIENCE);
        let container = |lambda: &&str| Container {
            name: "test".to_owned(),
            processor: "test".to_owned(),
            lambda: (*lambda).to_owned(),
            num_workers: 10_000,
        };
        let info = ComputerInfo {
            edge_server_endpoint: self.endpoint.to_string(),
            containers: lambdas.iter().map(container).collect(),
            lease_ms: 0,
            generation: edge_daemon::lifecycle::generation(),
        };
        let mut client = EdgeControllerClient::new(channel);
        client.announce_computer(info).await.unwrap();
    }

    /// Lets `loop` call `proxy`.
    pub(crate) fn close_the_loop(&self, proxy: &Client) {
        assert!(self.functions.proxy.set(proxy.clone()).is_ok());
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Ends at once.
    pub(crate) async fn kill(&self) {
        self.server.kill().await;
    }

    /// How often `lambda` was executed.
    pub(crate) fn executed(&self, lambda: &str) -> usize {
        self.calls(lambda).len()
    }

    /// What `lambda` was called with.
    pub(crate) fn calls(&self, lambda: &str) -> Vec<String> {
        let calls = self.functions.calls.lock().unwrap();
        calls.get(lambda).cloned().unwrap_or_default()
    }

    /// The `traceparent` and `tracestate` that the last call came with, empty without.
    pub(crate) fn trace(&self) -> (String, String) {
        self.functions.trace.lock().unwrap().clone()
    }

    /// Waits until `count` calls of `slow` run.
    pub(crate) async fn wait_for_slow(&self, count: usize) {
        let mut running = self.functions.running.subscribe();
        let reached = running.wait_for(|running| *running >= count);
        tokio::time::timeout(PATIENCE, reached)
            .await
            .unwrap()
            .unwrap();
    }

    /// Waits until a call of `slow` has been cancelled.
    pub(crate) async fn wait_for_cancelled(&self) {
        let mut cancelled = self.functions.cancelled.subscribe();
        let reached = cancelled.wait_for(|cancelled| *cancelled > 0);
        tokio::time::timeout(PATIENCE, reached)
            .await
            .unwrap()
            .unwrap();
    }

    /// Lets all calls of `slow` end, those to come, too.
    pub(crate) fn release(&self) {
        self.functions.released.send_replace(true);
    }
}

struct Handler(Arc<Functions>);

/// Notes which trace a call is part of.
struct Traced(Typed<Handler>);

impl LambdaService for Traced {
    async fn run(&self, core: &Core, peer: Peer, call: LambdaCall) -> Result<LambdaReply, Status> {
        let text = |name| call.metadata.text(name).unwrap_or_default().to_owned();
        let Typed(Handler(functions)) = &self.0;
        *functions.trace.lock().unwrap() = (text("traceparent"), text("tracestate"));
        self.0.run(core, peer, call).await
    }
}

impl Functions {
    fn called(&self, lambda: &str, input: &str) {
        let mut calls = self.calls.lock().unwrap();
        calls
            .entry(lambda.to_owned())
            .or_default()
            .push(input.to_owned());
    }
}

/// A call of `slow` that has not ended.
struct Running<'a>(&'a Functions, bool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.send_modify(|running| *running -= 1);
        if !self.1 {
            self.0.cancelled.send_modify(|cancelled| *cancelled += 1);
        }
    }
}

impl LambdaHandler for Handler {
    async fn handle(
        &self,
        _: &Core,
        request: LambdaRequest,
        _: Instant,
    ) -> Result<TypedReply, String> {
        let LambdaRequest { name, input, .. } = &request;
        let request_hops = request.hops;
        self.0.called(name, input);
        let output = match name.as_str() {
            "say" => {
                let input: serde_json::Value = serde_json::from_str(input).unwrap();
                input["output"].as_str().unwrap_or_default().to_owned()
            }
            "fail" => {
                let failure = LambdaResponse::error(Outcome::ApplicationError, "no such luck");
                return Ok(failure.into());
            }
            "error" => r#"{"error":"as designed"}"#.to_owned(),
            "slow" => {
                self.0.running.send_modify(|running| *running += 1);
                let mut running = Running(&self.0, false);
                let mut released = self.0.released.subscribe();
                released.wait_for(|released| *released).await.unwrap();
                running.1 = true;
                input.clone()
            }
            "loop" => {
                let proxy = self.0.proxy.get().unwrap();
                let path = "_/actions/loop?blocking=true&result=true";
                let request = proxy.request(http::Method::POST, path).body(input.clone());
                let hops = (request_hops + 1).to_string();
                request
                    .header("x-soe-hops", &hops)
                    .send()
                    .await
                    .text()
                    .to_owned()
            }
            "show" => serde_json::json!({
                "name": name,
                "uuid": request.uuid,
                "hops": request.hops,
                "forward": request.forward,
                "input": input,
            })
            .to_string(),
            _ => input.clone(),
        };
        let dataout = match (name.as_str(), request.datain.is_empty()) {
            ("bytes", true) => vec![0, 255, 7].into(),
            ("bytes", false) => request.datain.clone(),
            _ => Default::default(),
        };
        let response = LambdaResponse {
            retcode: "OK".to_owned(),
            outcome: Outcome::Ok as i32,
            output,
            dataout,
            hops: request.hops + 1,
            ptime: 1,
            load1: 7,
            ..LambdaResponse::default()
        };
        Ok(response.into())
    }
}
