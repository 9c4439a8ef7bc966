//! What each side allows the other (RFC 9113, section 6.5).

use super::frame::{self, MAX_PAYLOAD};
use super::reason::Reason;

/// The window that streams begin with unless something else is said.
pub(super) const DEFAULT_WINDOW: u32 = 65_535;
/// The largest window.
pub(super) const MAX_WINDOW: i64 = (1 << 31) - 1;
/// What the header table holds unless something else is said.
pub(super) const HEADER_TABLE: usize = 4096;

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;

/// What the peer allows us.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerSettings {
    pub(super) header_table: usize,
    pub(super) max_streams: u32,
    pub(super) initial_window: u32,
    pub(super) max_payload: usize,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self {
            header_table: HEADER_TABLE,
            max_streams: u32::MAX,
            initial_window: DEFAULT_WINDOW,
            max_payload: MAX_PAYLOAD,
        }
    }
}

impl PeerSettings {
    /// Changes what `payload`, that of a SETTINGS frame, says.
    pub(super) fn change(&mut self, payload: &[u8]) -> Result<(), Reason> {
        let (settings, odd) = payload.as_chunks::<6>();
        if !odd.is_empty() {
            return Err(Reason::FRAME_SIZE_ERROR);
        }
        for setting in settings {
            let name = u16::from_be_bytes([setting[0], setting[1]]);
            let value = frame::word(&setting[2..]).unwrap_or_default();
            match name {
                HEADER_TABLE_SIZE => self.header_table = value as usize,
                ENABLE_PUSH if value > 1 => return Err(Reason::PROTOCOL_ERROR),
                MAX_CONCURRENT_STREAMS => self.max_streams = value,
                INITIAL_WINDOW_SIZE if i64::from(value) > MAX_WINDOW => {
                    return Err(Reason::FLOW_CONTROL_ERROR);
                }
                INITIAL_WINDOW_SIZE => self.initial_window = value,
                MAX_FRAME_SIZE if !(1 << 14..1 << 24).contains(&value) => {
                    return Err(Reason::PROTOCOL_ERROR);
                }
                MAX_FRAME_SIZE => self.max_payload = value as usize,
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether something that was allowed by those `before` is not any more.
    pub(super) fn allows_less_than(&self, before: &Self) -> bool {
        self.header_table < before.header_table
            || self.max_streams < before.max_streams
            || self.initial_window < before.initial_window
            || self.max_payload < before.max_payload
    }
}

/// The payload that says what we allow.
pub(super) fn ours(config: &super::Config) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut add = |name: u16, value: u32| {
        payload.extend(name.to_be_bytes());
        payload.extend(value.to_be_bytes());
    };
    if !config.is_server {
        add(ENABLE_PUSH, 0);
    }
    if config.is_server {
        add(MAX_CONCURRENT_STREAMS, config.max_streams);
    }
    add(INITIAL_WINDOW_SIZE, config.stream_window);
    add(MAX_HEADER_LIST_SIZE, config.max_header_bytes);
    payload
}
