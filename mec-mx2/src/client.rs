//! The device's side of Mx2: finds an application, asks for a context, follows it.

mod ask;
mod book;
mod device;
mod receive;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

pub use crate::api::Identity;
use crate::model::{AppInfo, Problem, Profile};
use crate::root::ApiRoot;
use ask::Asker;
pub use device::{Device, Followed};

/// How to ask a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it is.
    pub root: ApiRoot,
    /// Who we are, for servers that want to know.
    pub token: Option<String>,
    /// Authorities for `https`, as PEM; absent: those of the system.
    pub ca_file: Option<PathBuf>,
    /// What servers get to see that ask for a certificate.
    pub identity: Option<Identity>,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

impl Options {
    /// With neither token nor authorities of one's own, and 5 s of patience.
    pub fn new(root: ApiRoot) -> Self {
        Self {
            root,
            token: None,
            ca_file: None,
            identity: None,
            timeout: Duration::from_secs(5),
        }
    }
}

/// Why something was not had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// No answer.
    #[error("no answer from {root}: {reason}")]
    Unreachable {
        /// The server.
        root: String,
        /// Why.
        reason: String,
    },
    /// An answer that says no.
    #[error("{root} answers {status}: {detail}")]
    Refused {
        /// The server.
        root: String,
        /// Its status.
        status: StatusCode,
        /// What it says.
        detail: String,
    },
    /// An answer that makes no sense.
    #[error("{root} answers nonsense: {problem}")]
    Nonsense {
        /// The server.
        root: String,
        /// What is wrong.
        problem: Box<Problem>,
    },
    /// The list has no such application.
    #[error("{root} has no application '{app}'")]
    NoApp {
        /// The server.
        root: String,
        /// What was looked for.
        app: String,
    },
    /// Notifications cannot be received.
    #[error("cannot receive notifications at {root}: {reason}")]
    Receiver {
        /// Where.
        root: String,
        /// Why.
        reason: String,
    },
    /// Certificates cannot be used.
    #[error("{0}")]
    Tls(Arc<crate::api::TlsSetup>),
}

/// The applications that a server lists, and which of its interfaces it was that did: the
/// standard one if it has that.
///
/// # Errors
/// If there is no list.
pub async fn app_list(options: &Options) -> Result<(Profile, Vec<AppInfo>), ClientError> {
    Asker::new(options.clone())?.app_list().await
}
