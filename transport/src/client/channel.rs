//! The connection to one destination: opened once for all that wait, replaced when broken.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::attempt::Attempt;
use super::route::Route;
use super::{CallError, ClientOptions, ConnectError};
use crate::http2::Failure;
use crate::link::Shared;
use crate::quic::{Dialer, Http3, Native, NotBegun};
use crate::{Core, Endpoint, LambdaReply, Metadata};

/// A destination of one core.
#[derive(Debug)]
pub(super) struct Channel {
    endpoint: Endpoint,
    route: Route,
    /// The working connection.
    live: Mutex<Option<Arc<Live>>>,
    connecting: Attempt,
}

/// A connection that worked when last looked at. Once nobody holds it, it ends after the calls that
/// are under way.
#[derive(Debug)]
pub(super) enum Live {
    /// gRPC over TCP.
    Tcp(Arc<Shared>),
    /// QUIC, natively.
    Native(Native),
    /// gRPC over HTTP/3.
    Http3(Http3),
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Self::Tcp(connection) = self {
            connection.lock().end_when_idle();
        }
    }
}

/// A call that has a connection.
enum Begun {
    /// The request has been sent.
    Tcp(UnderWay),
    /// It has yet to be.
    Quic(Arc<Live>),
}

/// A call that is under way; cancelled if this is dropped before the answer has come.
#[derive(Debug)]
struct UnderWay {
    /// Held until the answer is there.
    _live: Arc<Live>,
    connection: Arc<Shared>,
    number: u32,
    is_over: bool,
}

impl UnderWay {
    async fn answer(mut self) -> Result<LambdaReply, Failure> {
        let answer = poll_fn(|cx| self.connection.lock().poll_answer(self.number, cx)).await;
        self.is_over = true;
        answer
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.is_over {
            self.connection
                .with(|connection| connection.forget(self.number));
        }
    }
}

impl Channel {
    pub(super) fn new(
        endpoint: Endpoint,
        core: Core,
        options: Arc<ClientOptions>,
        dialer: Arc<Dialer>,
    ) -> Self {
        Self {
            route: Route::new(&endpoint, core, options, dialer),
            endpoint,
            live: Mutex::default(),
            connecting: Attempt::default(),
        }
    }

    pub(super) async fn call(
        self: &Arc<Self>,
        message: &[Bytes],
        metadata: &Metadata,
        deadline: Instant,
        now: Instant,
    ) -> Result<LambdaReply, CallError> {
        if deadline <= now {
            return Err(CallError::Deadline);
        }
        let begun = match self.begin(message, metadata, deadline, now) {
            Some(begun) => begun,
            None => {
                let beginning = self.connect_and_begin(message, metadata, deadline);
                match tokio::time::timeout_at(deadline.into(), Box::pin(beginning)).await {
                    Ok(begun) => begun?,
                    Err(_) => return Err(CallError::Deadline),
                }
            }
        };
        let answer = match begun {
            Begun::Tcp(under_way) => under_way.answer().await,
            // In boxes, so that they take no room of those that do without, nor of each other.
            Begun::Quic(live) => {
                let called = match &*live {
                    Live::Native(native) => {
                        Box::pin(native.call(message, metadata, now, deadline)).await
                    }
                    Live::Http3(http3) => {
                        Box::pin(http3.call(message, metadata, now, deadline)).await
                    }
                    Live::Tcp(_) => Err(NotBegun),
                };
                match called {
                    Ok(answer) => answer,
                    Err(NotBegun) => {
                        Box::pin(self.call_again(live, message, metadata, deadline)).await?
                    }
                }
            }
        };
        answer.map_err(|failure| self.error(failure))
    }

