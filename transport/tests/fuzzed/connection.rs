//! What holds for a server's connection, whatever a client sends.

use std::time::{Duration, Instant};

use edge_transport::Limits;
use edge_transport::http2::{Config, Connection, HEAD, MAX_PAYLOAD, PREFACE};

/// An empty SETTINGS frame.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Feeds a client's preface and then `data`, in parts whose lengths depend on `data`. Panics if the
/// connection takes more than it was offered, holds back more than a frame, goes on after its end,
/// or produces much more than it was fed.
pub(crate) fn check(data: &[u8]) {
    let limits = Limits {
        max_message_bytes: 1 << 20,
        max_concurrent_streams: 100,
        ..Limits::default()
    };
    let mut now = Instant::now();
    let mut connection = Connection::server(Config::server(&limits), now);
    let mut pending = [&PREFACE[..], &SETTINGS[..]].concat();
    let mut output = Vec::new();
    let mut rest = data;
    let mut seed = data.len();
    loop {
        now += Duration::from_millis(1);
        let used = connection.receive(&pending, now);
        assert!(used <= pending.len());
        pending.drain(..used);
        assert!(
            pending.len() <= HEAD + MAX_PAYLOAD,
            "{} bytes",
            pending.len()
        );
        // Two of three times: frames of answers may wait, but not for ever.
        if !seed.is_multiple_of(3) {
            output.clear();
            connection.take_output(&mut output);
            assert!(output.len() <= 1 << 20, "{} bytes", output.len());
        }
        if connection.ended().is_some() {
            let used = connection.receive(b"anything", now);
            assert_eq!(used, 8, "what comes after the end is thrown away");
            return;
        }
        if rest.is_empty() {
            return;
        }
        seed = seed.wrapping_mul(31).wrapping_add(usize::from(rest[0]));
        let (part, behind) = rest.split_at(rest.len().min(1 + seed % 61));
        pending.extend_from_slice(part);
        rest = behind;
    }
}
