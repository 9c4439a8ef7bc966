//! What stands on a native stream: a small head in front of each message (`proto/native-quic.md`).

use std::time::Duration;

use bytes::Bytes;
use tonic::{Code, Status};

use super::number;
use crate::Metadata;
use crate::http2::hpack::{Name, is_valid};

/// The version of the head that is written, and the only one that is read.
const VERSION: u8 = 1;
/// The request may be executed more than once.
const MAY_REPEAT: u8 = 1;
/// Messages up to this size leave in one piece with their head.
const ONE_PIECE: usize = 2 << 10;

/// The head of a request, read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct RequestHead {
    /// What the sender says; the message itself decides.
    pub(super) may_repeat: bool,
    /// How long the caller waits; none: it does not say.
    pub(super) patience: Option<Duration>,
    pub(super) metadata: Metadata,
}

/// The head of an answer, read.
#[derive(Debug, PartialEq)]
pub(super) struct AnswerHead {
    pub(super) code: Code,
    pub(super) trailers: Metadata,
}

/// Why bytes are no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the stream ended within its head")]
    Short,
    #[error("the head is of version {0}")]
    Version(u8),
    #[error("the head has more than {0} bytes of metadata")]
    TooLarge(usize),
    #[error("a field of the metadata is malformed")]
    Field,
}

/// A head, and how many bytes it has; none if there is more of it to come.
pub(super) type Read<T> = Result<Option<(T, usize)>, Malformed>;

/// What is written on a stream, in as many pieces as it has.
#[derive(Debug)]
pub(super) enum Pieces {
    One([Bytes; 1]),
    More(Vec<Bytes>),
}

impl AsMut<[Bytes]> for Pieces {
    fn as_mut(&mut self) -> &mut [Bytes] {
        match self {
            Self::One(piece) => piece,
            Self::More(pieces) => pieces,
        }
    }
}

/// A request as it is written: head and message, in one piece if they are small.
pub(super) fn request(
    message: &[Bytes],
    metadata: &Metadata,
    patience: Duration,
    may_repeat: bool,
) -> Pieces {
    let size: usize = message.iter().map(Bytes::len).sum();
    let together = size <= ONE_PIECE;
    let room = if together { size } else { 0 };
    // 0 means that the caller does not say.
    let patience = u64::try_from(patience.as_micros()).unwrap_or(u64::MAX);
    let patience = patience.max(1);
    let fields = fields_length(metadata);
    let length = 2 + number::size(patience) + number::size(fields as u64) + fields;
    // What is full need not be told of its room.
    let mut head = Vec::with_capacity(length + room);
    head.push(VERSION);
    head.push(if may_repeat { MAY_REPEAT } else { 0 });
    number::put(&mut head, patience);
    put_metadata(&mut head, metadata);
    if together {
        message
            .iter()
            .for_each(|piece| head.extend_from_slice(piece));
        return Pieces::One([head.into()]);
    }
    let mut pieces = Vec::with_capacity(1 + message.len());
    pieces.push(head.into());
    pieces.extend(message.iter().filter(|piece| !piece.is_empty()).cloned());
    Pieces::More(pieces)
}

/// An answer as it is written.
pub(super) fn answer(message: Bytes, trailers: &Metadata) -> [Bytes; 2] {
    let head = if trailers.is_empty() {
        Bytes::from_static(&[Code::Ok as u8, 0])
    } else {
        let mut head = vec![Code::Ok as u8];
        put_metadata(&mut head, trailers);
        head.into()
    };
    [head, message]
}

/// An answer that is a status only, its text cut to `most` bytes.
pub(super) fn status(status: &Status, most: usize) -> Bytes {
    let text = status.message();
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut bytes = vec![status.code() as u8, 0];
    bytes.extend_from_slice(&text.as_bytes()[..end]);
    bytes.into()
}

/// Reads the head of a request from the beginning of `bytes`, with at most `most` bytes of metadata.
pub(super) fn read_request(bytes: &[u8], most: usize) -> Read<RequestHead> {
    let mut rest = bytes;
    let Some(version) = take_byte(&mut rest) else {
        return Ok(None);
    };
    if version != VERSION {
        return Err(Malformed::Version(version));
    }
    let (Some(flags), Some(patience)) = (take_byte(&mut rest), number::take(&mut rest)) else {
        return Ok(None);
    };
    let Some(metadata) = take_metadata(&mut rest, most)? else {
        return Ok(None);
    };
    let head = RequestHead {
        may_repeat: flags & MAY_REPEAT != 0,
        patience: (patience != 0).then(|| Duration::from_micros(patience)),
        metadata,
    };
    Ok(Some((head, bytes.len() - rest.len())))
}

/// Reads the head of an answer from the beginning of `bytes`, with at most `most` bytes of trailers.
pub(super) fn read_answer(bytes: &[u8], most: usize) -> Read<AnswerHead> {
    let mut rest = bytes;
    let Some(code) = take_byte(&mut rest) else {
        return Ok(None);
    };
    let Some(trailers) = take_metadata(&mut rest, most)? else {
        return Ok(None);
    };
    let code = Code::from_i32(code.into());
    let head = AnswerHead { code, trailers };
    Ok(Some((head, bytes.len() - rest.len())))
}