    /// Waits for a PONG on the connection, if there is one over TCP.
    pub(super) async fn prove(&self, deadline: Instant) -> Result<(), CallError> {
        let live = self.lock().clone();
        let Some(live) = live else {
            return Ok(());
        };
        let Live::Tcp(connection) = &*live else {
            return Ok(());
        };
        let patience = self.route.ping_after();
        let until = deadline.min(Instant::now() + patience);
        let ping = connection.lock().ping();
        let pong = poll_fn(|cx| connection.lock().poll_pong(ping, cx));
        let reason = match tokio::time::timeout_at(until.into(), pong).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(reason)) => reason,
            Err(_) if until == deadline => return Err(CallError::Deadline),
            Err(_) => format!("no answer to a PING within {patience:?}"),
        };
        self.discard(&live);
        Err(self.not_taken(reason))
    }

    /// Calls on other connections than `broken`, on which the call has not begun.
    async fn call_again(
        self: &Arc<Self>,
        mut broken: Arc<Live>,
        message: &[Bytes],
        metadata: &Metadata,
        deadline: Instant,
    ) -> Result<Result<LambdaReply, Failure>, CallError> {
        /// A connection may end between two calls; a fresh one does not do so again and again.
        const ATTEMPTS: usize = 2;
        for _ in 0..ATTEMPTS {
            self.discard(&broken);
            let now = Instant::now();
            let beginning = self.connect_and_begin(message, metadata, deadline);
            let live = match tokio::time::timeout_at(deadline.into(), beginning).await {
                Ok(Ok(Begun::Quic(fresh))) => fresh,
                Ok(Ok(Begun::Tcp(under_way))) => return Ok(under_way.answer().await),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(CallError::Deadline),
            };
            let called = match &*live {
                Live::Native(native) => native.call(message, metadata, now, deadline).await,
                Live::Http3(http3) => http3.call(message, metadata, now, deadline).await,
                Live::Tcp(_) => Err(NotBegun),
            };
            match called {
                Ok(answer) => return Ok(answer),
                Err(NotBegun) => broken = live,
            }
        }
        self.discard(&broken);
        Err(self.ended_at_once())
    }

    /// Sends the request on the connection that there is, if it goes over TCP.
    fn begin(
        &self,
        message: &[Bytes],
        metadata: &Metadata,
        deadline: Instant,
        now: Instant,
    ) -> Option<Begun> {
        let live = self.lock().clone()?;
        let connection = match &*live {
            Live::Tcp(connection) => connection.clone(),
            Live::Native(native) if native.is_leaving() => {
                self.discard(&live);
                return None;
            }
            Live::Http3(http3) if http3.is_leaving() => {
                self.discard(&live);
                return None;
            }
            Live::Native(_) | Live::Http3(_) => return Some(Begun::Quic(live)),
        };
        let asked = connection.lock().ask(message, metadata, now, deadline);
        match asked {
            Ok(number) => Some(Begun::Tcp(UnderWay {
                _live: live,
                connection,
                number,
                is_over: false,
            })),
            // The peer said good-bye since the last call.
            Err(_) => {
                self.discard(&live);
                None
            }
        }
    }

    async fn connect_and_begin(
        self: &Arc<Self>,
        message: &[Bytes],
        metadata: &Metadata,
        deadline: Instant,
    ) -> Result<Begun, CallError> {
        self.ensure_live().await?;
        let begun = self.begin(message, metadata, deadline, Instant::now());
        begun.ok_or_else(|| self.ended_at_once())
    }

    fn ended_at_once(&self) -> CallError {
        self.not_taken("the connection ended as soon as it was there".to_owned())
    }

    fn not_taken(&self, reason: String) -> CallError {
        let endpoint = self.endpoint.clone();
        CallError::NotTaken { endpoint, reason }
    }

    /// Opens the connection if there is none.
    async fn ensure_live(self: &Arc<Self>) -> Result<(), ConnectError> {
        let is_there = || self.lock().is_some();
        let connect = || self.clone().connect();
        let core = self.route.core();
        self.connecting
            .wait(core, &self.endpoint, is_there, connect)
            .await
    }

    async fn connect(self: Arc<Self>) -> Result<(), ConnectError> {
        let connected = self.route.connect(&self.endpoint).await;
        self.connecting.is_over(|| match connected {
            Ok(live) => {
                *self.lock() = Some(Arc::new(live));
                Ok(())
            }
            Err(cause) => Err(ConnectError {
                endpoint: self.endpoint.to_string(),
                cause: Arc::new(cause),
            }),
        })
    }

    /// Ends the connection after the calls that are under way.
    pub(super) fn hang_up(&self) {
        let live = self.lock().take();
        drop(live);
    }

    /// Forgets `broken`, unless somebody has replaced it already.
    fn discard(&self, broken: &Arc<Live>) {
        let mut live = self.lock();
        let is_it = live.as_ref().is_some_and(|live| Arc::ptr_eq(live, broken));
        let discarded = if is_it { live.take() } else { None };
        drop(live);
        drop(discarded);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request went wrong: whose fault, and was it looked at?
    fn error(&self, failure: Failure) -> CallError {
        let endpoint = self.endpoint.clone();
        match failure {
            Failure::NotTaken(reason) => CallError::NotTaken { endpoint, reason },
            Failure::Lost(reason) => CallError::Lost { endpoint, reason },
            Failure::Deadline => CallError::Deadline,
            Failure::Status(status) => CallError::Status { endpoint, status },
            Failure::Invalid(reason) => CallError::Invalid { endpoint, reason },
        }
    }
}
