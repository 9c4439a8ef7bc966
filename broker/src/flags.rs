//! The command line of the brokers, as far as it is the same for both.

use edge_daemon::cli::CommonFlags;
use edge_daemon::conf_string::{ConfSchema, Key, LISTENS};
use edge_daemon::layers::Layers;

/// The options of `edgerouter` that `edgedispatcher` has, too, to be flattened
/// into those of each.
#[derive(Debug, clap::Args)]
pub struct BrokerFlags {
    /// Those that all programs share.
    #[command(flatten)]
    pub common: CommonFlags,
    /// Where to take lambda requests [default: 0.0.0.0:6473]
    #[arg(long, value_name = "HOST:PORT")]
    server_endpoint: Option<String>,
    /// What to tell the controller instead of --server-endpoint
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// Where to serve the forwarding tables [default: 0.0.0.0:6474]
    #[arg(long, value_name = "HOST:PORT")]
    configuration_endpoint: Option<String>,
    /// The controller to announce this broker to; empty: none
    #[arg(long, value_name = "HOST:PORT")]
    controller_endpoint: Option<String>,
    /// Cores to use, 1 to 512; does not limit the requests in flight [default: all]
    #[arg(long, value_name = "N")]
    num_threads: Option<usize>,
    /// Mutual TLS on the data path; see CERT_DIR, CA_CRT, SERVER_CRT, SERVER_KEY,
    /// CLIENT_CRT, CLIENT_KEY
    #[arg(long)]
    secure: bool,
    /// Mutual TLS on the control plane, too: tables and controller
    #[arg(long)]
    secure_control: bool,
    /// What requests are taken over: type=grpc, or type=quic|both,congestion=tolerant|cubic|bbr; QUIC
    /// needs certificates
    #[arg(long, value_name = "CONF")]
    server_conf: Option<String>,
    /// Forwarding: max-pending-clients=N,min-forward-time=S,max-forward-time=S,fake=BOOL
    #[arg(long, value_name = "CONF")]
    router_conf: Option<String>,
    /// Fill the table with this many made-up lambdas
    #[arg(long, value_name = "N")]
    fake_num_lambdas: Option<usize>,
    /// Give each made-up lambda this many destinations
    #[arg(long, value_name = "N")]
    fake_num_destinations: Option<usize>,
}

static SERVER_CONF: ConfSchema = ConfSchema {
    option: "--server-conf",
    section: "server",
    kinds: LISTENS,
    common: &[],
};

static ROUTER_CONF: ConfSchema = ConfSchema {
    option: "--router-conf",
    section: "router",
    kinds: &[],
    common: &[
        Key::integer("max-pending-clients"),
        Key::float("min-forward-time"),
        Key::float("max-forward-time"),
        Key::boolean("fake"),
    ],
};

impl BrokerFlags {
    /// What they say, over file and environment of the program of that name.
    pub fn layers(&self, program: &str) -> Layers {
        // An empty end-point means the same as none, as in the reference.
        let controller = self.controller_endpoint.as_ref();
        let controller = controller.filter(|text| !text.is_empty());
        Layers::new(program)
            .common(&self.common, None)
            .flag(
                "--server-endpoint",
                "server.endpoint",
                self.server_endpoint.as_ref(),
            )
            .flag("--advertise", "server.advertise", self.advertise.as_ref())
            .flag(
                "--configuration-endpoint",
                "tables.endpoint",
                self.configuration_endpoint.as_ref(),
            )
            .flag("--controller-endpoint", "controller.endpoint", controller)
            .flag("--num-threads", "server.num-threads", self.num_threads)
            .flag("--secure", "server.secure", self.secure.then_some(true))
            .flag(
                "--secure-control",
                "tls.control",
                self.secure_control.then_some(true),
            )
            .flag(
                "--fake-num-lambdas",
                "fake.num-lambdas",
                self.fake_num_lambdas,
            )
            .flag(
                "--fake-num-destinations",
                "fake.num-destinations",
                self.fake_num_destinations,
            )
            .conf_string(&SERVER_CONF, self.server_conf.as_deref())
            .conf_string(&ROUTER_CONF, self.router_conf.as_deref())
    }
}
