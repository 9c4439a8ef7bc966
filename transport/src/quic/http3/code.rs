//! Codes with which streams are cut off and connections closed (RFC 9114, section 8.1; RFC 9204,
//! section 6).

use quinn::VarInt;

/// All is said.
pub(super) const NO_ERROR: VarInt = VarInt::from_u32(0x100);
/// The peer breaks a rule, and no other code says which.
pub(super) const GENERAL_PROTOCOL_ERROR: VarInt = VarInt::from_u32(0x101);
/// Something went wrong on the side that says so.
pub(in crate::quic) const INTERNAL_ERROR: VarInt = VarInt::from_u32(0x102);
/// The peer opens a stream that it may not open.
pub(super) const STREAM_CREATION_ERROR: VarInt = VarInt::from_u32(0x103);
/// A stream has ended that lives as long as the connection.
pub(super) const CLOSED_CRITICAL_STREAM: VarInt = VarInt::from_u32(0x104);
/// A frame is not allowed where it stands.
pub(super) const FRAME_UNEXPECTED: VarInt = VarInt::from_u32(0x105);
/// A frame is not what it says.
pub(super) const FRAME_ERROR: VarInt = VarInt::from_u32(0x106);
/// The peer does what costs us more than it.
pub(super) const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(0x107);
/// The number of a stream or a push is not possible.
pub(super) const ID_ERROR: VarInt = VarInt::from_u32(0x108);
/// The settings contradict themselves or the protocol.
pub(super) const SETTINGS_ERROR: VarInt = VarInt::from_u32(0x109);
/// A control stream does not begin with settings.
pub(super) const MISSING_SETTINGS: VarInt = VarInt::from_u32(0x10a);
/// The request has not been looked at and is not going to be.
pub(super) const REQUEST_REJECTED: VarInt = VarInt::from_u32(0x10b);
/// Nobody waits for the answer any more.
pub(super) const REQUEST_CANCELLED: VarInt = VarInt::from_u32(0x10c);
/// The stream of a request has ended without one.
pub(super) const REQUEST_INCOMPLETE: VarInt = VarInt::from_u32(0x10d);
/// A request or an answer breaks the rules.
pub(super) const MESSAGE_ERROR: VarInt = VarInt::from_u32(0x10e);
/// Header fields cannot be read.
pub(super) const QPACK_DECOMPRESSION_FAILED: VarInt = VarInt::from_u32(0x200);
/// The peer's encoder wants what we have not allowed.
pub(super) const QPACK_ENCODER_STREAM_ERROR: VarInt = VarInt::from_u32(0x201);
/// The peer's decoder speaks of what we have not said.
pub(super) const QPACK_DECODER_STREAM_ERROR: VarInt = VarInt::from_u32(0x202);

/// Why a connection ends: the peer breaks a rule that all of it depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    code: VarInt,
    text: &'static str,
}

impl Fault {
    pub(super) const fn new(code: VarInt, text: &'static str) -> Self {
        Self { code, text }
    }

    /// The code that the peer is told.
    pub fn code(&self) -> u64 {
        self.code.into_inner()
    }

    pub(super) fn close(&self, connection: &quinn::Connection) {
        connection.close(self.code, self.text.as_bytes());
    }
}
