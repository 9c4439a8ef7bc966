//! The command line of `ueapplcmproxy`, and how it becomes a configuration.

use edge_daemon::cli::CommonFlags;
use edge_daemon::layers::{ConfigError, Layers, Loaded};
use edge_transport::Endpoint;

use crate::config::Config;
use crate::root::ApiRoot;

/// The long options of the C++ reference's `ueapplcmproxy`, whose abbreviations are accepted.
pub const REFERENCE_OPTIONS: [&str; 2] = ["etsi-api-root", "server-endpoint"];

/// Tells device applications where to find their edge applications (ETSI MEC 016, Mx2)
#[derive(Debug, clap::Parser)]
#[command(name = "ueapplcmproxy")]
pub struct Flags {
    /// What all programs understand.
    #[command(flatten)]
    pub common: CommonFlags,

    /// Where device applications ask [default: http://127.0.0.1:6500]
    #[arg(long, value_name = "URI")]
    pub etsi_api_root: Option<ApiRoot>,

    /// Where the management listens [default: 127.0.0.1:6477]
    #[arg(long, value_name = "HOST:PORT")]
    pub server_endpoint: Option<Endpoint>,

    /// File of routes: client (* for any), application, end-point
    #[arg(long, value_name = "FILE")]
    pub file: Option<String>,

    /// Where contexts, applications and routes are kept [default: in memory only]
    #[arg(long, value_name = "FOLDER")]
    pub state_folder: Option<String>,

    /// File of subjects and tokens that clients have to give [default: none]
    #[arg(long, value_name = "FILE")]
    pub tokens_file: Option<String>,

    /// Keys of an authorisation server (a JSON Web Key Set), whose tokens are good, too
    /// [default: none]
    #[arg(long, value_name = "FILE")]
    pub jwks_file: Option<String>,

    /// Refuse requests that say what cannot be, like another name in a change
    #[arg(long)]
    pub strict: bool,

    /// Wrap what /dev_app/v1 answers in the name of its type
    #[arg(long)]
    pub wrapped: bool,

    /// Encrypt the management, with the certificates that CERT_DIR, CA_CRT, SERVER_CRT and
    /// SERVER_KEY name
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
        let loaded: Loaded<Config> = Layers::new("ueapplcmproxy")
            .common(&self.common, None)
            .flag("--etsi-api-root", "api.root", self.etsi_api_root)
            .flag("--server-endpoint", "server.endpoint", self.server_endpoint)
            .flag("--file", "routes.file", self.file)
            .flag("--state-folder", "state.folder", self.state_folder)
            .flag("--tokens-file", "auth.tokens-file", self.tokens_file)
            .flag("--jwks-file", "auth.jwks-file", self.jwks_file)
            .flag("--strict", "api.strict", given(self.strict))
            .flag("--wrapped", "api.wrapped", given(self.wrapped))
            .flag(
                "--secure-control",
                "tls.control",
                given(self.secure_control),
            )
            .load()?;
        loaded
            .config
            .check()
            .map_err(|invalid| loaded.invalid(invalid.key, &invalid.problem))?;
        Ok(loaded)
    }
}
