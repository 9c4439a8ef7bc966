//! The command line of `edgecontroller`, and how it becomes a configuration.

use std::path::PathBuf;

use edge_daemon::cli::CommonFlags;
use edge_daemon::layers::{ConfigError, Layers, Loaded};
use edge_transport::Endpoint;
use mec_mx2::ApiRoot;

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

    /// Where computers and routers announce themselves [default: 0.0.0.0:6475]
    #[arg(long, value_name = "HOST:PORT")]
    pub server_endpoint: Option<Endpoint>,

    /// Whom its entries in routers' tables belong to; controllers of the same routers that have
    /// different computers need different names [default: edgecontroller]
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,

    /// What is told about lambdas beside the routers [default: plain]
    #[arg(long)]
    pub r#type: Option<ControllerType>,

    /// Which entries which router gets [default: flat]
    #[arg(long)]
    pub installer_type: Option<InstallerType>,

    /// Encrypt announcements and calls to routers, with the certificates that
    /// CERT_DIR, CA_CRT, SERVER_CRT, SERVER_KEY, CLIENT_CRT, CLIENT_KEY name
    #[arg(long)]
    pub secure_control: bool,

    /// Where device applications ask, with --type etsi-file and etsi-balanced
    /// [default: http://127.0.0.1:6500]
    #[arg(long, value_name = "URI")]
    pub etsi_api_root: Option<ApiRoot>,

    /// Routes for --type etsi-file: client (* for any), application, end-point
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// LCM proxy that --type etsi-balanced manages [default: one in this process]
    #[arg(long, value_name = "HOST:PORT")]
    pub balanced_endpoint: Option<Endpoint>,

    /// How often --type etsi-balanced looks at contexts and latencies: seconds, or text
    /// like 500ms [default: 5s]
    #[arg(long, value_name = "TIME")]
    pub balanced_period: Option<String>,

    /// Options of types that are not available in this version.
    #[command(flatten)]
    pub of_other_types: OfOtherTypes,
}

/// Options of the reference that only matter to controller and installer types
/// which are not available in this version. They are accepted, because scripts
/// give them, and have no effect.
#[derive(Debug, Default, clap::Args)]
pub struct OfOtherTypes {
    #[arg(long, hide = true)]
    pub topology_file: Option<String>,
    #[arg(long, hide = true)]
    pub topology_randomized: bool,
    #[arg(long, hide = true)]
    pub hier_objective: Option<String>,
}

impl OfOtherTypes {
    /// A warning for each option that was given.
    fn warnings(&self) -> impl Iterator<Item = String> {
        [
            ("topology-file", self.topology_file.is_some()),
            ("topology-randomized", self.topology_randomized),
            ("hier-objective", self.hier_objective.is_some()),
        ]
        .into_iter()
        .filter(|(_, given)| *given)
        .map(|(option, _)| {
            format!(
                "--{option} is for types that are not available in this version and has no effect"
            )
        })
    }
}

impl Flags {
    /// The configuration in force: defaults, files, environment and these flags.
    ///
    /// # Errors
    /// If a layer is malformed or a value makes no sense, saying where it was written.
    pub fn load(self) -> Result<Loaded<Config>, ConfigError> {
        self.load_from(Layers::new("edgecontroller"))
    }

    /// Checks that certificates and keys can be used, where the configuration asks for them: the
    /// environment that names their files is part of it.
    ///
    /// # Errors
    /// The first file that cannot be read or used.
    pub fn check_certificates(loaded: &Loaded<Config>) -> Result<(), ConfigError> {
        let used = loaded.config.tls.load();
        used.map(drop)
            .map_err(|error| loaded.invalid("tls.control", error))
    }

    fn load_from(self, layers: Layers) -> Result<Loaded<Config>, ConfigError> {
        for warning in self.of_other_types.warnings() {
            eprintln!("warning: {warning}");
        }
        let secure = self.secure_control.then_some(true);
        let loaded: Loaded<Config> = layers
            .common(&self.common, None)
            .flag("--server-endpoint", "server.endpoint", self.server_endpoint)
            .flag("--owner", "controller.owner", self.owner)
            .flag("--type", "controller.type", self.r#type)
            .flag(
                "--installer-type",
                "controller.installer",
                self.installer_type,
            )
            .flag("--etsi-api-root", "etsi.api-root", self.etsi_api_root)
            .flag("--file", "etsi.file", self.file)
            .flag(
                "--balanced-endpoint",
                "etsi.balanced-endpoint",
                self.balanced_endpoint,
            )
            .flag(
                "--balanced-period",
                "etsi.balanced-period",
                self.balanced_period,
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
