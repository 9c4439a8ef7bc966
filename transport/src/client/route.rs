//! Over what a destination is reached: what its end-point says, what the client prefers, what works.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::channel::Live;
use super::connect::connect;
use super::{ClientOptions, ConnectCause};
use crate::quic::{Acquaintance, Dialed, Dialer, Prefer, Proof, Ready, Speaks};
use crate::{Core, Endpoint, Scheme};

/// How long one way may take before the other is tried, too (RFC 8305, section 8).
const HEAD_START: Duration = Duration::from_millis(250);
/// For how long the way that worked is tried first.
const REMEMBERED: Duration = Duration::from_secs(600);

/// One way to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Tcp,
    Native,
    Http3,
}

impl Way {
    fn other(self) -> Self {
        match self {
            Self::Tcp => Self::Native,
            Self::Native | Self::Http3 => Self::Tcp,
        }
    }
}

/// What is known of the ways to one destination.
#[derive(Debug, Default)]
enum Known {
    #[default]
    Nothing,
    /// This way worked at that time.
    Worked(Way, Instant),
    /// QUIC was used before its handshake was complete, with which this is cancelled.
    Early(CancellationToken),
}

/// The ways to one destination, and what is known of them.
#[derive(Debug)]
pub(super) struct Route {
    core: Core,
    options: Arc<ClientOptions>,
    dialer: Arc<Dialer>,
    /// The only way, if there is no choice.
    only: Option<Way>,
    known: Mutex<Known>,
    acquaintance: OnceLock<Acquaintance>,
}

impl Route {
    pub(super) fn new(
        endpoint: &Endpoint,
        core: Core,
        options: Arc<ClientOptions>,
        dialer: Arc<Dialer>,
    ) -> Self {
        let only = match (endpoint.scheme(), options.quic.prefer) {
            (Scheme::Quic, _) | (Scheme::Unsaid, Prefer::Quic) => Some(Way::Native),
            (Scheme::Unsaid, Prefer::Grpc) => Some(Way::Tcp),
            (Scheme::Unsaid, Prefer::Both) => None,
            (Scheme::H3, _) | (Scheme::Unsaid, Prefer::H3) => Some(Way::Http3),
        };
        Self {
            core,
            options,
            dialer,
            only,
            known: Mutex::default(),
            acquaintance: OnceLock::new(),
        }
    }

    /// Where connections live.
    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    /// How long an answer may stay out before there is doubt.
    pub(super) fn ping_after(&self) -> Duration {
        self.options.ping_after
    }

    /// Opens a connection to `endpoint` that is known to work.
    pub(super) async fn connect(&self, endpoint: &Endpoint) -> Result<Live, ConnectCause> {
        match self.only {
            Some(way) => self.by(way, endpoint, Ready::Early).await,
            None => self.by_either(endpoint).await,
        }
    }

    async fn by(&self, way: Way, endpoint: &Endpoint, ready: Ready) -> Result<Live, ConnectCause> {
        match way {
            Way::Tcp => connect(endpoint, &self.options, &self.core).await,
            Way::Native | Way::Http3 => {
                let patience = self.options.connect_timeout;
                match timeout(patience, self.dial(way, endpoint, ready)).await {
                    Ok(dialed) => dialed,
                    Err(_) => Err(ConnectCause::Timeout(patience)),
                }
            }
        }
    }

    async fn dial(
        &self,
        way: Way,
        endpoint: &Endpoint,
        ready: Ready,
    ) -> Result<Live, ConnectCause> {
        let speaks = match way {
            Way::Http3 => Speaks::Http3,
            Way::Native | Way::Tcp => Speaks::Native,
        };
        let acquaintance = self.acquaintance(speaks)?;
        Ok(
            match self.dialer.dial(endpoint, acquaintance, ready).await? {
                Dialed::Native(native) => Live::Native(native),
                Dialed::Http3(http3) => Live::Http3(http3),
            },
        )
    }

    /// Tries one way, and the other one when that fails or takes its time; the first connection
    /// counts. An early one counts, too, as long as the last of them has proven to work: whoever is
    /// back here without that proof goes by TCP, and by QUIC only after its handshake.
    async fn by_either(&self, endpoint: &Endpoint) -> Result<Live, ConnectCause> {
        let (first, ready) = self.favourite();
        let mut favourite = pin!(self.by(first, endpoint, ready));
        let failure = tokio::select! {
            biased;
            live = &mut favourite => match live {
                Ok(live) => return Ok(self.remember(first, live)),
                Err(error) => Some(error),
            },
            () = sleep(HEAD_START) => None,
        };
        let second = first.other();
        let mut other = pin!(self.by(second, endpoint, Ready::Shaken));
        if let Some(failure) = failure {
            let live = other.await.map_err(|_| failure)?;
            return Ok(self.remember(second, live));
        }
        tokio::select! {
            biased;
            live = &mut favourite => match live {
                Ok(live) => Ok(self.remember(first, live)),
                Err(failure) => {
                    let live = other.await.map_err(|_| failure)?;
                    Ok(self.remember(second, live))
                }
            },
            live = &mut other => match live {
                Ok(live) => Ok(self.remember(second, live)),
                Err(_) => Ok(self.remember(first, favourite.await?)),
            },
        }
    }

    /// The way that is tried first, and when it is ready.
    fn favourite(&self) -> (Way, Ready) {
        match &*self.known() {
            Known::Early(established) if !established.is_cancelled() => (Way::Tcp, Ready::Shaken),
            Known::Worked(way, since) if since.elapsed() < REMEMBERED => (*way, Ready::Early),
            Known::Nothing | Known::Worked(..) | Known::Early(_) => (Way::Native, Ready::Early),
        }
    }

    fn remember(&self, way: Way, live: Live) -> Live {
        let proof = match &live {
            Live::Native(native) => native.proof(),
            Live::Tcp(_) | Live::Http3(_) => None,
        };
        *self.known() = match &proof {
            None => Known::Worked(way, Instant::now()),
            Some(proof) => Known::Early(proof.established().clone()),
        };
        if let Some(proof) = proof {
            self.core.spawn(prove(proof));
        }
        live
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A destination is spoken to by one protocol over QUIC.
    fn acquaintance(&self, speaks: Speaks) -> Result<&Acquaintance, ConnectCause> {
        if let Some(acquaintance) = self.acquaintance.get() {
            return Ok(acquaintance);
        }
        let fresh = Acquaintance::new(&self.options, speaks)?;
        Ok(self.acquaintance.get_or_init(|| fresh))
    }
}

/// Sends calls by TCP where the handshake takes its time.
async fn prove(proof: Proof) {
    if !proof.comes(HEAD_START).await {
        proof.doubt();
    }
}
