//! Why a server does not start, and whose fault it is.

use edge_daemon::admin::AdminError;
use edge_transport::tls::TlsError;
use edge_transport::{BindError, Endpoint};

use crate::api::TlsSetup;
use crate::auth::{JwksError, TokensError};
use crate::config::InvalidConfig;
use crate::journal::JournalError;
use crate::model::Problem;
use crate::routes_file::RoutesFileError;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// Certificates or keys cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsSetup),
    /// Those of the management cannot be used.
    #[error(transparent)]
    ControlTls(#[from] TlsError),
    /// Tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// Keys of an authorisation server cannot be read.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// Routes cannot be read.
    #[error(transparent)]
    Routes(#[from] RoutesFileError),
    /// What is there from the start makes no sense.
    #[error("cannot use {what}: {source}")]
    Catalogue {
        /// The file.
        what: String,
        /// Why.
        source: Problem,
    },
    /// A file cannot be read.
    #[error("cannot read {what}")]
    Unreadable {
        /// The file.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// Contexts cannot be kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The port of the management cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The port of the interface cannot be had.
    #[error("cannot listen on {endpoint}")]
    Api {
        /// The end-point.
        endpoint: Endpoint,
        /// Why.
        source: std::io::Error,
    },
    /// The admin port cannot be had.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The system has no threads left.
    #[error("cannot start threads")]
    Threads(#[source] std::io::Error),
}

impl StartError {
    /// Whether the configuration is to blame, or a file that it names.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::Tls(_)
                | Self::ControlTls(_)
                | Self::Tokens(_)
                | Self::Jwks(_)
                | Self::Routes(_)
                | Self::Catalogue { .. }
                | Self::Unreadable { .. }
        )
    }
}
