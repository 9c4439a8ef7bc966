//! Lambdas over QUIC: one stream for each, natively, or gRPC over HTTP/3.
//!
//! A server has one UDP socket per process and listener, on which both mappings are served: the
//! peer's ALPN tells which. [`ALPN_NATIVE`] is the protocol of `proto/native-quic.md`, for peers of
//! our own make; [`ALPN_H3`] is for others. Each connection lives on one core, with all that
//! follows. A client has one socket per core, and one connection per destination.
//!
//! Everything is encrypted and both sides show certificates, the same as with TLS over TCP.

mod accept;
mod calls;
mod congestion;
mod counters;
mod deadlines;
mod dial;
mod heard;
mod held;
pub mod http3;
mod lasting;
mod native;
mod number;
mod places;
mod probe;
mod read;
mod runtime;
mod seen;
mod socket;
mod tickets;
mod timer;
mod unheard;
mod watch;
mod wire;

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use quinn::{
    AckFrequencyConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt,
};
use serde::{Deserialize, Serialize};
use tokio::time::timeout_at;

pub(crate) use self::accept::accept;
pub(crate) use self::calls::{Native, NotBegun, Proof};
pub use self::congestion::Congestion;
pub use self::counters::{Count, Counters};
pub(crate) use self::dial::{Acquaintance, Dialed, Dialer, Ready, Speaks};
pub(crate) use self::http3::Http3;
pub use self::probe::{NoAnswer, probe};
pub(crate) use self::socket::bind;
use crate::Limits;
use crate::tls::TlsFiles;

/// Names the native protocol in handshakes.
pub const ALPN_NATIVE: &[u8] = b"soe/1";
/// Names HTTP/3 in handshakes.
pub const ALPN_H3: &[u8] = b"h3";

/// Codes with which streams are reset and connections closed (`proto/native-quic.md`).
mod code {
    use quinn::VarInt;

    /// All is said.
    pub(super) const DONE: VarInt = VarInt::from_u32(0);
    /// Nobody waits for the answer any more.
    pub(super) const CANCELLED: VarInt = VarInt::from_u32(1);
    /// The request has not been looked at and is not going to be.
    pub(super) const NOT_TAKEN: VarInt = VarInt::from_u32(2);
    /// Something went wrong on the side that says so.
    pub(super) const FAULT: VarInt = VarInt::from_u32(3);
    /// The peer does what costs us more than it.
    pub(super) const EXCESS: VarInt = VarInt::from_u32(4);
    /// The peer has been silent for too long.
    pub(super) const SILENT: VarInt = VarInt::from_u32(5);
}

/// What stands on the only stream that a native server opens: "I am leaving, go elsewhere".
const LEAVING: u8 = 1;

/// How a client uses QUIC.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Verifies servers and proves who we are; none: QUIC cannot be used.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// How destinations are reached whose end-point does not say.
    pub prefer: Prefer,
    /// Whether requests that may be repeated leave with the first packet of a connection to a
    /// destination that is known from an earlier one (0-RTT). Whoever records the packet can have
    /// such a request executed again, at another server of the same name or after a restart.
    pub attempt_early_data: bool,
    /// How fast data is sent.
    pub congestion: Congestion,
    /// What is counted.
    pub counters: Arc<Counters>,
}

impl Options {
    /// With the certificates that the environment names, if there are any: for those who may come
    /// across a `quic://` destination, and do not have to.
    pub fn if_possible() -> Self {
        let files = TlsFiles::from_environment();
        Self {
            tls: files.and_then(|files| files.client_config()).ok(),
            ..Self::default()
        }
    }
}

/// How a client reaches destinations whose end-point has no scheme.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prefer {
    /// gRPC over TCP.
    #[default]
    Grpc,
    /// The native protocol.
    Quic,
    /// gRPC over HTTP/3.
    H3,
    /// The native protocol, and gRPC over TCP where that fails or takes long; what worked is
    /// remembered.
    Both,
}

/// Silence after which an idle connection is given up.
const IDLE: Duration = Duration::from_secs(30);
/// How often an idle client says that it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long a peer that knows of it (draft-ietf-quic-ack-frequency) may wait before it acknowledges, instead of 25 ms.
/// Where nothing else is sent that would tell, a loss is found when a round trip and this have passed: a single
/// request that is lost. What is executed for longer is acknowledged by a datagram of its own.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(5);
/// Streams in one direction that a peer may open: HTTP/3 needs three of them, and spare ones for
/// what nobody understands.
const ONE_WAY_STREAMS: u32 = 16;
/// Bytes of datagrams that wait for nobody: they are sent only to be acknowledged.
const DATAGRAMS: usize = 2 << 10;

/// Largest datagram that is tried and taken, in bytes of its payload. Connections begin with 1200 and
/// find out what their path carries (RFC 8899). Where that is as much, as within a machine, a message of
/// 10 kB takes one datagram instead of seven, and the answer acknowledges it: two would have to be
/// acknowledged at once. No more, as peers read each byte of a try as a frame. Six of them leave in one go
/// (`runtime::AT_ONCE`), and arrive in one where it is the same machine.
const LARGEST_DATAGRAM: u16 = 65_473 / 6;
/// RFC 9000; no drafts of it.
const VERSION: u32 = 1;
/// Bytes by which two tries differ at least: frames of 1500 bytes are found to carry 1465.
const NEXT_TRY: u16 = 38;

/// What holds for all connections of a socket.
fn endpoint() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config
        .max_udp_payload_size(LARGEST_DATAGRAM)
        .expect("between 1200 and 65527")
        .supported_versions(vec![VERSION]);
    config
}

/// What holds for both sides of a connection.
fn transport(limits: &Limits, congestion: Congestion) -> TransportConfig {
    let mut config = TransportConfig::default();
    let mut path = MtuDiscoveryConfig::default();
    path.upper_bound(LARGEST_DATAGRAM).minimum_change(NEXT_TRY);
    let mut acknowledgements = AckFrequencyConfig::default();
    acknowledgements
        .max_ack_delay(Some(ACKNOWLEDGED_WITHIN))
        // what comes out of order is acknowledged at once, as without the extension
        .reordering_threshold(1_u32.into());
    config
        .ack_frequency_config(Some(acknowledgements))
        .mtu_discovery_config(Some(path))
        .max_concurrent_uni_streams(ONE_WAY_STREAMS.into())
        .stream_receive_window(limits.stream_window_bytes.into())
        .receive_window(limits.connection_window_bytes.into())
        .send_window(limits.connection_window_bytes.into())
        .datagram_receive_buffer_size(Some(DATAGRAMS))
        .datagram_send_buffer_size(DATAGRAMS)
        .congestion_controller_factory(congestion.controllers())
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(
            IDLE.as_millis() as u32
        ))));
    config
}

/// Waits for `future`, at most `patience`; no timer is made, and no room taken for one, where it is ready at
/// once.
async fn within<F: Future>(patience: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    if let Poll::Ready(output) = futures_util::poll!(future.as_mut()) {
        return Some(output);
    }
    Box::pin(tokio::time::timeout(patience, future)).await.ok()
}

/// Waits for `future`, at most until `deadline`; no timer is made, and no room taken for one, where it is
/// ready at once.
async fn until<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    if let Poll::Ready(output) = futures_util::poll!(future.as_mut()) {
        return Some(output);
    }
    Box::pin(timeout_at(deadline.into(), future)).await.ok()
}
