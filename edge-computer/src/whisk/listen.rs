//! Accepts connections, encrypted or not, and serves HTTP on each in a task of its own.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use bytes::Bytes;
use edge_transport::turn::{self, Turn, Watched};
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
/// How long a TLS handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// How long the head of a request may take, in seconds, an idle connection is kept, and nothing of an
/// answer may be read.
const PATIENCE: u32 = 60;
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
    let clock = Arc::<AtomicU32>::default();
    connections.spawn(turn::tick(Arc::downgrade(&clock)));
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
            let turn = Turn::new(clock.clone(), PATIENCE);
            connections.spawn(connection(
                stream,
                tls.clone(),
                platform.clone(),
                turn,
                place,
            ));
        }
    }
    connections.shutdown().await;
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    platform: Arc<Platform>,
    turn: Turn,
    _place: OwnedSemaphorePermit,
) {
    // Answers are short; an error only makes them slower.
    let _set = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return http(stream, platform, turn).await;
    };
    let handshake = tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await;
    if let Ok(Ok(stream)) = handshake {
        http(stream, platform, turn).await;
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    platform: Arc<Platform>,
    turn: Turn,
) {
    let turn = Arc::new(turn);
    let io = TokioIo::new(Watched::new(stream, turn.clone()));
    let its_turn = turn.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (platform, turn) = (platform.clone(), its_turn.clone());
        async move {
            let _ours = turn.ours();
            let answer = api::answer(platform, request).await;
            Ok::<Response<Full<Bytes>>, Infallible>(answer)
        }
    });
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    // That begins with the first byte only; `Turn` sees to it.
    builder.http1().header_read_timeout(None);
    tokio::select! {
        // An error is the end of the connection, which the peer has brought about.
        _ended = builder.serve_connection(io, service) => {}
        () = turn.over() => {}
    }
}
