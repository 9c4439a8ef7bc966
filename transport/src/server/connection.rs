//! One accepted connection: handshakes, requests to tasks, PING, GOAWAY.

use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use edge_proto::RUN_LAMBDA_PATH;
use h2::server::{Connection, SendResponse};
use h2::{Ping, PingPong, RecvStream};
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsStream};
use tokio_util::sync::CancellationToken;

use super::{Shared, rest, unary};
use crate::io::Io;
use crate::{Core, LambdaService, Limits, Peer};

/// How often a silent client is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a client may take to say so.
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// How long the peers of a server that drains may take to finish their handshakes, and to
/// confirm the GOAWAY where nothing is in flight. A frozen peer never does.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often a connection that drains is asked whether anything is in flight.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Numbers connections, of all servers of the process.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

type H2 = Connection<Io, Bytes>;

/// Serves one connection until its peer closes it or the server drains.
pub(super) async fn serve<S: LambdaService>(
    stream: TcpStream,
    peer: SocketAddr,
    shared: &Arc<Shared<S>>,
    core: &Core,
) {
    let limits = &shared.server.limits;
    let shaking = timeout(limits.handshake_timeout, handshake(stream, peer, shared));
    let shaken = tokio::select! {
        shaken = shaking => shaken,
        () = farewell(&shared.drain) => {
            tracing::debug!(%peer, "connection closed: no handshake before the server left");
            return;
        }
    };
    let connection = match shaken {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "connection refused: no valid handshake");
            return;
        }
        Err(_) => {
            tracing::debug!(%peer, "connection refused: handshake took too long");
            return;
        }
    };
    if let Err(error) = requests(connection, peer, shared, core).await {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// Ends when the peers of a server that drains have had time to say what they want.
async fn farewell(drain: &CancellationToken) {
    drain.cancelled().await;
    sleep(FAREWELL).await;
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn handshake<S>(
    stream: TcpStream,
    peer: SocketAddr,
    shared: &Shared<S>,
) -> Result<H2, BoxError> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let stream = tokio::net::TcpStream::from_std(stream)?;
    let io = match &shared.server.tls {
        None => Io::plain(stream),
        Some(config) => {
            let accepting = TlsAcceptor::from(config.clone()).accept(stream);
            match accepting.into_fallible().await {
                Ok(stream) => Io::tls(TlsStream::Server(stream)),
                Err((error, stream)) => {
                    if let Some(others) = shared.no_handshake.due(Instant::now()) {
                        tracing::warn!(%peer, %error, others, "TLS handshake failed");
                    }
                    let_go(stream).await;
                    return Err(error.into());
                }
            }
        }
    };
    let io = io.reset_if(shared.killed.clone());
    Ok(builder(&shared.server.limits).handshake(io).await?)
}

/// Closes a connection after the alert that says why, and waits for the peer to do the same.
/// Closed with bytes unread, it would be reset, and the peer would not get to see the alert.
async fn let_go(mut stream: tokio::net::TcpStream) {
    let mut unread = [0; 1024];
    if stream.shutdown().await.is_ok() {
        while matches!(stream.read(&mut unread).await, Ok(1..)) {}
    }
}

fn builder(limits: &Limits) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_concurrent_streams(limits.max_concurrent_streams)
        // Where deadlines pass while this process is held up, all that a peer has open may be given
        // up before it is looked at. The default of 20 would end the connection of whoever has the
        // most requests in flight, and lose those.
        .max_pending_accept_reset_streams(
            usize::try_from(limits.max_concurrent_streams).unwrap_or(usize::MAX),
        )
        .max_header_list_size(limits.max_header_bytes);
    builder
}

async fn requests<S: LambdaService>(
    mut connection: H2,
    peer: SocketAddr,
    shared: &Arc<Shared<S>>,
    core: &Core,
) -> Result<(), h2::Error> {
    let pings = connection.ping_pong().expect("nobody else has taken it");
    let mut silent = pin!(until_silent(pings));
    let mut drain = pin!(shared.drain.cancelled());
    let mut draining = false;
    let sender = Peer {
        host: peer.ip().to_canonical(),
        connection: CONNECTIONS.fetch_add(1, Ordering::Relaxed),
    };
    let mut look = interval(LOOK_EVERY);
    loop {
        tokio::select! {
            request = connection.accept() => match request {
                Some(Ok((request, respond))) => {
                    spawn(request, respond, (peer, sender), shared, core);
                }
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            () = &mut silent => {
                connection.abrupt_shutdown(h2::Reason::NO_ERROR);
                return Ok(());
            }
            () = &mut drain, if !draining => {
                draining = true;
                connection.graceful_shutdown();
                look.reset_after(FAREWELL);
            }
            _ = look.tick(), if draining => {
                if !connection.has_streams() {
                    return Ok(());
                }
            }
        }
    }
}

/// Ends when the peer does not answer a PING.
async fn until_silent(mut pings: PingPong) {
    loop {
        sleep(PING_EVERY).await;
        if !matches!(
            timeout(PONG_WITHIN, pings.ping(Ping::opaque())).await,
            Ok(Ok(_))
        ) {
            return;
        }
    }
}

/// One task per request.
fn spawn<S: LambdaService>(
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    (peer, sender): (SocketAddr, Peer),
    shared: &Arc<Shared<S>>,
    core: &Core,
) {
    let server = &shared.server;
    match &server.lambda {
        Some(lambda) if request.uri().path() == RUN_LAMBDA_PATH => {
            let limit = server.limits.max_message_bytes;
            core.spawn(unary::answer(
                lambda.clone(),
                core.clone(),
                sender,
                request,
                respond,
                limit,
            ));
        }
        _ => {
            let drain = shared.drain.clone();
            core.spawn(rest::answer(
                server.routes.clone(),
                peer,
                request,
                respond,
                drain,
            ));
        }
    }
}
