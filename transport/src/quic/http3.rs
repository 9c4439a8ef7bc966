//! gRPC over HTTP/3 (RFC 9114), as far as both sides of a hop need it.
//!
//! Header fields are compressed (RFC 9204) without a table that grows: what is said again and again is
//! encoded once, and no request waits for what another one says of the table. Frames, fields and
//! settings are read and written without sockets, in [`frame`] and [`qpack`]; what is around them uses
//! the streams of QUIC as they are.

mod answer;
mod arriving;
mod ask;
mod client;
mod code;
mod control;
pub mod frame;
mod other;
pub mod qpack;
mod room;
mod say;
mod server;
mod settings;
mod streams;

use bytes::Bytes;

pub(crate) use self::client::Http3;
pub use self::code::Fault;
pub(super) use self::code::INTERNAL_ERROR;
pub(super) use self::server::serve;

/// Messages up to this size leave in one piece with all that is around them.
const ONE_PIECE: usize = 2 << 10;

/// What is written at once, in one piece if it is small.
#[derive(Debug)]
enum Pieces {
    One([Bytes; 1]),
    Three([Bytes; 3]),
    More(Vec<Bytes>),
}

impl From<Bytes> for Pieces {
    fn from(piece: Bytes) -> Self {
        Self::One([piece])
    }
}

impl AsMut<[Bytes]> for Pieces {
    fn as_mut(&mut self) -> &mut [Bytes] {
        match self {
            Self::One(piece) => piece,
            Self::Three(pieces) => pieces,
            Self::More(pieces) => pieces,
        }
    }
}

/// Largest frame without data, where header fields of so many bytes are taken: those that are a bit too
/// large are answered.
fn most_in_a_frame(max_header_bytes: u32) -> u64 {
    2 * u64::from(max_header_bytes)
}
