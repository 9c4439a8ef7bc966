//! From an end-point to a QUIC connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connecting, Connection, ConnectionError};
use rustls::client::Resumption;

use super::watch::Watched;
use super::{ALPN_H3, ALPN_NATIVE, Counters, Http3, KEEP_ALIVE, Native, Options, transport};
use crate::client::{ClientOptions, ConnectCause, resolve};
use crate::{Core, Endpoint};

/// Time for one address when there are several.
const PER_ADDRESS: Duration = Duration::from_millis(700);
/// Tickets of earlier connections that are kept for each destination.
const TICKETS: usize = 8;

/// Makes connections that live on one core, all from one socket.
#[derive(Debug)]
pub(crate) struct Dialer {
    core: Core,
    options: Arc<ClientOptions>,
    /// For the two kinds of addresses.
    sockets: Mutex<[Option<quinn::Endpoint>; 2]>,
}

/// What is kept of a destination between two connections: tickets, tokens.
#[derive(Debug, Clone)]
pub(crate) struct Acquaintance {
    config: ClientConfig,
    speaks: Speaks,
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// The native protocol.
    Native,
    /// HTTP/3.
    Http3,
}

/// When a connection is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    /// Before it is known to work, if requests may leave with its first packet.
    Early,
    /// Once its handshake is complete.
    Shaken,
}

/// A connection that works, or may be used before that is known.
#[derive(Debug)]
pub(crate) enum Dialed {
    Native(Native),
    Http3(Http3),
}

impl Acquaintance {
    /// Of a destination with which nobody has spoken.
    pub(crate) fn new(options: &ClientOptions, speaks: Speaks) -> Result<Self, ConnectCause> {
        let Options {
            tls,
            attempt_early_data,
            congestion,
            ..
        } = &options.quic;
        let tls = tls.as_deref().ok_or(ConnectCause::NoCertificates)?;
        let mut tls = tls.clone();
        let alpn = match speaks {
            Speaks::Native => ALPN_NATIVE,
            Speaks::Http3 => ALPN_H3,
        };
        tls.alpn_protocols = vec![alpn.to_vec()];
        tls.enable_early_data = *attempt_early_data;
        // By name of the host only, so that what is kept must not be shared by destinations.
        tls.resumption = Resumption::in_memory_sessions(TICKETS);
        let tls = QuicClientConfig::try_from(tls)
            .map_err(|error| ConnectCause::Tls(error.to_string()))?;
        let mut config = ClientConfig::new(Arc::new(tls));
        let mut transport = transport(&options.limits, *congestion);
        transport
            .max_concurrent_bidi_streams(0_u32.into())
            .keep_alive_interval(Some(KEEP_ALIVE));
        config.transport_config(Arc::new(transport));
        Ok(Self { config, speaks })
    }
}

impl Dialer {
    pub(crate) fn new(core: Core, options: Arc<ClientOptions>) -> Self {
        Self {
            core,
            options,
            sockets: Mutex::default(),
        }
    }

