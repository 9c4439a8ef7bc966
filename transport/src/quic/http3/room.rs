//! Where header fields are decoded: one place for all streams of a connection.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::code::{self, Fault};
use super::qpack::Alike;
use super::streams::Broken;
use crate::http2::Fields;

const UNREADABLE: Fault = Fault::new(
    code::QPACK_DECOMPRESSION_FAILED,
    "header fields cannot be read",
);

/// Room for the fields of one section at a time, and beside it for those behind a message. Each of them
/// is much like the one before it, of whatever stream.
#[derive(Debug)]
pub(super) struct Room {
    heads: Mutex<Alike>,
    trailers: Mutex<Alike>,
}

impl Room {
    /// For sections of so many bytes.
    pub(super) fn new(max_header_bytes: u32) -> Self {
        let alike = || Mutex::new(Alike::new(max_header_bytes as usize));
        Self {
            heads: alike(),
            trailers: alike(),
        }
    }

    /// Has `read` look at the fields of `section`.
    pub(super) fn fields<T>(
        &self,
        section: &[u8],
        read: impl FnOnce(&Fields) -> Result<T, Broken>,
    ) -> Result<T, Broken> {
        let mut room = lock(&self.heads);
        read(room.decode(section).map_err(|_| UNREADABLE)?)
    }

    /// Has `read` look at the fields behind a message.
    pub(super) fn trailers<T>(
        &self,
        section: &[u8],
        read: impl FnOnce(&Fields) -> T,
    ) -> Result<T, Broken> {
        let mut room = lock(&self.trailers);
        let fields = room.decode(section).map_err(|_| UNREADABLE)?;
        if fields.is_too_large() || fields.is_malformed() || fields.has_pseudo() {
            return Err(Broken::Malformed(
                "what stands behind the message is not allowed",
            ));
        }
        Ok(read(fields))
    }
}

fn lock(room: &Mutex<Alike>) -> MutexGuard<'_, Alike> {
    room.lock().unwrap_or_else(PoisonError::into_inner)
}
