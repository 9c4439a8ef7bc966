//! The command line of `edgecontroller`, and how it becomes a configuration.

use edge_daemon::cli::CommonFlags;
use edge_daemon::layers::{ConfigError, Layers, Loaded};
use edge_transport::Endpoint;

use crate::config::{Config, ControllerType, InstallerType};

/// The long options of the C++ reference's `edgecontroller`, whose
/// abbreviations are accepted.
pub const REFERENCE_OPTIONS: [&str; 10] = [
    "server-endpoint",
    "type",
    "installer-type",
    "etsi-api-root",
    "file",
    "balanced-endpoint",
    "balanced-period",
    "topology-file",
    "topology-randomized",
    "hier-objective",
];

/// Tells edge routers which edge computers serve which lambdas
#[derive(Debug, clap::Parser)]
#[command(name = "edgecontroller")]
pub struct Flags {
    /// What all programs understand.
    #[command(flatten)]
    pub common: CommonFlags,

    /// Where computers and routers announce themselves
    #[arg(long, value_name = "HOST:PORT")]
    pub server_endpoint: Option<Endpoint>,

    /// What is told about lambdas beside the routers
    #[arg(long)]
    pub r#type: Option<ControllerType>,

    /// Which entries which router gets
    #[arg(long)]
    pub installer_type: Option<InstallerType>,

    /// Encrypt announcements and calls to routers, with the certificates that
    /// CERT_DIR, CA_CRT, SERVER_CRT, SERVER_KEY, CLIENT_CRT, CLIENT_KEY name
    #[arg(long)]
    pub secure_control: bool,
}

impl Flags {
    /// The configuration in force: defaults, files, environment and these flags.
    ///
    /// # Errors
    /// If a layer is malformed or a value makes no sense, saying where it was written.
    pub fn load(self) -> Result<Loaded<Config>, ConfigError> {
        self.load_from(Layers::new("edgecontroller"))
    }

    fn load_from(self, layers: Layers) -> Result<Loaded<Config>, ConfigError> {
        let secure = self.secure_control.then_some(true);
        let loaded: Loaded<Config> = layers
            .common(&self.common, None)
            .flag("--server-endpoint", "server.endpoint", self.server_endpoint)
            .flag("--type", "controller.type", self.r#type)
            .flag(
                "--installer-type",
                "controller.installer",
                self.installer_type,
            )
            .flag("--secure-control", "tls.control", secure)
            .load()?;
        loaded
            .config
            .check()
            .map_err(|invalid| loaded.invalid(invalid.key, &invalid.problem))?;
        Ok(loaded)
    }
}
