//! The options of `edgeclient`.

use std::path::PathBuf;

use clap::Parser;
use edge_daemon::cli::CommonFlags;
use edge_daemon::layers::Layers;
use edge_transport::Endpoint;
use mec_mx2::ApiRoot;

use crate::arrivals::{Arrivals, InterRequestType};
use crate::config::Output;

/// The options of the reference's program, for its abbreviations.
pub(super) const REFERENCE_OPTIONS: &[&str] = &[
    "server-endpoints",
    "client-conf",
    "lambda",
    "sizes",
    "content",
    "output-file",
    "duration",
    "max-requests",
    "num-threads",
    "initial-delay",
    "inter-request-time",
    "inter-request-type",
    "chain-conf",
    "dag-conf",
    "callback-endpoint",
    "state-endpoint",
    "no-state-server",
    "append",
    "dry",
    "seed",
    "secure",
    "etsi-api-root",
    "etsi-notification-uri",
];

const REQUESTS: &str = "Requests";
const OPEN: &str = "Open loop";
const CLOSED: &str = "Closed loop";
const WORKFLOWS: &str = "Chains and graphs";

/// Calls lambdas, and measures how long they take
///
/// With --rate, requests are sent at that rate whatever becomes of them (open loop), and
/// latency counts from when they were due. Without it, clients wait for one answer before
/// they send the next request (closed loop), and each answer is a line on standard output:
/// time and latency in seconds, load, responder (- if unknown), lambda, hops.
///
/// A chain or graph is walked by the client, function by function, or, with
/// --callback-endpoint, passed on by the computers; the name in its lines is that of its
/// functions, joined with -.
///
/// Exits with 1 if no request succeeded, if some were given up because the program was asked
/// to end, or if lines could not be written, and with 2 for wrong usage or configuration.
#[derive(Debug, Parser)]
#[command(name = "edgeclient", mut_arg("admin_endpoint", |arg| arg.hide(true)))]
pub(super) struct Flags {
    #[command(flatten)]
    pub(super) common: CommonFlags,

    /// Whom to call [default: localhost:6473]; of several, all but the fastest get copies by
    /// chance
    #[arg(long, help_heading = REQUESTS, value_name = "HOST:PORT,...", value_delimiter = ',')]
    server_endpoints: Option<Vec<Endpoint>>,

    /// ETSI MEC server that says where the lambda is, instead of --server-endpoints
    #[arg(long, help_heading = REQUESTS, value_name = "URI")]
    etsi_api_root: Option<ApiRoot>,

    /// Where that server tells us of moves [default: http://localhost:6600]
    #[arg(long, help_heading = REQUESTS, value_name = "URI")]
    etsi_notification_uri: Option<ApiRoot>,

    /// How to call: type=grpc|quic|h3|both,persistence=P (probability of a copy to each end-point
    /// that is not the primary), and with QUIC attempt-early-data=BOOL,
    /// congestion=tolerant|cubic|bbr
    #[arg(long, help_heading = REQUESTS, value_name = "CONF")]
    pub(super) client_conf: Option<String>,

    /// Which lambda to call [default: clambda0]
    #[arg(long, help_heading = REQUESTS, value_name = "NAME")]
    lambda: Option<String>,

    /// Input sizes in bytes, drawn at random for each request [default: 100]
    #[arg(long, help_heading = REQUESTS, value_name = "BYTES,...", value_delimiter = ',')]
    sizes: Option<Vec<usize>>,

    /// Input of all requests, instead of --sizes
    #[arg(long, help_heading = REQUESTS, value_name = "TEXT")]
    content: Option<String>,

    /// Ask for estimates; execute nothing
    #[arg(long, help_heading = REQUESTS)]
    dry: bool,

    /// Tell brokers that requests may be repeated
    #[arg(long, help_heading = REQUESTS)]
    idempotent: bool,

    /// Longest wait for the answer to one request [default: 60s]
    #[arg(long, help_heading = REQUESTS, value_name = "TIME")]
    timeout: Option<String>,

    /// Ask for asynchronous execution, and receive the results here
    #[arg(long, help_heading = REQUESTS, value_name = "HOST:PORT")]
    callback_endpoint: Option<Endpoint>,

    /// Use mutual TLS, with the files that CERT_DIR, CA_CRT, CLIENT_CRT and CLIENT_KEY name
    #[arg(long, help_heading = REQUESTS)]
    secure: bool,

    /// Fixes all that is drawn at random [default: 0]
    #[arg(long, help_heading = REQUESTS, value_name = "NUMBER")]
    seed: Option<u64>,

    /// How long to send requests: seconds, or text like 500ms; 0: without end [default: 0]
    #[arg(long, help_heading = REQUESTS, value_name = "TIME")]
    duration: Option<String>,

    /// How many requests to send; with a closed loop, by each client [default: without end]
    #[arg(long, help_heading = REQUESTS, value_name = "NUMBER")]
    max_requests: Option<u64>,

    /// Wait this long first [default: 0]
    #[arg(long, help_heading = REQUESTS, value_name = "TIME")]
    initial_delay: Option<String>,

