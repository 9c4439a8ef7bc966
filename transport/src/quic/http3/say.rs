//! Answers as they are written.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::sync::LazyLock;
use tonic::Status;

use super::qpack::{self, number};
use super::{ONE_PIECE, Pieces, frame};
use crate::client::OURS;
use crate::http2::hpack::OVERHEAD;
use crate::http2::message::{self, PREFIX};
use crate::{LambdaReply, Metadata};

/// The head of a good answer, as a frame.
static HEAD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut section = qpack::PREFIX.to_vec();
    qpack::indexed(&mut section, number::STATUS_200);
    qpack::with_name(&mut section, number::CONTENT_TYPE, b"application/grpc");
    qpack::with_name(&mut section, number::SERVER, OURS.as_bytes());
    framed(&section)
});

/// The fields behind a good answer.
static TRAILERS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut section = qpack::PREFIX.to_vec();
    qpack::literal(&mut section, b"grpc-status", b"0");
    section
});

/// The frame of these fields.
static TRAILERS_FRAME: LazyLock<Bytes> = LazyLock::new(|| framed(&TRAILERS).into());

/// An answer with a message, to a peer that takes so many bytes of fields in a section.
pub(super) fn reply(reply: LambdaReply, max_field_section: u64) -> Pieces {
    let LambdaReply { message, trailers } = reply;
    let trailers = match trailers.is_empty() {
        true => TRAILERS_FRAME.clone(),
        false => trailers_of(&trailers, max_field_section),
    };
    let length = PREFIX + message.len();
    let head = HEAD.len() + frame::head_size(length) + PREFIX;
    let together = message.len() <= ONE_PIECE;
    let room = match together {
        true => head + message.len() + trailers.len(),
        false => head,
    };
    let mut first = Vec::with_capacity(room);
    first.extend_from_slice(&HEAD);
    frame::put_data(&mut first, length);
    first.extend_from_slice(&message::prefix(message.len()));
    if together {
        first.extend_from_slice(&message);
        first.extend_from_slice(&trailers);
        return Pieces::One([first.into()]);
    }
    Pieces::Three([first.into(), message, trailers])
}

/// The frame of trailers with metadata, which is left out where the peer would not take it.
fn trailers_of(metadata: &Metadata, max_field_section: u64) -> Bytes {
    let fields = metadata.iter();
    let size: usize = fields
        .map(|(name, value)| name.len() + value.len() + OVERHEAD)
        .sum();
    let own = "grpc-status".len() + 1 + OVERHEAD;
    let mut section = TRAILERS.clone();
    if (size + own) as u64 <= max_field_section {
        for (name, value) in metadata.iter() {
            qpack::literal(&mut section, name.as_bytes(), value);
        }
    }
    framed(&section).into()
}

/// An answer that is a gRPC status only.
pub(super) fn status(status: &Status) -> Bytes {
    let response = status.clone().into_http::<()>();
    let mut section = qpack::PREFIX.to_vec();
    qpack::indexed(&mut section, number::STATUS_200);
    put_all(&mut section, response.headers());
    qpack::with_name(&mut section, number::SERVER, OURS.as_bytes());
    framed(&section).into()
}

/// An answer of HTTP that is nothing but its status.
pub(super) fn bare(status: StatusCode) -> Bytes {
    head(status, &HeaderMap::new())
}

/// The head of an answer.
pub(super) fn head(status: StatusCode, fields: &HeaderMap) -> Bytes {
    let mut section = qpack::PREFIX.to_vec();
    qpack::field(&mut section, b":status", status.as_str().as_bytes());
    put_all(&mut section, fields);
    framed(&section).into()
}

/// Fields behind an answer.
pub(super) fn trailers(fields: &HeaderMap) -> Bytes {
    let mut section = qpack::PREFIX.to_vec();
    put_all(&mut section, fields);
    framed(&section).into()
}

/// What stands in front of so many bytes of data.
pub(super) fn data_head(length: usize) -> Bytes {
    let mut head = Vec::with_capacity(frame::head_size(length));
    frame::put_data(&mut head, length);
    head.into()
}

fn put_all(section: &mut Vec<u8>, fields: &HeaderMap) {
    for (name, value) in fields {
        qpack::field(section, name.as_str().as_bytes(), value.as_bytes());
    }
}

/// A section as a frame.
fn framed(section: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(frame::head_size(section.len()) + section.len());
    frame::put_headers(&mut out, section.len());
    out.extend_from_slice(section);
    out
}
