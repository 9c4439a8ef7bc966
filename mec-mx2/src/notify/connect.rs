//! From a callback to a connection: names are resolved, and addresses checked, at this moment.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::uri::Scheme;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Settings;
use super::host::{Connection, Host};
use super::post::{Answer, Post};

/// Largest head of an answer, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// Opens a connection to the receiver of `post`.
pub(super) async fn connect(
    post: &Post<'_>,
    receiver: &Host,
    settings: &Settings,
) -> Result<Connection, Answer> {
    let failed = |error: &dyn std::fmt::Display| Answer::Failed(error.to_string());
    let uri = post.callback.uri();
    let secure = uri.scheme() == Some(&Scheme::HTTPS);
    let host = uri.host().unwrap_or_default();
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = tcp((host, port), post, receiver, settings).await?;
    // Small messages should not wait for each other.
    stream.set_nodelay(true).map_err(|error| failed(&error))?;
    if !secure {
        return handshake(TokioIo::new(stream)).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(&error))?;
    let connector = TlsConnector::from(Arc::clone(&settings.tls));
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| failed(&error))?;
    handshake(TokioIo::new(stream)).await
}

#[expect(
    clippy::disallowed_methods,
    reason = "the caller has a time-out; and addresses must be checked after names are resolved"
)]
async fn tcp(
    (host, port): (&str, u16),
    post: &Post<'_>,
    receiver: &Host,
    settings: &Settings,
) -> Result<TcpStream, Answer> {
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => receiver
            .resolve(host, port)
            .await
            .map_err(|error| Answer::Failed(format!("{host} cannot be resolved: {error}")))?,
    };
    let creator = post.address.parse().ok();
    let mut last = Answer::Forbidden(format!("notifications may not go to {host}"));
    for address in addresses {
        if !settings.targets.admit(address.ip(), creator) {
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Answer::Failed(format!("{address} cannot be reached: {error}")),
        }
    }
    Err(last)
}

async fn handshake<I>(io: I) -> Result<Connection, Answer>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (requests, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(io)
        .await
        .map_err(|error| Answer::Failed(error.to_string()))?;
    // Ends when the requests do.
    tokio::spawn(connection);
    Ok(requests)
}
