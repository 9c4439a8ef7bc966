//! One gRPC message out of the parts in which it arrives: a byte of flags, four of length, the message.

use bytes::Bytes;
use tonic::Status;
use tonic::metadata::MetadataValue;

/// Bytes before a message.
pub(crate) const PREFIX: usize = 5;
/// Room behind a message, so that a field can be added to it in its place.
const ROOM_BEHIND: usize = 128;
/// Messages up to this size have no room behind them: what holds the room costs more than to copy them
/// once more.
const SMALL: usize = 1 << 10;
/// Room that is made for a message on its word alone.
const ROOM_ON_CREDIT: usize = 256 << 10;

/// Room to be made behind a message of so many bytes.
pub(crate) const fn room_behind(length: usize) -> usize {
    if length > SMALL { ROOM_BEHIND } else { 0 }
}

/// The message of a unary call.
#[derive(Debug, Default)]
pub(crate) enum Message {
    /// Nothing has arrived.
    #[default]
    None,
    /// Part of the prefix.
    Prefix { bytes: [u8; PREFIX], have: usize },
    /// Part of the message, which has `length` bytes.
    Part { bytes: Vec<u8>, length: usize },
    /// All of it.
    Whole(Bytes),
}

impl Message {
    /// Adds what has arrived.
    ///
    /// # Errors
    /// If it is not part of a single, uncompressed message of at most `limit` bytes.
    pub(crate) fn add(&mut self, mut data: &[u8], limit: usize) -> Result<(), Status> {
        // The common case: all of it at once.
        if let (Self::None, Some((prefix, message))) = (&self, data.split_first_chunk())
            && message.len() <= SMALL
        {
            let length = length(*prefix, limit)?;
            if message.len() == length {
                *self = Self::Whole(Bytes::copy_from_slice(message));
                return Ok(());
            }
        }
        while !data.is_empty() {
            match self {
                Self::None => {
                    *self = Self::Prefix {
                        bytes: [0; PREFIX],
                        have: 0,
                    };
                }
                Self::Prefix { bytes, have } => {
                    let taken = data.len().min(PREFIX - *have);
                    bytes[*have..*have + taken].copy_from_slice(&data[..taken]);
                    *have += taken;
                    data = &data[taken..];
                    if *have == PREFIX {
                        let length = length(*bytes, limit)?;
                        *self = Self::Part {
                            bytes: Vec::with_capacity(length.min(ROOM_ON_CREDIT) + ROOM_BEHIND),
                            length,
                        };
                        self.complete();
                    }
                }
                Self::Part { bytes, length } => {
                    let taken = data.len().min(*length - bytes.len());
                    if bytes.capacity() - bytes.len() < taken {
                        // Twice as much each time, but not more than is going to come.
                        let more = bytes.capacity().max(taken).min(*length - bytes.len());
                        bytes.reserve_exact(more + ROOM_BEHIND);
                    }
                    bytes.extend_from_slice(&data[..taken]);
                    data = &data[taken..];
                    self.complete();
                }
                Self::Whole(_) => {
                    return Err(Status::internal("more than one message in a unary call"));
                }
            }
        }
        Ok(())
    }

    fn complete(&mut self) {
        if let Self::Part { bytes, length } = self
            && bytes.len() == *length
        {
            *self = Self::Whole(Bytes::from(std::mem::take(bytes)));
        }
    }

    /// Bytes that are held.
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::None | Self::Prefix { .. } => 0,
            Self::Part { bytes, .. } => bytes.len(),
            Self::Whole(bytes) => bytes.len(),
        }
    }

    /// The message, where the stream ends here; `Ok(None)` if it ended without one.
    ///
    /// # Errors
    /// If it ended within the message.
    pub(crate) fn end(self) -> Result<Option<Bytes>, Status> {
        match self {
            Self::None => Ok(None),
            Self::Whole(message) => Ok(Some(message)),
            Self::Prefix { .. } | Self::Part { .. } => {
                Err(Status::internal("the stream ended within a message"))
            }
        }
    }
}

fn length(prefix: [u8; PREFIX], limit: usize) -> Result<usize, Status> {
    if prefix[0] != 0 {
        let mut status = Status::unimplemented(
            "compressed messages are not supported; send with identity encoding",
        );
        let accepted = MetadataValue::from_static("identity");
        // So that a client can send it again as it has to be.
        status
            .metadata_mut()
            .insert("grpc-accept-encoding", accepted);
        return Err(status);
    }
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    if length > limit {
        return Err(Status::resource_exhausted(format!(
            "message of {length} bytes is larger than the limit of {limit} bytes"
        )));
    }
    Ok(length)
}

/// What comes before a message of this length, which is below 4 GiB.
pub(crate) fn prefix(length: usize) -> [u8; PREFIX] {
    let length = (length as u32).to_be_bytes();
    [0, length[0], length[1], length[2], length[3]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tonic::Code;

    #[test]
    fn a_compressed_message_is_refused_with_what_is_taken() {
        let refusal = read(&[&[1, 0, 0, 0, 1, b'x']], 10).unwrap_err();
        assert_eq!(refusal.code(), Code::Unimplemented);
        assert_eq!(
            refusal.metadata().get("grpc-accept-encoding").unwrap(),
            "identity"
        );
    }

    fn read(parts: &[&[u8]], limit: usize) -> Result<Option<Bytes>, Status> {
        let mut message = Message::default();
        for part in parts {
            message.add(part, limit)?;
        }
        message.end()
    }

    proptest! {
        #[test]
        fn a_message_is_the_same_however_it_arrives(
            message: Vec<u8>, cuts in prop::collection::vec(0usize..300, 0..6)
        ) {
            let whole = [&prefix(message.len())[..], &message].concat();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
            cuts.extend([0, whole.len()]);
            cuts.sort_unstable();
            let parts: Vec<_> = cuts.windows(2).map(|cut| &whole[cut[0]..cut[1]]).collect();
            let read = read(&parts, 1000).unwrap();
            prop_assert_eq!(read.as_deref(), Some(&message[..]));
        }
    }

    #[test]
    fn a_field_fits_behind_a_large_message_in_its_place() {
        let message = vec![7; 10_000];
        let whole = [&prefix(message.len())[..], &message].concat();
        let read = read(&[&whole], 20_000).unwrap().unwrap();
        let read = read.try_into_mut().expect("nobody else holds it");
        assert!(read.capacity() - read.len() >= ROOM_BEHIND);
    }

    #[test]
    fn what_is_no_single_message_is_refused() {
        assert_eq!(read(&[], 10).unwrap(), None);
        assert_eq!(read(&[b"\0\0\0\0\0"], 10).unwrap().unwrap().len(), 0);
        for (parts, code) in [
            (&[&b"\x01\0\0\0\x01a"[..]][..], Code::Unimplemented),
            (&[b"\0\0\0\0\x0b"], Code::ResourceExhausted),
            (&[b"\0\0\0\0\x02a"], Code::Internal),
            (&[b"\0\0"], Code::Internal),
            (&[b"\0\0\0\0\x01ab"], Code::Internal),
            (&[b"\0\0\0\0\x01a", b"b"], Code::Internal),
        ] {
            assert_eq!(read(parts, 10).unwrap_err().code(), code, "{parts:?}");
        }
    }
}
