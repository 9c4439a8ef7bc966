//! Calls `RunLambda` at any end-point: one connection per destination and core, opened when needed.

mod attempt;
mod channel;
mod connect;
mod error;
mod keepalive;
mod route;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::fast::RandomState;

use self::channel::Channel;
pub(crate) use self::connect::{open, resolve};
pub(crate) use self::error::ConnectCause;
pub use self::error::{CallError, ConnectError};
use crate::quic::{self, Dialer};
use crate::{Core, Cores, Endpoint, LambdaCall, LambdaReply, Limits, Metadata};

/// How our servers sign their answers; peers that do tolerate any number of PINGs.
pub(crate) const OURS: &str = "serverless-on-edge";

/// How connections to destinations are made and watched.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Encrypts TCP with this configuration, and proves who we are; `None`: plain.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// How and when QUIC is used.
    pub quic: quic::Options,
    /// Limits that peers have to keep.
    pub limits: Limits,
    /// The address of ours that connections leave from, which peers take for our name; `None`: what
    /// the routes of the system say.
    pub source: Option<IpAddr>,
    /// Longest time to a working connection: name, TCP, TLS, first PING.
    pub connect_timeout: Duration,
    /// Silence after which a peer that owes an answer is asked for a sign of life.
    pub ping_after: Duration,
    /// How long it may take to give one.
    pub pong_within: Duration,
}

impl Default for ClientOptions {
    /// A frozen peer is found within 2 s.
    fn default() -> Self {
        Self {
            tls: None,
            quic: quic::Options::default(),
            limits: Limits::default(),
            source: None,
            connect_timeout: Duration::from_secs(2),
            ping_after: Duration::from_millis(400),
            pong_within: Duration::from_millis(1200),
        }
    }
}

impl ClientOptions {
    fn may_encrypt(&self) -> bool {
        self.tls.is_some() || self.quic.tls.is_some()
    }

    /// Lets all cores do what the first TLS handshake on each would do, if there may be one, and waits
    /// for it: for programs that measure from their first call on.
    pub async fn prepare(&self, cores: &Cores) {
        if !self.may_encrypt() {
            return;
        }
        let prepared: Vec<_> = cores.all().iter().map(Core::prepare_for_tls).collect();
        for core in prepared {
            // Whatever failed fails in the first handshake again, which says so.
            let _failed = core.await;
        }
    }
}

/// The connections of one core to all its destinations.
///
/// A connection carries any number of calls at the same time. It is opened by
/// the first call that needs it, is proven to work by a PING before the first
/// request leaves, and is replaced when it breaks.
#[derive(Debug)]
pub struct LambdaClient {
    core: Core,
    options: Arc<ClientOptions>,
    dialer: Arc<Dialer>,
    channels: Mutex<HashMap<Box<str>, Arc<Channel>, RandomState>>,
}

impl LambdaClient {
    /// A client whose connections live on `core`.
    pub fn new(core: Core, options: Arc<ClientOptions>) -> Self {
        if options.may_encrypt() {
            drop(core.prepare_for_tls());
        }
        Self {
            dialer: Arc::new(Dialer::new(core.clone(), options.clone())),
            core,
            options,
            channels: Mutex::default(),
        }
    }

    /// Sends `call` to `endpoint` and waits for the answer, at most until the
    /// deadline of the call. Dropping the future cancels the call at the peer.
    ///
    /// # Errors
    /// If no answer came; [`CallError::never_left`] tells whether the peer can
    /// have seen the request.
    pub async fn call(
        &self,
        endpoint: &Endpoint,
        call: &LambdaCall,
    ) -> Result<LambdaReply, CallError> {
        self.call_by_name(endpoint.as_str(), call).await
    }

    /// As [`Self::call`], for an end-point that is kept as text: parsed only
    /// when its connection is first opened.
    ///
    /// # Errors
    /// Those of [`Self::call`]; a name that is no end-point cannot be connected to.
    pub async fn call_by_name(
        &self,
        name: &str,
        call: &LambdaCall,
    ) -> Result<LambdaReply, CallError> {
        let LambdaCall {
            message,
            metadata,
            deadline,
        } = call;
        let message = std::slice::from_ref(message);
        self.send(name, message, metadata, *deadline, Instant::now())
            .await
    }

    /// As [`Self::call_by_name`], at `now`, with the parts of the call by themselves and the
    /// message in pieces.
    ///
    /// # Errors
    /// Those of [`Self::call_by_name`].
    pub async fn send(
        &self,
        name: &str,
        message: &[Bytes],
        metadata: &Metadata,
        deadline: Instant,
        now: Instant,
    ) -> Result<LambdaReply, CallError> {
        let channel = self.channel(name)?;
        channel.call(message, metadata, deadline, now).await
    }

    /// Asks for a sign of life on the connection to `name` and waits for it, at most for
    /// [`ClientOptions::ping_after`] and until `deadline`: for a request that is not to be lost where
    /// requests may have been lost. If none comes, the next call opens another connection. Where there
    /// is no connection nothing is asked, since a new one is proven anyway; nor over QUIC, where
    /// whoever does not know a connection says so.
    ///
    /// # Errors
    /// [`CallError::NotTaken`] without a sign of life.
    pub async fn prove(&self, name: &str, deadline: Instant) -> Result<(), CallError> {
        self.channel(name)?.prove(deadline).await
    }

    /// Closes all connections except those to which `keep` says yes, once
    /// their calls have been answered.
    pub fn retain(&self, mut keep: impl FnMut(&str) -> bool) {
        self.lock().retain(|name, _| keep(name));
    }

    /// Closes all connections once their calls have been answered; the next call to a destination
    /// opens another, with what is known from the one before.
    pub fn hang_up(&self) {
        self.lock().values().for_each(|channel| channel.hang_up());
    }

    /// Moves all QUIC connections to a fresh socket, as when a device has changed networks; calls
    /// that are under way go on.
    ///
    /// # Errors
    /// If the system has no socket to give.
    pub fn rebind(&self) -> std::io::Result<()> {
        self.dialer.rebind()
    }

    fn channel(&self, name: &str) -> Result<Arc<Channel>, ConnectError> {
        let mut channels = self.lock();
        if let Some(channel) = channels.get(name) {
            return Ok(channel.clone());
        }
        let endpoint: Endpoint = name.parse()?;
        let channel = Arc::new(Channel::new(
            endpoint,
            self.core.clone(),
            self.options.clone(),
            self.dialer.clone(),
        ));
        channels.insert(name.into(), channel.clone());
        Ok(channel)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, Arc<Channel>, RandomState>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
