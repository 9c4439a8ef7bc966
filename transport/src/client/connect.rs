//! From an end-point to a connection that is known to work.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls_pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, TlsStream};

use super::ClientOptions;
use super::channel::Live;
use super::error::ConnectCause;
use super::keepalive::drive;
use crate::http2::{Config, Connection};
use crate::io::Io;
use crate::link::Shared;
use crate::{Core, Endpoint, tls};

/// Opens a connection over TCP that lives on `core`, and proves it by one PING.
pub(super) async fn connect(
    endpoint: &Endpoint,
    options: &Arc<ClientOptions>,
    core: &Core,
) -> Result<Live, ConnectCause> {
    let timeout = options.connect_timeout;
    tokio::time::timeout(timeout, steps(endpoint, options, core))
        .await
        .unwrap_or(Err(ConnectCause::Timeout(timeout)))
}

async fn steps(
    endpoint: &Endpoint,
    options: &Arc<ClientOptions>,
    core: &Core,
) -> Result<Live, ConnectCause> {
    let io = open(endpoint, options.tls.as_ref(), options.source).await?;
    let scheme = match options.tls {
        Some(_) => "https",
        None => "http",
    };
    let config = Config::client(&options.limits);
    let authority = endpoint.authority();
    let connection = Connection::client(config, scheme, authority, Instant::now());
    let shared = Shared::new(connection);
    let live = Live::Tcp(shared.clone());
    core.spawn(drive(io, shared.clone(), options.clone()));
    // A frozen process still accepts connections, through its kernel: only an
    // answer shows that somebody reads.
    let ping = shared.lock().ping();
    match poll_fn(|cx| shared.lock().poll_pong(ping, cx)).await {
        Ok(()) => Ok(live),
        Err(error) if shared.lock().is_tls_to_blame() => Err(ConnectCause::Tls(error)),
        Err(error) => Err(no_http2(&error, options.tls.is_some())),
    }
}

/// Opens a byte stream to `endpoint`, from `source` if one is given, trying its addresses one by
/// one.
pub(crate) async fn open(
    endpoint: &Endpoint,
    tls: Option<&Arc<rustls::ClientConfig>>,
    source: Option<IpAddr>,
) -> Result<Io, ConnectCause> {
    let stream = tcp(endpoint, source).await?;
    stream.set_nodelay(true).map_err(ConnectCause::Tcp)?;
    let Some(config) = tls else {
        return Ok(Io::plain(stream));
    };
    let name = ServerName::try_from(endpoint.host().to_owned())
        .map_err(|_| ConnectCause::ServerName(endpoint.host().to_owned()))?;
    let stream = TlsConnector::from(config.clone())
        .connect(name, stream)
        .await
        .map_err(|error| ConnectCause::Tls(tls::explain(&error)))?;
    Ok(Io::tls(TlsStream::Client(stream)))
}

/// The addresses of `endpoint`.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where names are resolved; whoever calls has a time-out"
)]
pub(crate) async fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, ConnectCause> {
    if let Ok(address) = endpoint.host().parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, endpoint.port())]);
    }
    let addresses = tokio::net::lookup_host((endpoint.host(), endpoint.port()))
        .await
        .map_err(ConnectCause::Resolve)?;
    Ok(addresses.collect())
}

async fn tcp(endpoint: &Endpoint, source: Option<IpAddr>) -> Result<TcpStream, ConnectCause> {
    /// Time for one address when there are several.
    const PER_ADDRESS: Duration = Duration::from_millis(700);
    let addresses = resolve(endpoint).await?;
    let mut last = std::io::Error::other("the name has no address");
    for (position, address) in addresses.iter().enumerate() {
        let attempt = dial(*address, source);
        let attempted = if position + 1 == addresses.len() {
            attempt.await
        } else {
            match tokio::time::timeout(PER_ADDRESS, attempt).await {
                Ok(attempted) => attempted,
                Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
            }
        };
        match attempted {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(ConnectCause::Tcp(last))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where connections are made; whoever calls has a time-out"
)]
async fn dial(address: SocketAddr, source: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let Some(source) = source else {
        return TcpStream::connect(address).await;
    };
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(address).await
}

/// Why the peer let go of a connection during the first PING: with TLS 1.3, that is also
/// when a client learns that its certificate is refused, if the alert reaches it.
fn no_http2(error: &str, encrypted: bool) -> ConnectCause {
    let guess = if encrypted {
        "maybe it refused our certificate"
    } else {
        "maybe it expects TLS, or speaks HTTP/1 only"
    };
    ConnectCause::Http2(format!("{error} ({guess})"))
}
