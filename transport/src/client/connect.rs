//! From an end-point to a connection that is known to work.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use h2::{Ping, PingPong};
use rustls_pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, TlsStream};

use super::ClientOptions;
use super::error::ConnectCause;
use crate::io::Io;
use crate::{Endpoint, tls};

/// A fresh connection, proven by one PING.
pub(super) struct Connected {
    pub(super) requests: SendRequest<Bytes>,
    pub(super) connection: Connection<Io, Bytes>,
    pub(super) pings: PingPong,
}

pub(super) async fn connect(
    endpoint: &Endpoint,
    options: &ClientOptions,
) -> Result<Connected, ConnectCause> {
    let timeout = options.connect_timeout;
    tokio::time::timeout(timeout, steps(endpoint, options))
        .await
        .unwrap_or(Err(ConnectCause::Timeout(timeout)))
}

async fn steps(endpoint: &Endpoint, options: &ClientOptions) -> Result<Connected, ConnectCause> {
    let io = open(endpoint, options.tls.as_ref(), options.source).await?;
    let limits = &options.limits;
    let http2 = |error: h2::Error| no_http2(&error, options.tls.is_some());
    let (requests, mut connection) = h2::client::Builder::new()
        .initial_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_concurrent_streams(limits.max_concurrent_streams)
        // An answer to a request that was given up a second ago, or beside 50 others, counts as an
        // error of the peer. After 1024 of those in the life of a connection it would be ended by
        // default, and with it all that is in flight there.
        .max_local_error_reset_streams(None)
        .max_header_list_size(limits.max_header_bytes)
        .enable_push(false)
        .handshake(io)
        .await
        .map_err(http2)?;
    let mut pings = connection.ping_pong().expect("nobody else has taken it");
    // A frozen process still accepts connections, through its kernel: only an
    // answer shows that somebody reads.
    tokio::select! {
        ended = &mut connection => Err(match ended {
            Ok(()) => ConnectCause::Http2("connection closed".to_owned()),
            Err(error) => http2(error),
        }),
        pong = pings.ping(Ping::opaque()) => pong.map(drop).map_err(http2),
    }?;
    Ok(Connected {
        requests,
        connection,
        pings,
    })
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

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where names are resolved; whoever calls has a time-out"
)]
async fn tcp(endpoint: &Endpoint, source: Option<IpAddr>) -> Result<TcpStream, ConnectCause> {
    /// Time for one address when there are several.
    const PER_ADDRESS: Duration = Duration::from_millis(700);
    let addresses: Vec<_> = tokio::net::lookup_host((endpoint.host(), endpoint.port()))
        .await
        .map_err(ConnectCause::Resolve)?
        .collect();
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
fn no_http2(error: &h2::Error, encrypted: bool) -> ConnectCause {
    if error.get_io().is_some_and(tls::is_cause) {
        return ConnectCause::Tls(explain(error));
    }
    let guess = if encrypted {
        "maybe it refused our certificate"
    } else {
        "maybe it expects TLS"
    };
    ConnectCause::Http2(format!("{} ({guess})", explain(error)))
}

/// An `h2` error in words, which are those of the stream below where that is the cause.
pub(super) fn explain(error: &h2::Error) -> String {
    match error.get_io() {
        Some(io) => io.to_string(),
        None => error.to_string(),
    }
}
