//! The server: one port, over TCP, QUIC or both, many cores, two planes.

mod connection;
mod requests;
mod rest;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::quic::{self, Congestion, Counters};
use crate::{Core, Cores, LambdaService, Limits, Listener, NoLambda, Seldom};

/// How long the peers of a server that drains may take to finish their handshakes, and to
/// confirm the GOAWAY where nothing is in flight. A frozen peer never does.
pub(crate) const FAREWELL: Duration = Duration::from_secs(1);
/// How often a connection that drains is asked whether anything is in flight.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A number for a connection that no other of the process has, whatever its server.
pub(crate) fn number() -> u64 {
    static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
    CONNECTIONS.fetch_add(1, Ordering::Relaxed)
}

/// What a listener serves, and within which limits.
#[derive(Debug, Clone)]
pub struct Server<S = NoLambda> {
    pub(crate) routes: Routes,
    pub(crate) lambda: Option<Arc<S>>,
    tls: Option<Arc<rustls::ServerConfig>>,
    quic: Option<Arc<rustls::ServerConfig>>,
    congestion: Congestion,
    pub(crate) quic_counters: Arc<Counters>,
    pub(crate) limits: Limits,
}

impl Server {
    /// A server of the tonic services in `routes`.
    pub fn new(routes: Routes) -> Self {
        Self {
            routes: routes.prepare(),
            lambda: None,
            tls: None,
            quic: None,
            congestion: Congestion::default(),
            quic_counters: Arc::default(),
            limits: Limits::default(),
        }
    }
}

impl<S: LambdaService> Server<S> {
    /// Serves `RunLambda`, or what [`LambdaService::METHOD`] says, by `lambda`, beside the other
    /// services.
    pub fn with_lambda<L: LambdaService>(self, lambda: Arc<L>) -> Server<L> {
        Server {
            lambda: Some(lambda),
            routes: self.routes,
            tls: self.tls,
            quic: self.quic,
            congestion: self.congestion,
            quic_counters: self.quic_counters,
            limits: self.limits,
        }
    }

    /// Accepts only encrypted connections over TCP, as `config` says; `None` only plain ones.
    #[must_use]
    pub fn with_tls(mut self, config: Option<Arc<rustls::ServerConfig>>) -> Self {
        self.tls = config;
        self
    }

    /// Serves QUIC, where the listener has a UDP port, with the certificates of `config`, sending
    /// as fast as `congestion` allows.
    #[must_use]
    pub fn with_quic(
        mut self,
        config: Option<Arc<rustls::ServerConfig>>,
        congestion: Congestion,
    ) -> Self {
        self.quic = config;
        self.congestion = congestion;
        self
    }

    /// Counts what happens on QUIC connections in `counters`, for whoever has to show them.
    #[must_use]
    pub fn with_quic_counters(mut self, counters: Arc<Counters>) -> Self {
        self.quic_counters = counters;
        self
    }

    /// Sets the limits that peers have to keep.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves `listener` on `cores` until the handle says otherwise. The
    /// handle does not own the cores: join them after the server has ended.
    pub fn serve(self, listener: Listener, cores: &Arc<Cores>) -> ServerHandle {
        let address = listener.local_addr();
        let shared = Arc::new(Shared {
            server: self,
            drain: CancellationToken::new(),
            kill: CancellationToken::new(),
            killed: Arc::default(),
            tasks: TaskTracker::new(),
            accepting: Arc::default(),
            refused: Seldom::default(),
            no_handshake: Seldom::default(),
        });
        if shared.server.tls.is_some() || shared.server.quic.is_some() {
            for core in cores.all() {
                drop(core.prepare_for_tls());
            }
        }
        let handle = ServerHandle {
            address,
            drain: shared.drain.clone(),
            kill: shared.kill.clone(),
            killed: shared.killed.clone(),
            tasks: shared.tasks.clone(),
            quic_counters: shared.server.quic_counters.clone(),
        };
        if let Some(socket) = listener.tcp {
            shared.accept_by(accept(socket, shared.clone(), cores.clone()), cores);
        }
        match (listener.udp, shared.server.quic.clone()) {
            (Some(socket), Some(tls)) => {
                let congestion = shared.server.congestion;
                let accept = quic::accept(socket, tls, congestion, shared.clone(), cores.clone());
                shared.accept_by(accept, cores);
            }
            (Some(_), None) => {
                tracing::error!(%address, "QUIC is not served: there are no certificates");
            }
            (None, _) => {}
        }
        handle
    }
}

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct Shared<S> {
    pub(crate) server: Server<S>,
    pub(crate) drain: CancellationToken,
    pub(crate) kill: CancellationToken,
    killed: Arc<AtomicBool>,
    pub(crate) tasks: TaskTracker,
    /// Tasks that accept; each of the others has a connection.
    accepting: Arc<AtomicUsize>,
    /// Tells of connections beyond the limit.
    pub(crate) refused: Seldom,
    /// Tells of failed TLS handshakes.
    pub(crate) no_handshake: Seldom,
}