fn put_metadata(bytes: &mut Vec<u8>, metadata: &Metadata) {
    if metadata.is_empty() {
        return bytes.push(0);
    }
    number::put(bytes, fields_length(metadata) as u64);
    for (name, value) in metadata.iter() {
        number::put(bytes, name.len() as u64);
        bytes.extend_from_slice(name.as_bytes());
        number::put(bytes, value.len() as u64);
        bytes.extend_from_slice(value);
    }
}

/// Bytes of metadata as it is written.
fn fields_length(metadata: &Metadata) -> usize {
    let length = |text: &[u8]| number::size(text.len() as u64) + text.len();
    let fields = metadata.iter();
    fields
        .map(|(name, value)| length(name.as_bytes()) + length(value))
        .sum()
}

fn take_metadata(rest: &mut &[u8], most: usize) -> Result<Option<Metadata>, Malformed> {
    let Some(length) = number::take(rest) else {
        return Ok(None);
    };
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= most)
        .ok_or(Malformed::TooLarge(most))?;
    let Some((mut fields, behind)) = rest.split_at_checked(length) else {
        return Ok(None);
    };
    *rest = behind;
    let mut metadata = Metadata::new();
    while !fields.is_empty() {
        let name = take_text(&mut fields).ok_or(Malformed::Field)?;
        let value = take_text(&mut fields).ok_or(Malformed::Field)?;
        if !is_valid(name, value) {
            return Err(Malformed::Field);
        }
        // What belongs to a hop over HTTP has no meaning here.
        if Name::of(name) == Name::Other {
            metadata.push(name, value);
        }
    }
    Ok(Some(metadata))
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number::take(rest)?).ok()?;
    let (text, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(text)
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    let (byte, behind) = rest.split_first()?;
    *rest = behind;
    Some(*byte)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn metadata() -> Metadata {
        let mut metadata = Metadata::new();
        let long = "x".repeat(100);
        for (name, value) in [("traceparent", "00-1-2-01"), ("a-bin", long.as_str())] {
            metadata.insert(
                &HeaderName::from_static(name),
                &HeaderValue::from_str(value).unwrap(),
            );
        }
        metadata
    }

    #[test]
    fn a_request_is_read_as_it_was_written_however_it_arrives() {
        let message = Bytes::from_static(b"message");
        let patience = Duration::from_millis(1500);
        let mut pieces = request(std::slice::from_ref(&message), &metadata(), patience, true);
        let bytes = pieces.as_mut().concat();
        let head = RequestHead {
            may_repeat: true,
            patience: Some(patience),
            metadata: metadata(),
        };
        let length = bytes.len() - message.len();
        for end in 0..length {
            assert_eq!(read_request(&bytes[..end], 1000), Ok(None), "{end} bytes");
        }
        assert_eq!(read_request(&bytes, 1000), Ok(Some((head, length))));
    }

    #[test]
    fn a_large_message_is_not_copied() {
        let message = Bytes::from(vec![7; 1 << 20]);
        let at = message.as_ptr();
        let none = Metadata::new();
        let mut pieces = request(
            std::slice::from_ref(&message),
            &none,
            Duration::from_secs(1),
            false,
        );
        assert_eq!(pieces.as_mut()[1].as_ptr(), at);
        assert_eq!(answer(message, &none)[1].as_ptr(), at);
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let pieces = answer(Bytes::from_static(b"yes"), &metadata());
        let bytes = pieces.concat();
        let (head, length) = read_answer(&bytes, 1000).unwrap().unwrap();
        assert_eq!((head.code, head.trailers), (Code::Ok, metadata()));
        assert_eq!(&bytes[length..], b"yes");
        let bytes = status(&Status::unavailable("grün"), 3);
        let (head, length) = read_answer(&bytes, 1000).unwrap().unwrap();
        assert_eq!(head.code, Code::Unavailable);
        assert_eq!(&bytes[length..], b"gr", "cut between two characters");
    }

    #[test]
    fn what_is_no_head_is_told_apart() {
        assert_eq!(read_request(&[2], 10), Err(Malformed::Version(2)));
        let beyond = [1, 0, 0, 11];
        assert_eq!(read_request(&beyond, 10), Err(Malformed::TooLarge(10)));
        for fields in [
            &[4, 1, b'A', 1, b'x'][..],
            &[4, 1, b'a', 1, b'\n'],
            &[2, 1, b'a'],
            &[2, 9, b'a'],
        ] {
            let bytes = [&[1, 0, 0], fields].concat();
            let read = read_request(&bytes, 10);
            assert!(matches!(read, Err(Malformed::Field) | Ok(None)), "{read:?}");
        }
    }

    #[test]
    fn fields_of_one_hop_do_not_travel_on() {
        let bytes = [&[1, 0, 0, 7, 2][..], b"te", &[3], b"abc"].concat();
        let bytes = [&bytes[..3], &[7], &bytes[4..]].concat();
        let (head, _) = read_request(&bytes, 10).unwrap().unwrap();
        assert!(head.metadata.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_head_or_not_and_never_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            is_versioned: bool,
        ) {
            let mut bytes = bytes;
            if let (true, Some(first)) = (is_versioned, bytes.first_mut()) {
                *first = VERSION;
            }
            for read in [
                read_request(&bytes, 100).map(|head| head.map(|(_, length)| length)),
                read_answer(&bytes, 100).map(|head| head.map(|(_, length)| length)),
            ] {
                if let Ok(Some(length)) = read {
                    prop_assert!(length <= bytes.len());
                }
            }
        }
    }
}
