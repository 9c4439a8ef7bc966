//! Ports for servers that must have one before they start, or again after a crash.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::Context as _;
use edge_transport::Endpoint;

/// Below the range from which Linux takes the ports of outgoing connections (32768 to 60999), so
/// that no connection takes the port of a computer while it is down.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port that nobody listens on, given out once.
pub(crate) fn reserve() -> anyhow::Result<Endpoint> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let length = RANGE.end - RANGE.start;
    // Programs that run at the same time begin at different places.
    let start = std::process::id().wrapping_mul(997) % u32::from(length);
    let start = u16::try_from(start).expect("less than the length of the range");
    (0..length)
        .map(|_| RANGE.start + (start + NEXT.fetch_add(1, Ordering::Relaxed) % length) % length)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .map(|port| Endpoint::new("127.0.0.1", port))
        .context("no free port between 20000 and 32000")
}
