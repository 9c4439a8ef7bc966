//! Who encrypts what: the lambda service by `--secure`, everything else by `tls.control`.

use std::sync::Arc;

use edge_transport::quic;
use edge_transport::tls::{TlsError, TlsFiles};

use crate::config::Common;

/// The TLS configurations of both planes; `None` where they are plain.
#[derive(Debug, Default)]
pub(super) struct Security {
    pub(super) lambda_server: Option<Arc<rustls::ServerConfig>>,
    pub(super) lambda_client: Option<Arc<rustls::ClientConfig>>,
    pub(super) quic_server: Option<Arc<rustls::ServerConfig>>,
    pub(super) quic_client: quic::Options,
    pub(super) control_server: Option<Arc<rustls::ServerConfig>>,
    pub(super) control_client: Option<Arc<rustls::ClientConfig>>,
}

impl Security {
    /// Reads the files that are needed, and no others.
    pub(super) fn of(config: &Common) -> Result<Self, TlsError> {
        let (secure, control) = (config.server.secure, config.tls.control);
        let calls_lambdas = config.asynchronous.companion.get().is_some();
        let quic = config.transport.r#type.on_udp();
        if !secure && !control && !quic {
            return Ok(Self {
                quic_client: match calls_lambdas {
                    true => quic::Options::if_possible(),
                    false => quic::Options::default(),
                },
                ..Self::default()
            });
        }
        Self::read(config).map_err(|error| match quic {
            true => error.for_quic(),
            false => error,
        })
    }

    fn read(config: &Common) -> Result<Self, TlsError> {
        let (secure, control) = (config.server.secure, config.tls.control);
        let calls_lambdas = config.asynchronous.companion.get().is_some();
        let files = match &config.tls.files {
            Some(files) => files.clone(),
            None => TlsFiles::from_environment()?,
        };
        let serves_control = config.utilization.endpoint.get().is_some()
            || (config.state.serve && config.state.endpoint.get().is_some());
        let calls_control = config.controller.endpoint.get().is_some()
            || config.takes_callbacks()
            || config.state.endpoint.get().is_some();
        let server = |wanted: bool| wanted.then(|| files.server_config()).transpose();
        let client = |wanted: bool| wanted.then(|| files.client_config()).transpose();
        Ok(Self {
            lambda_server: server(secure)?,
            lambda_client: client(secure && calls_lambdas)?,
            quic_server: server(config.transport.r#type.on_udp())?,
            quic_client: quic::Options {
                tls: client(calls_lambdas)?,
                congestion: config.transport.congestion,
                ..quic::Options::default()
            },
            control_server: server(control && serves_control)?,
            control_client: client(control && calls_control)?,
        })
    }
}
