//! The command line of `wskproxy`, and how it becomes a configuration.

use edge_daemon::cli::CommonFlags;
use edge_daemon::layers::{ConfigError, Layers, Loaded};

use crate::config::Config;
use crate::names::NameMode;

/// The long options of the C++ reference's `wskproxy`, whose abbreviations are accepted.
pub const REFERENCE_OPTIONS: [&str; 4] =
    ["wsk-api-root", "server-endpoint", "num-threads", "secure"];

/// Lets OpenWhisk's clients and tools run lambdas: its REST interface in front of edge routers
#[derive(Debug, clap::Parser)]
#[command(name = "wskproxy")]
pub struct Flags {
    /// What all programs understand.
    #[command(flatten)]
    pub common: CommonFlags,

    /// Where OpenWhisk's clients are served [default: http://127.0.0.1:20000]
    #[arg(long, value_name = "URL")]
    pub wsk_api_root: Option<String>,

    /// The router that calls go to; several, separated by commas: the first that can be reached
    /// [default: 127.0.0.1:6473]
    #[arg(long, value_name = "HOST:PORT")]
    pub server_endpoint: Option<String>,

    /// Where routers show which lambdas there are; empty: actions can be invoked, not listed
    /// [default: 127.0.0.1:6474]
    #[arg(long, value_name = "HOST:PORT")]
    pub table_endpoint: Option<String>,

    /// File of credentials: lines of `namespace uuid key [scopes] [limits]`
    #[arg(long, value_name = "FILE")]
    pub auth_file: Option<String>,

    /// One pair of credentials instead, for the namespace of --namespace; others of this machine
    /// see the command line: for more than a try, WSKPROXY__AUTH__KEY or a file
    #[arg(long, value_name = "UUID:KEY")]
    pub wsk_auth: Option<String>,

    /// Serve anybody, on the loopback address only
    #[arg(long)]
    pub open: bool,

    /// The namespace of --open and --wsk-auth [default: guest]
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// Which lambda an action stands for [default: auto]
    #[arg(long, value_name = "MODE")]
    pub names: Option<NameMode>,

    /// Certificate chain for an API root that begins with https, in PEM format
    #[arg(long, value_name = "FILE")]
    pub tls_certificate: Option<String>,

    /// Its key
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,

    /// Clients must show a certificate that one of the authorities in this file has signed
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<String>,

    /// File in which activations, registrations and accepted invocations survive a restart
    #[arg(long, value_name = "FILE")]
    pub journal: Option<String>,

    /// Cores that serve, from 1 to 512; does not limit how many requests are served at once
    /// [default: all]
    #[arg(long, value_name = "N")]
    pub num_threads: Option<u32>,

    /// Encrypt the calls to routers, with the certificates that CERT_DIR, CA_CRT, CLIENT_CRT and
    /// CLIENT_KEY name
    #[arg(long)]
    pub secure: bool,

    /// Encrypt the reading of their tables, too
    #[arg(long)]
    pub secure_control: bool,
}

impl Flags {
    /// The configuration in force: defaults, files, environment and these flags.
    ///
    /// # Errors
    /// If a layer is malformed or a value makes no sense, saying where it was written.
    pub fn load(self) -> Result<Loaded<Config>, ConfigError> {
        let given = |flag: bool| flag.then_some(true);
        let loaded: Loaded<Config> = Layers::new("wskproxy")
            .common(&self.common, None)
            .flag("--wsk-api-root", "server.api-root", self.wsk_api_root)
            .flag("--num-threads", "server.num-threads", self.num_threads)
            .flag(
                "--server-endpoint",
                "router.endpoints",
                self.server_endpoint,
            )
            .flag("--secure", "router.secure", given(self.secure))
            .flag("--table-endpoint", "table.endpoints", self.table_endpoint)
            .flag("--auth-file", "auth.file", self.auth_file)
            .flag("--wsk-auth", "auth.key", self.wsk_auth)
            .flag("--open", "auth.open", given(self.open))
            .flag("--namespace", "names.namespace", self.namespace)
            .flag("--names", "names.mode", self.names)
            .flag("--tls-certificate", "tls.certificate", self.tls_certificate)
            .flag("--tls-key", "tls.key", self.tls_key)
            .flag("--tls-client-ca", "tls.client-ca", self.tls_client_ca)
            .flag(
                "--secure-control",
                "tls.control",
                given(self.secure_control),
            )
            .flag("--journal", "store.journal", self.journal)
            .load()?;
        loaded
            .config
            .check()
            .map_err(|invalid| loaded.invalid(invalid.key, &invalid.problem))?;
        Ok(loaded)
    }
}
