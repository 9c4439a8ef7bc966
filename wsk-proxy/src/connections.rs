//! Connections of clients: accepted, encrypted or not, HTTP/1.1 or HTTP/2, ended gracefully.

use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge_transport::Seldom;
use edge_transport::turn::{Turn, Watched, attend};
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::{Builder, Connection};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::lane::Lane;
use crate::rest;
use crate::shared::Counted;

/// How long a TLS handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// How long the head of a request may take, in seconds, and how long an idle connection is kept,
/// one of HTTP/2 that answers PINGs included.
const PATIENCE: u32 = 60;
/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 32 << 10;
/// Requests of one connection of HTTP/2 at the same time.
const MAX_STREAMS: u32 = 1000;
/// Silence after which a client of HTTP/2 is asked for a sign of life, and how long it may take.
const PING_AFTER: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// The pause after a failure to accept, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where clients connect, and what is done with their connections.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) lanes: Vec<Arc<Lane>>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// No more connections, and those that there are end when they have been answered.
    pub(crate) drain: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Door {
    /// Accepts until the drain begins; connections go round the cores.
    pub(crate) async fn accept(self: Arc<Self>, listener: TcpListener) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                return;
            }
        };
        let mut lanes = self.lanes.iter().cycle();
        let failing = Seldom::default();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.drain.cancelled() => return,
            };
            let Some(lane) = lanes.next() else { return };
            match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
                Ok((stream, peer)) => {
                    let serving = self.clone().connection(lane.clone(), stream, peer);
                    lane.core.spawn(self.tasks.track_future(serving));
                }
                Err(error) => {
                    if let Some(others) = failing.due(Instant::now()) {
                        tracing::warn!(%error, others, "cannot accept a connection");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(
        self: Arc<Self>,
        lane: Arc<Lane>,
        stream: std::net::TcpStream,
        peer: SocketAddr,
    ) {
        let shared = lane.shared.clone();
        let most = shared.config.limits.max_connections;
        let Some(_place) = Counted::below(&shared.connections, most) else {
            if let Some(others) = shared.turned_away.due(Instant::now()) {
                tracing::warn!(%peer, others, "too many connections, closing one");
            }
            return;
        };
        let stream = match stream
            .set_nodelay(true)
            .and_then(|()| TcpStream::from_std(stream))
        {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%peer, %error, "connection failed");
                return;
            }
        };
        let Some(config) = &self.tls else {
            return self.serve(lane, stream, peer).await;
        };
        let handshake = TlsAcceptor::from(config.clone()).accept(stream);
        let problem = match tokio::time::timeout(HANDSHAKE_WITHIN, handshake).await {
            Ok(Ok(stream)) => return self.serve(lane, stream, peer).await,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        if let Some(others) = shared.turned_away.due(Instant::now()) {
            tracing::warn!(%peer, problem, others, "TLS handshake failed");
        }
    }

    async fn serve(
        &self,
        lane: Arc<Lane>,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: SocketAddr,
    ) {
        let builder = builder();
        let turn = Arc::new(Turn::new(lane.shared.clock.clone(), PATIENCE));
        let stream = TokioIo::new(Watched::new(stream, turn.clone()));
        let its_turn = turn.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (lane, turn) = (lane.clone(), its_turn.clone());
            async move {
                let _ours = turn.ours();
                rest::serve(&lane, request).await
            }
        });
        let mut connection = pin!(builder.serve_connection(stream, service));
        let attended = attend(
            connection.as_mut(),
            Connection::graceful_shutdown,
            &turn,
            &self.drain,
        );
        match attended.await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::debug!(%peer, %error, "connection ended"),
            None => tracing::debug!(%peer, "a client was silent for too long"),
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // That is seen to by `Turn`.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(usize::try_from(MAX_STREAMS).ok())
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PONG_WITHIN);
    builder
}
