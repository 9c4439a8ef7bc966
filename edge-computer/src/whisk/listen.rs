//! Accepts connections, encrypted or not, and serves HTTP on each in a task of its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Platform, api};

/// Connections at the same time.
const MAX_CONNECTIONS: usize = 10_000;
/// How long the beginning of a connection may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// How long it is not accepted once that has failed, for want of file descriptors perhaps.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`; connections end with it.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    platform: Arc<Platform>,
    stop: CancellationToken,
) {
    let tls = tls.map(TlsAcceptor::from);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else {
            break;
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // Beyond the limit it is closed at once.
        if let Ok(place) = places.clone().try_acquire_owned() {
            connections.spawn(connection(stream, tls.clone(), platform.clone(), place));
        }
    }
    connections.shutdown().await;
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    platform: Arc<Platform>,
    _place: OwnedSemaphorePermit,
) {
    // Answers are short; an error only makes them slower.
    let _set = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return http(stream, platform).await;
    };
    let handshake = tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await;
    if let Ok(Ok(stream)) = handshake {
        http(stream, platform).await;
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    platform: Arc<Platform>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let platform = platform.clone();
        async move { Ok::<Response<Full<Bytes>>, Infallible>(api::answer(platform, request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(hyper_util::rt::TokioTimer::new())
        .header_read_timeout(HANDSHAKE_WITHIN * 12);
    // An error is the end of the connection, which the peer has brought about.
    let _ended = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
