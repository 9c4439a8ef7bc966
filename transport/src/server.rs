//! The server: one listener, many cores, two planes.

mod connection;
mod requests;
mod rest;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::Seldom;
use crate::{Core, Cores, LambdaService, Limits, Listener, NoLambda};

/// What a listener serves, and within which limits.
#[derive(Debug, Clone)]
pub struct Server<S = NoLambda> {
    routes: Routes,
    lambda: Option<Arc<S>>,
    tls: Option<Arc<rustls::ServerConfig>>,
    limits: Limits,
}

impl Server {
    /// A server of the tonic services in `routes`.
    pub fn new(routes: Routes) -> Self {
        Self {
            routes: routes.prepare(),
            lambda: None,
            tls: None,
            limits: Limits::default(),
        }
    }
}

impl<S: LambdaService> Server<S> {
    /// Serves `RunLambda` by `lambda`, beside the other services.
    pub fn with_lambda<L: LambdaService>(self, lambda: Arc<L>) -> Server<L> {
        Server {
            lambda: Some(lambda),
            routes: self.routes,
            tls: self.tls,
            limits: self.limits,
        }
    }

    /// Accepts only encrypted connections, as `config` says; `None` only plain ones.
    #[must_use]
    pub fn with_tls(mut self, config: Option<Arc<rustls::ServerConfig>>) -> Self {
        self.tls = config;
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
            refused: Seldom::default(),
            no_handshake: Seldom::default(),
        });
        let handle = ServerHandle {
            address,
            drain: shared.drain.clone(),
            kill: shared.kill.clone(),
            killed: shared.killed.clone(),
            tasks: shared.tasks.clone(),
        };
        let first = &cores.all()[0];
        let accept = accept(listener.socket, shared.clone(), cores.clone());
        first.spawn(shared.tasks.track_future(accept));
        handle
    }
}

/// What all connections of a server share.
#[derive(Debug)]
struct Shared<S> {
    server: Server<S>,
    drain: CancellationToken,
    kill: CancellationToken,
    killed: Arc<AtomicBool>,
    tasks: TaskTracker,
    /// Tells of connections beyond the limit.
    refused: Seldom,
    /// Tells of failed TLS handshakes.
    no_handshake: Seldom,
}

impl<S> Shared<S> {
    /// Connections of this server; other servers may be on the same cores.
    fn connections(&self) -> usize {
        // One task accepts, each of the others has a connection.
        self.tasks.len().saturating_sub(1)
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
}

impl ServerHandle {
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
