//! One accepted connection: handshakes, requests to tasks, PING, GOAWAY.

use std::future::poll_fn;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsStream};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::requests::Requests;
use super::{FAREWELL, LOOK_EVERY, Shared, number, rest};
use crate::http2::{Config, Connection, Event, Incoming};
use crate::io::Io;
use crate::link::{self, Pump};
use crate::liveness;
use crate::{Core, LambdaCall, LambdaReply, LambdaService, Peer};

/// How often a silent client is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a client may take to say so.
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// Bytes that are on their way to a client that reads, at the most, when no more leave.
const MOST_AHEAD: u64 = 4 << 20;

/// As [`MOST_AHEAD`], when the server leaves and cannot wait as long.
const MOST_UNREAD: u64 = 512 << 10;

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
    let io = match shaken {
        Ok(Ok(io)) => io,
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "connection refused: no valid handshake");
            return;
        }
        Err(_) => {
            tracing::debug!(%peer, "connection refused: handshake took too long");
            return;
        }
    };
    requests(io, peer, shared, core).await;
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
) -> Result<Io, BoxError> {
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
    Ok(io.reset_if(shared.killed.clone()))
}

/// Closes a connection after the alert that says why, and waits for the peer to do the same.
/// Closed with bytes unread, it would be reset, and the peer would not get to see the alert.
async fn let_go(mut stream: tokio::net::TcpStream) {
    let mut unread = [0; 1024];
    if stream.shutdown().await.is_ok() {
        while matches!(stream.read(&mut unread).await, Ok(1..)) {}
    }
}

/// Answers requests until the peer leaves, or is gone.
async fn requests<S: LambdaService>(
    io: Io,
    peer: SocketAddr,
    shared: &Arc<Shared<S>>,
    core: &Core,
) {
    let config = Config {
        served: shared.server.lambda.as_ref().map(|_| S::METHOD),
        ..Config::server(&shared.server.limits)
    };
    let link = link::Shared::new(Connection::server(config, Instant::now()));
    let mut pump = Pump::new(io, link.clone());
    let place = Arc::new(Place {
        lambda: shared.server.lambda.clone(),
        core: core.clone(),
        peer: Peer {
            host: peer.ip().to_canonical(),
            connection: number(),
        },
    });
    let mut lambdas = Requests::new();
    let mut events = Vec::new();
    let served = poll_fn(|cx| {
        lambdas.watch(cx);
        pump.poll_read(cx);
        link.lock().take_events(&mut events);
        place.came_together(&events);
        for event in events.drain(..) {
            match event {
                Event::Request(Incoming { stream, call }) => {
                    let place = place.clone();
                    let run = || async move { place.run(call).await };
                    lambdas.begin(&link, stream, run);
                }
                Event::Gone(number) => lambdas.drop(number),
                Event::Other(stream, request) => {
                    let stream = rest::Stream::new(link.clone(), stream);
                    let (routes, drain) = (shared.server.routes.clone(), shared.drain.clone());
                    core.spawn(rest::answer(routes, peer, *request, stream, drain));
                }
            }
        }
        lambdas.poll(&link);
        pump.poll_write(cx)
    });
    tokio::select! {
        biased;
        () = served => {}
        () = watch(&link, &shared.drain) => {}
        () = until_late(&link, shared.server.limits.handshake_timeout) => {}
    }
}

/// Where the requests of one connection are answered.
#[derive(Debug)]
struct Place<S> {
    lambda: Option<Arc<S>>,
    core: Core,
    peer: Peer,
}

impl<S: LambdaService> Place<S> {
    fn came_together(&self, events: &[Event]) {
        if let (Some(lambda), [_, _, ..]) = (&self.lambda, events) {
            lambda.came_together(events.iter().filter_map(|event| match event {
                Event::Request(Incoming { call, .. }) => Some(call),
                Event::Other(..) | Event::Gone(_) => None,
            }));
        }
    }

    async fn run(&self, call: LambdaCall) -> Result<LambdaReply, Status> {
        match &self.lambda {
            Some(lambda) => lambda.run(&self.core, self.peer, call).await,
            None => Err(Status::unimplemented("no lambdas here")),
        }
    }
}

/// Ends when the peer is silent, or when the server leaves and nothing is left to be done. What the
/// peer is told then has left, if it reads at all.
async fn watch(link: &link::Shared, drain: &CancellationToken) {
    tokio::select! {
        () = until_silent(link) => link.with(|connection| connection.abandon("the peer is silent")),
        () = drain.cancelled() => {
            link.lock().leave();
            sleep(FAREWELL).await;
            while link.lock().is_in_flight() {
                sleep(LOOK_EVERY).await;
            }
            // The system has the rest; a peer that is slow may have yet to read it.
            if !link.lock().has_delivered() {
                let _gone = liveness::prove(link, FAREWELL, MOST_UNREAD).await;
            }
        }
    }
}

/// Ends when the peer has not said hello in time.
async fn until_late(link: &link::Shared, handshake_timeout: Duration) {
    sleep(handshake_timeout).await;
    if link.lock().is_greeted() {
        std::future::pending::<()>().await;
    }
}

/// Ends when the peer does not answer a PING, and gives no other sign of life.
async fn until_silent(link: &link::Shared) {
    loop {
        sleep(PING_EVERY).await;
        let proven = liveness::prove(link, PONG_WITHIN, MOST_AHEAD).await;
        if proven.is_err() {
            return;
        }
    }
}