    /// Connections to each end-point, at least one per core [default: 1]
    #[arg(long, help_heading = REQUESTS, value_name = "NUMBER")]
    connections: Option<usize>,

    /// Cores that send [default: 1]
    #[arg(long, help_heading = REQUESTS, value_name = "NUMBER")]
    cores: Option<usize>,

    /// Requests per second, at most 1000000; what cannot leave in time counts as overrun
    #[arg(long, help_heading = OPEN, value_name = "NUMBER", allow_negative_numbers = true)]
    rate: Option<f64>,

    /// How requests spread over time [default: constant]
    #[arg(long, help_heading = OPEN, value_name = "TYPE")]
    arrivals: Option<Arrivals>,

    /// Requests that may wait for answers; those due beyond count as overrun [default: 10000]
    #[arg(long, help_heading = OPEN, value_name = "NUMBER")]
    max_outstanding: Option<usize>,

    /// Independent clients [default: 1]
    #[arg(long, help_heading = CLOSED, value_name = "NUMBER")]
    num_threads: Option<usize>,

    /// Mean time between the requests of a client; 0: none [default: 0]
    #[arg(long, help_heading = CLOSED, value_name = "TIME")]
    inter_request_time: Option<String>,

    /// How that time is distributed [default: constant]
    #[arg(long, help_heading = CLOSED, value_name = "TYPE")]
    inter_request_type: Option<InterRequestType>,

    /// Where the line of each answer goes, - for standard output [default: - for a closed
    /// loop, else nowhere]
    #[arg(long, help_heading = "Output", value_name = "FILE")]
    output_file: Option<PathBuf>,

    /// Add to the output file
    #[arg(long, help_heading = "Output")]
    append: bool,

    /// How to write the summary; json is one object, alone on standard output
    #[arg(long, help_heading = "Output", value_name = "FORMAT")]
    output: Option<Output>,

    /// Execute a chain of functions instead of a lambda: type=file,filename=F;
    /// type=make-template writes chain-example.json and ends
    #[arg(long, help_heading = WORKFLOWS, value_name = "CONF")]
    pub(super) chain_conf: Option<String>,

    /// Execute a graph of functions: type=file,filename=F; type=make-template writes
    /// dag-example.json and ends
    #[arg(long, help_heading = WORKFLOWS, value_name = "CONF")]
    pub(super) dag_conf: Option<String>,

    /// Keep the states of the functions here, in a server that is started, and pass them by
    /// location
    #[arg(long, help_heading = WORKFLOWS, value_name = "HOST:PORT")]
    state_endpoint: Option<Endpoint>,

    /// Do not start a state server: it is there already
    #[arg(long, help_heading = WORKFLOWS)]
    no_state_server: bool,
}

impl Flags {
    /// Puts what was given over the other layers.
    pub(super) fn apply(&self, layers: Layers) -> Layers {
        let set = |switch: bool| switch.then_some(true);
        // TOML's numbers end there; who asks for more does not mean it.
        let most = |number: u64| number.min(i64::MAX.unsigned_abs());
        layers
            .flag(
                "--server-endpoints",
                "server-endpoints",
                self.server_endpoints.as_ref(),
            )
            .flag("--lambda", "lambda", self.lambda.as_ref())
            .flag("--sizes", "sizes", self.sizes.as_ref())
            .flag("--content", "content", self.content.as_ref())
            .flag("--dry", "dry", set(self.dry))
            .flag("--idempotent", "idempotent", set(self.idempotent))
            .flag("--timeout", "timeout", self.timeout.as_ref())
            .flag(
                "--callback-endpoint",
                "callback-endpoint",
                self.callback_endpoint.as_ref(),
            )
            .flag(
                "--state-endpoint",
                "state-endpoint",
                self.state_endpoint.as_ref(),
            )
            .flag(
                "--no-state-server",
                "state-server",
                self.no_state_server.then_some(false),
            )
            .flag(
                "--etsi-api-root",
                "etsi.api-root",
                self.etsi_api_root.as_ref(),
            )
            .flag(
                "--etsi-notification-uri",
                "etsi.notification-uri",
                self.etsi_notification_uri.as_ref(),
            )
            .flag("--secure", "secure", set(self.secure))
            .flag("--seed", "seed", self.seed)
            .flag("--duration", "duration", self.duration.as_ref())
            .flag(
                "--max-requests",
                "max-requests",
                self.max_requests.map(most),
            )
            .flag(
                "--initial-delay",
                "initial-delay",
                self.initial_delay.as_ref(),
            )
            .flag("--connections", "connections", self.connections)
            .flag("--cores", "cores", self.cores)
            .flag("--rate", "rate", self.rate)
            .flag("--arrivals", "arrivals", self.arrivals)
            .flag("--max-outstanding", "max-outstanding", self.max_outstanding)
            .flag("--num-threads", "num-threads", self.num_threads)
            .flag(
                "--inter-request-time",
                "inter-request-time",
                self.inter_request_time.as_ref(),
            )
            .flag(
                "--inter-request-type",
                "inter-request-type",
                self.inter_request_type,
            )
            .flag("--output-file", "output-file", self.output_file.as_ref())
            .flag("--append", "append", set(self.append))
            .flag("--output", "output", self.output)
    }
}
