//! Frames as they are on the wire (RFC 9113, section 4).

/// What a client's connection begins with.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes before the payload of a frame.
pub const HEAD: usize = 9;
/// The largest payload that every peer takes, and that ours is told to keep to.
pub const MAX_PAYLOAD: usize = 16_384;

/// The kinds of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A part of a message.
    Data,
    /// The head or the trailers of a message.
    Headers,
    /// Ignored.
    Priority,
    /// The end of a stream before its time.
    ResetStream,
    /// What the sender is able and willing to take.
    Settings,
    /// Refused: we never allow it.
    PushPromise,
    /// A question whether the peer is there, or the answer.
    Ping,
    /// The end of a connection, after some streams.
    GoAway,
    /// Room for more.
    WindowUpdate,
    /// The rest of a header block.
    Continuation,
    /// Ignored, as extensions have to be.
    Unknown,
}

/// Flags of frames; the same bit means different things in different kinds.
pub(super) mod flag {
    pub(in crate::http2) const END_STREAM: u8 = 0x1;
    pub(in crate::http2) const ACK: u8 = 0x1;
    pub(in crate::http2) const END_HEADERS: u8 = 0x4;
    pub(in crate::http2) const PADDED: u8 = 0x8;
    pub(in crate::http2) const PRIORITY: u8 = 0x20;
}

/// What comes before the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Bytes of payload.
    pub length: usize,
    /// What the payload is.
    pub kind: Kind,
    /// Its flags.
    pub flags: u8,
    /// The stream, 0 for the connection itself.
    pub stream: u32,
}

impl Head {
    /// The head of a frame.
    pub fn parse(bytes: [u8; HEAD]) -> Self {
        let kind = match bytes[3] {
            0 => Kind::Data,
            1 => Kind::Headers,
            2 => Kind::Priority,
            3 => Kind::ResetStream,
            4 => Kind::Settings,
            5 => Kind::PushPromise,
            6 => Kind::Ping,
            7 => Kind::GoAway,
            8 => Kind::WindowUpdate,
            9 => Kind::Continuation,
            _ => Kind::Unknown,
        };
        Self {
            length: u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize,
            kind,
            flags: bytes[4],
            stream: u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]) & 0x7fff_ffff,
        }
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The head of a frame of ours. `length` is below 2^24.
pub(super) fn head(kind: Kind, flags: u8, stream: u32, length: usize) -> [u8; HEAD] {
    let kind = match kind {
        Kind::Data => 0,
        Kind::Headers => 1,
        Kind::Priority => 2,
        Kind::ResetStream => 3,
        Kind::Settings => 4,
        Kind::PushPromise => 5,
        Kind::Ping => 6,
        Kind::GoAway => 7,
        Kind::WindowUpdate => 8,
        Kind::Continuation => 9,
        Kind::Unknown => 0xff,
    };
    let length = (length as u32).to_be_bytes();
    let id = stream.to_be_bytes();
    [
        length[1], length[2], length[3], kind, flags, id[0], id[1], id[2], id[3],
    ]
}

/// A payload without its padding; `None` if there is more padding than payload.
pub(super) fn unpadded(head: Head, payload: &[u8]) -> Option<&[u8]> {
    if !head.has(flag::PADDED) {
        return Some(payload);
    }
    let (&padding, rest) = payload.split_first()?;
    let length = rest.len().checked_sub(usize::from(padding))?;
    Some(&rest[..length])
}

pub(super) fn word(bytes: &[u8]) -> Option<u32> {
    let (word, _) = bytes.split_first_chunk()?;
    Some(u32::from_be_bytes(*word))
}
