//! Connections of device applications: accepted, encrypted if so configured, bounded, drained.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use edge_transport::turn::{self, Turn, Watched, attend};
use edge_transport::{Cores, Seldom};
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::{Builder, Connection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::subject;
use crate::auth::Peer;

/// How long a TLS handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// How long a client may be silent between two requests, and over HTTP/1.1 take to send the head of
/// one, and read nothing of its answer, in seconds.
const PATIENCE: u32 = 30;
/// Silence after which a client of HTTP/2 is asked for a sign of life.
const PING_AFTER: Duration = Duration::from_secs(30);
/// Largest head, in bytes.
const HEAD_SIZE: usize = 32 << 10;
/// Requests at a time of one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// Pause after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Those who serve connections.
#[derive(Debug)]
pub(crate) struct Serving {
    drain: CancellationToken,
    kill: CancellationToken,
    tasks: TaskTracker,
}

impl Serving {
    /// Serves `router` on `socket`.
    pub(crate) fn start(
        socket: std::net::TcpListener,
        router: Router,
        tls: Option<Arc<rustls::ServerConfig>>,
        max_connections: usize,
        cores: &Arc<Cores>,
    ) -> Self {
        let serving = Self {
            drain: CancellationToken::new(),
            kill: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let shared = Shared {
            router,
            tls: tls.map(TlsAcceptor::from),
            slots: Arc::new(Semaphore::new(max_connections)),
            drain: serving.drain.clone(),
            kill: serving.kill.clone(),
            tasks: serving.tasks.clone(),
            cores: cores.clone(),
            clock: Arc::default(),
            patience: PATIENCE,
        };
        let clock = Arc::downgrade(&shared.clock);
        let ticks = serving.kill.clone();
        let ticks = ticks.run_until_cancelled_owned(turn::tick(clock));
        cores.all()[0].spawn(async move {
            ticks.await;
        });
        let accept = serving.tasks.track_future(accept(socket, shared));
        cores.all()[0].spawn(accept);
        serving
    }

    /// Accepts nothing more, and waits for what is in flight, at most for `patience`.
    /// Returns whether nothing was cut off.
    pub(crate) async fn drain(&self, patience: Duration) -> bool {
        self.drain.cancel();
        self.tasks.close();
        let drained = tokio::time::timeout(patience, self.tasks.wait()).await;
        self.kill().await;
        drained.is_ok()
    }

    /// Ends all connections now.
    pub(crate) async fn kill(&self) {
        self.drain.cancel();
        self.kill.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[derive(Clone)]
struct Shared {
    router: Router,
    tls: Option<TlsAcceptor>,
    slots: Arc<Semaphore>,
    drain: CancellationToken,
    kill: CancellationToken,
    tasks: TaskTracker,
    cores: Arc<Cores>,
    /// Seconds that have passed.
    clock: Arc<AtomicU32>,
    patience: u32,
}

async fn accept(socket: std::net::TcpListener, shared: Shared) {
    let listener = match TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the interface cannot listen");
            return;
        }
    };
    let next = async || {
        // Beyond the limit, others wait in the queue of the listener.
        let slot = shared.slots.clone().acquire_owned().await;
        (slot, listener.accept().await)
    };
    let mut turn = 0_usize;
    let failing = Seldom::default();
    while let Some((slot, accepted)) = shared.drain.run_until_cancelled(next()).await {
        match accepted {
            Ok((stream, peer)) => match stream.into_std() {
                Ok(stream) => {
                    turn = turn.wrapping_add(1);
                    let own = shared.clone();
                    let served = shared.tasks.track_future(async move {
                        let kill = own.kill.clone();
                        kill.run_until_cancelled(connection(stream, peer, own))
                            .await;
                        drop(slot);
                    });
                    let cores = shared.cores.all();
                    cores[turn % cores.len()].spawn(served);
                }
                Err(error) => tracing::debug!(%peer, %error, "connection lost"),
            },
            Err(error) => {
                if let Some(others) = failing.due(Instant::now()) {
                    tracing::warn!(%error, others, "the interface cannot accept a connection");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: std::net::TcpStream, peer: SocketAddr, shared: Shared) {
    let Ok(stream) = TcpStream::from_std(stream) else {
        return;
    };
    // A failure costs time, not more.
    let _ = stream.set_nodelay(true);
    let address = peer.ip();
    let Some(acceptor) = &shared.tls else {
        let peer = Peer {
            address,
            certificate: None,
        };
        return exchange(stream, peer, &shared).await;
    };
    match tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let certificates = stream.get_ref().1.peer_certificates();
            let certificate = certificates.and_then(|chain| subject(chain.first()?));
            let peer = Peer {
                address,
                certificate,
            };
            exchange(stream, peer, &shared).await;
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
        Err(_) => tracing::debug!(%peer, "no TLS in time"),
    }
}

async fn exchange<S>(stream: S, peer: Peer, shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // That begins with the first byte only; `Turn` sees to it.
        .header_read_timeout(None)
        .max_buf_size(HEAD_SIZE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(16 << 10)
        .keep_alive_interval(PING_AFTER);
    let turn = Arc::new(Turn::new(shared.clock.clone(), shared.patience));
    let io = TokioIo::new(Watched::new(stream, turn.clone()));
    let (router, its_turn) = (shared.router.clone(), turn.clone());
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (router, turn) = (router.clone(), its_turn.clone());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        async move {
            let _ours = turn.ours();
            router.oneshot(request).await
        }
    });
    let mut connection = pin!(builder.serve_connection(io, service));
    let attended = attend(
        connection.as_mut(),
        Connection::graceful_shutdown,
        &turn,
        &shared.drain,
    );
    match attended.await {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(%error, "connection of a device application failed"),
        None => tracing::debug!("a device application was silent for too long"),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// Somebody to serve, for whom `exchange` has no patience.
    fn impatient(cores: &Arc<Cores>) -> (Shared, Peer) {
        let long = || std::future::ready("x".repeat(1000));
        let shared = Shared {
            router: Router::new().route("/", get(long)),
            tls: None,
            slots: Arc::new(Semaphore::new(1)),
            drain: CancellationToken::new(),
            kill: CancellationToken::new(),
            tasks: TaskTracker::new(),
            cores: cores.clone(),
            clock: Arc::default(),
            patience: 0,
        };
        tokio::spawn(turn::tick(Arc::downgrade(&shared.clock)));
        let peer = Peer {
            address: "127.0.0.1".parse().unwrap(),
            certificate: None,
        };
        (shared, peer)
    }

    #[tokio::test]
    async fn who_sends_no_request_or_reads_no_answer_is_left() {
        let cores = Arc::new(Cores::start("test", NonZeroUsize::MIN).unwrap());
        let (shared, peer) = impatient(&cores);
        let request = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        for sent in ["", "PRI * HT", "PRI * HTTP/2.0\r\n", "GET / HT", request] {
            let (near, mut far) = duplex(128);
            far.write_all(sent.as_bytes()).await.unwrap();
            exchange(near, peer.clone(), &shared).await;
            let answered = far.read(&mut [0; 128]).await.unwrap() == 128;
            assert_eq!(answered, sent == request, "{sent}");
        }
        cores.join().await;
    }

    #[tokio::test]
    async fn who_only_answers_pings_over_http_2_is_told_to_go() {
        let cores = Arc::new(Cores::start("test", NonZeroUsize::MIN).unwrap());
        let (shared, peer) = impatient(&cores);
        let (near, far) = duplex(1024);
        let client = async {
            let executor = TokioExecutor::new();
            let shaken = hyper::client::conn::http2::handshake(executor, TokioIo::new(far));
            let (mut requests, connection) = shaken.await.unwrap();
            let ended = tokio::spawn(connection);
            let request = Request::get("http://x/").body(Body::empty()).unwrap();
            let answer = requests.send_request(request).await.unwrap();
            assert!(answer.status().is_success());
            // It would go on for ever, and learns of no error.
            ended.await.unwrap().unwrap();
        };
        tokio::join!(exchange(near, peer, &shared), client);
        cores.join().await;
    }
}
