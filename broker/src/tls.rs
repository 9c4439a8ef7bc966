//! The certificates of a broker, for each of its roles.

use std::sync::Arc;

use edge_transport::quic;
use edge_transport::tls::{ClientConfig, ServerConfig, TlsError, TlsFiles};

use crate::config::Config;

/// TLS configurations of all four roles, where they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    pub(crate) server: Option<Arc<ServerConfig>>,
    pub(crate) client: Option<Arc<ClientConfig>>,
    pub(crate) quic_server: Option<Arc<ServerConfig>>,
    pub(crate) quic_client: quic::Options,
    pub(crate) control_server: Option<Arc<ServerConfig>>,
    pub(crate) control_client: Option<Arc<ClientConfig>>,
}

impl Tls {
    /// Reads the files of those that `config` asks for.
    ///
    /// # Errors
    /// A file is missing, or of no use.
    pub(crate) fn load(config: &Config) -> Result<Self, TlsError> {
        let (data, control) = (config.server.secure, config.tls.control);
        let quic = config.server.transport.on_udp();
        if !data && !control && !quic {
            return Ok(Self {
                quic_client: quic::Options::if_possible(),
                ..Self::default()
            });
        }
        let files = TlsFiles::from_environment();
        let configs = files.and_then(|files| Ok((files.server_config()?, files.client_config()?)));
        let (server, client) = configs.map_err(|error| match quic {
            true => error.for_quic(),
            false => error,
        })?;
        Ok(Self {
            server: data.then(|| server.clone()),
            client: data.then(|| client.clone()),
            quic_server: quic.then(|| server.clone()),
            quic_client: quic::Options {
                tls: Some(client.clone()),
                congestion: config.server.congestion,
                ..quic::Options::default()
            },
            control_server: control.then_some(server),
            control_client: control.then_some(client),
        })
    }
}