    /// Opens a connection.
    pub(crate) async fn dial(
        &self,
        endpoint: &Endpoint,
        acquaintance: &Acquaintance,
        ready: Ready,
    ) -> Result<Dialed, ConnectCause> {
        let mut last = ConnectCause::Quic("the name has no address".to_owned());
        let addresses = resolve(endpoint).await?;
        for (position, address) in addresses.iter().enumerate() {
            let attempt = self.attempt(endpoint, *address, acquaintance, ready);
            let attempted = if position + 1 == addresses.len() {
                attempt.await
            } else {
                match tokio::time::timeout(PER_ADDRESS, attempt).await {
                    Ok(attempted) => attempted,
                    Err(_) => Err(ConnectCause::Timeout(PER_ADDRESS)),
                }
            };
            match attempted {
                Ok(dialed) => return Ok(dialed),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn attempt(
        &self,
        endpoint: &Endpoint,
        address: SocketAddr,
        acquaintance: &Acquaintance,
        ready: Ready,
    ) -> Result<Dialed, ConnectCause> {
        let connecting = self.begin(endpoint, address, acquaintance)?;
        if acquaintance.speaks == Speaks::Http3 {
            let connection = self.shaken(connecting).await?;
            let limits = &self.options.limits;
            let http3 = Http3::new(connection.clone(), endpoint, limits, &self.core).await?;
            self.watch(&connection, &http3.watched);
            return Ok(Dialed::Http3(http3));
        }
        let native = self.establish(connecting, ready).await?;
        self.watch(&native.connection, &native.watched);
        Ok(Dialed::Native(native))
    }

    /// Waits for the handshake.
    async fn shaken(&self, connecting: Connecting) -> Result<Connection, ConnectCause> {
        let counters = &self.options.quic.counters;
        let mut unfinished = Unfinished(Some(counters));
        let connection = connecting.await.map_err(|error| cause(&error))?;
        unfinished.0 = None;
        counters.count_connection();
        Ok(connection)
    }

    fn watch(&self, connection: &Connection, watched: &Arc<Watched>) {
        let (connection, watched) = (connection.clone(), watched.clone());
        let (after, within) = (self.options.ping_after, self.options.pong_within);
        self.core
            .spawn(async move { watched.watch(&connection, after, within).await });
    }

    async fn establish(
        &self,
        mut connecting: Connecting,
        ready: Ready,
    ) -> Result<Native, ConnectCause> {
        if ready == Ready::Early {
            connecting = match self.early(connecting) {
                Ok(native) => return Ok(native),
                Err(connecting) => connecting,
            };
        }
        let connection = self.shaken(connecting).await?;
        let native = Native::new(connection, &self.options.limits);
        native.established.cancel();
        Ok(native)
    }

    /// A connection on which requests can leave with the first packet, if the destination is known.
    fn early(&self, connecting: Connecting) -> Result<Native, Connecting> {
        if !self.options.quic.attempt_early_data {
            return Err(connecting);
        }
        let (connection, accepted) = connecting.into_0rtt()?;
        let counters = self.options.quic.counters.clone();
        counters.count_early_offered();
        let native = Native::new(connection.clone(), &self.options.limits);
        let established = native.established.clone();
        let patience = self.options.connect_timeout;
        self.core.spawn(async move {
            let Ok(is_accepted) = tokio::time::timeout(patience, accepted).await else {
                counters.count_no_handshake();
                connection.close(super::code::SILENT, b"no handshake in time");
                return;
            };
            if connection.close_reason().is_some() {
                counters.count_no_handshake();
                return;
            }
            established.cancel();
            counters.count_connection();
            match is_accepted {
                true => counters.count_early_accepted(),
                false => counters.count_early_rejected(),
            }
        });
        Ok(native)
    }

    /// Sends the first packet.
    fn begin(
        &self,
        endpoint: &Endpoint,
        address: SocketAddr,
        acquaintance: &Acquaintance,
    ) -> Result<Connecting, ConnectCause> {
        // What is made here runs on our core.
        let _entered = self.core.enter();
        let socket = self.socket(address).map_err(ConnectCause::Udp)?;
        socket
            .connect_with(acquaintance.config.clone(), address, endpoint.host())
            .map_err(|error| match error {
                quinn::ConnectError::InvalidServerName(name) => ConnectCause::ServerName(name),
                other => ConnectCause::Quic(other.to_string()),
            })
    }

    fn socket(&self, to: SocketAddr) -> std::io::Result<quinn::Endpoint> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = &mut sockets[usize::from(to.is_ipv6())];
        if let Some(socket) = socket {
            return Ok(socket.clone());
        }
        let any = match to {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let from = self.options.source.unwrap_or(any);
        let bound = super::bind(SocketAddr::new(from, 0))?;
        let runtime = Arc::new(super::runtime::Runtime);
        let made = quinn::Endpoint::new(super::endpoint(), None, bound, runtime)?;
        Ok(socket.insert(made).clone())
    }

    /// Leaves by a fresh socket from now on, with all connections: as when a device changes networks.
    pub(crate) fn rebind(&self) -> std::io::Result<()> {
        let _entered = self.core.enter();
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        for socket in sockets.iter().flatten() {
            let host = socket.local_addr()?.ip();
            socket.rebind(super::bind(SocketAddr::new(host, 0))?)?;
        }
        Ok(())
    }
}

/// A handshake that counts as failed unless it ends well; whoever waits for it may give up.
struct Unfinished<'a>(Option<&'a Counters>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(counters) = self.0 {
            counters.count_no_handshake();
        }
    }
}

/// Why there is no connection, in words.
fn cause(error: &ConnectionError) -> ConnectCause {
    match error {
        ConnectionError::TransportError(error) => {
            let code = u64::from(error.code);
            // RFC 9001, section 4.8: alerts of TLS.
            match code & !0xff == 0x100 {
                true => ConnectCause::Tls(error.to_string()),
                false => ConnectCause::Quic(error.to_string()),
            }
        }
        other => ConnectCause::Quic(other.to_string()),
    }
}
