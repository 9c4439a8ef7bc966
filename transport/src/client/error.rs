//! What can go wrong with a call, and whether trying elsewhere can do harm.

use std::sync::Arc;

use tonic::Status;

use crate::{Endpoint, EndpointError};

/// Why a call was not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// No working connection: the request never left.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The peer let go of the request before looking at it.
    #[error("{endpoint} did not take the request: {reason}")]
    NotTaken {
        /// The peer.
        endpoint: Endpoint,
        /// How it said so.
        reason: String,
    },
    /// The connection broke after the request had left.
    #[error("lost {endpoint} while waiting for its answer: {reason}")]
    Lost {
        /// The peer.
        endpoint: Endpoint,
        /// What broke.
        reason: String,
    },
    /// The deadline of the call passed.
    #[error("deadline exceeded")]
    Deadline,
    /// The peer answered with a status other than OK.
    #[error("{endpoint} answered with status {:?}: {}", .status.code(), .status.message())]
    Status {
        /// The peer.
        endpoint: Endpoint,
        /// What it said.
        status: Box<Status>,
    },
    /// The peer answered with something that is no valid answer.
    #[error("invalid answer from {endpoint}: {reason}")]
    Invalid {
        /// The peer.
        endpoint: Endpoint,
        /// What is wrong with it.
        reason: String,
    },
}

impl CallError {
    /// True if the peer cannot have acted upon the request, so that sending it
    /// elsewhere cannot execute it twice.
    pub fn never_left(&self) -> bool {
        match self {
            Self::Connect(_) | Self::NotTaken { .. } => true,
            Self::Status { status, .. } => status.code() == tonic::Code::Unimplemented,
            Self::Lost { .. } | Self::Deadline | Self::Invalid { .. } => false,
        }
    }
}

/// Why there is no connection to a destination.
#[derive(Debug, Clone, thiserror::Error)]
#[error("could not connect to {endpoint}: {cause}")]
pub struct ConnectError {
    /// The destination.
    pub endpoint: String,
    /// What failed; shared, because all calls that waited for the connection get it.
    pub cause: Arc<ConnectCause>,
}

impl From<EndpointError> for ConnectError {
    fn from(error: EndpointError) -> Self {
        Self {
            endpoint: error.text().to_owned(),
            cause: Arc::new(error.into()),
        }
    }
}

/// The step that failed on the way to a connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectCause {
    /// The destination is no end-point.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The name is unknown.
    #[error("cannot resolve the name: {0}")]
    Resolve(#[source] std::io::Error),
    /// TCP was refused or went unanswered.
    #[error("{0}")]
    Tcp(#[source] std::io::Error),
    /// The host is no valid name for TLS.
    #[error("'{0}' is no name that a certificate can hold")]
    ServerName(String),
    /// TLS failed; the text says what the certificate lacks.
    #[error("TLS handshake failed: {0}")]
    Tls(String),
    /// The peer does not speak HTTP/2, or let go during the first PING.
    #[error("no HTTP/2 there: {0}")]
    Http2(String),
    /// No UDP socket could be had.
    #[error("no UDP socket: {0}")]
    Udp(#[source] std::io::Error),
    /// The peer does not speak QUIC, or not the protocol that was asked for.
    #[error("no QUIC there: {0}")]
    Quic(String),
    /// QUIC is always encrypted, and both sides show certificates.
    #[error("QUIC needs certificates, and there are none (set CERT_DIR)")]
    NoCertificates,
    /// All of it took too long.
    #[error("no answer within {0:?}")]
    Timeout(std::time::Duration),
}