impl<S> Shared<S> {
    /// Connections of this server; other servers may be on the same cores.
    pub(crate) fn connections(&self) -> usize {
        let accepting = self.accepting.load(Ordering::Relaxed);
        self.tasks.len().saturating_sub(accepting)
    }

    /// Ends when there are no connections.
    pub(crate) async fn only_accepting(&self) {
        while self.connections() > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Lets `accept` run on the first core.
    fn accept_by(&self, accept: impl Future<Output = ()> + Send + 'static, cores: &Cores) {
        let accepting = self.accepting.clone();
        accepting.fetch_add(1, Ordering::Relaxed);
        cores.all()[0].spawn(self.tasks.track_future(async move {
            accept.await;
            accepting.fetch_sub(1, Ordering::Relaxed);
        }));
    }
}

/// A running server.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    address: SocketAddr,
    drain: CancellationToken,
    kill: CancellationToken,
    killed: Arc<AtomicBool>,
    tasks: TaskTracker,
    quic_counters: Arc<Counters>,
}

impl ServerHandle {
    /// What has happened on QUIC connections.
    pub fn quic(&self) -> &Arc<Counters> {
        &self.quic_counters
    }

    /// Where the server listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, tells all peers to go elsewhere (GOAWAY), waits for
    /// the requests in flight, at most `patience`, then closes what is left.
    /// Returns true if nothing was cut off.
    pub async fn drain(&self, patience: Duration) -> bool {
        self.drain.cancel();
        self.tasks.close();
        let drained = tokio::time::timeout(patience, self.tasks.wait())
            .await
            .is_ok();
        self.kill.cancel();
        self.tasks.wait().await;
        drained
    }

    /// Ends at once, resetting all connections: what the peers of a process
    /// that dies see.
    pub async fn kill(&self) {
        self.killed.store(true, Ordering::Relaxed);
        self.kill.cancel();
        self.drain.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Accepts connections and hands each to the least loaded core.
async fn accept<S: LambdaService>(
    socket: std::net::TcpListener,
    shared: Arc<Shared<S>>,
    cores: Arc<Cores>,
) {
    const PAUSE: Duration = Duration::from_millis(50);
    let socket = match TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%error, "could not listen");
            return;
        }
    };
    let failing = Seldom::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.drain.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if shared.connections() >= shared.server.limits.max_connections {
                    if let Some(others) = shared.refused.due(Instant::now()) {
                        tracing::warn!(%peer, others, "connection refused: too many connections");
                    }
                    continue;
                }
                // Leaves this core's reactor; the core that serves it registers it anew.
                match stream.into_std() {
                    Ok(stream) => hand_over(stream, peer, &shared, cores.least_loaded()),
                    Err(error) => tracing::warn!(%peer, %error, "connection lost"),
                }
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                if failing.due(Instant::now()).is_some() {
                    tracing::error!(%error, "could not accept connections");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn hand_over<S: LambdaService>(
    stream: std::net::TcpStream,
    peer: SocketAddr,
    shared: &Arc<Shared<S>>,
    core: &Core,
) {
    let guard = core.connection();
    let tracked = shared.tasks.token();
    let shared = shared.clone();
    let own = core.clone();
    core.spawn(async move {
        let _guards = (guard, tracked);
        tokio::select! {
            biased;
            () = shared.kill.cancelled() => {}
            () = connection::serve(stream, peer, &shared, &own) => {}
        }
    });
}

/// Errors of one connection that died before it was accepted.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
