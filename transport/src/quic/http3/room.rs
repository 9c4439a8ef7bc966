//! Where header fields are decoded: one place for all streams of a connection.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::code::{self, Fault};
use super::qpack::Decoder;
use super::streams::Broken;
use crate::http2::Fields;

const UNREADABLE: Fault = Fault::new(
    code::QPACK_DECOMPRESSION_FAILED,
    "header fields cannot be read",
);

/// Room for the fields of one section at a time.
#[derive(Debug)]
pub(super) struct Room(Mutex<(Decoder, Fields)>);

impl Room {
    /// For sections of so many bytes.
    pub(super) fn new(max_header_bytes: u32) -> Self {
        let fields = Fields::new(max_header_bytes as usize);
        Self(Mutex::new((Decoder::new(), fields)))
    }

    /// Has `read` look at the fields of `section`.
    pub(super) fn fields<T>(
        &self,
        section: &[u8],
        read: impl FnOnce(&Fields) -> Result<T, Broken>,
    ) -> Result<T, Broken> {
        let mut room = self.lock();
        let (decoder, fields) = &mut *room;
        fields.clear();
        decoder.decode(section, fields).map_err(|_| UNREADABLE)?;
        read(fields)
    }

    /// Has `read` look at the fields behind a message.
    pub(super) fn trailers<T>(
        &self,
        section: &[u8],
        read: impl FnOnce(&Fields) -> T,
    ) -> Result<T, Broken> {
        self.fields(section, |fields| {
            if fields.is_too_large() || fields.is_malformed() || fields.has_pseudo() {
                return Err(Broken::Malformed(
                    "what stands behind the message is not allowed",
                ));
            }
            Ok(read(fields))
        })
    }

    fn lock(&self) -> MutexGuard<'_, (Decoder, Fields)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
