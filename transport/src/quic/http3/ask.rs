//! Requests as they are written.

use bytes::Bytes;

use super::qpack::{self, number};
use super::{ONE_PIECE, Pieces, frame};
use crate::client::OURS;
use crate::http2::hpack::OVERHEAD;
use crate::http2::message::{self, PREFIX};
use crate::timeout::{GRPC_TIMEOUT, Text};
use crate::{Endpoint, Metadata};

/// What all requests of a connection have in common.
#[derive(Debug)]
pub(super) struct Asking {
    /// Their fields, and the name of the one whose value is different each time.
    section: Box<[u8]>,
    /// Bytes of these fields, as the peer counts them.
    size: u64,
}

/// Bytes that lengths of a name and a value take at the most, where both are below 16 MiB.
const LENGTHS: usize = 10;
/// The longest value of that field.
const LONGEST_TIMEOUT: usize = 9;

impl Asking {
    /// Requests to `endpoint`.
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        let authority = endpoint.authority();
        let mut section = qpack::PREFIX.to_vec();
        qpack::indexed(&mut section, number::METHOD_POST);
        qpack::indexed(&mut section, number::SCHEME_HTTPS);
        let path = edge_proto::RUN_LAMBDA_PATH;
        qpack::with_name(&mut section, number::AUTHORITY, authority.as_bytes());
        qpack::with_name(&mut section, number::PATH, path.as_bytes());
        qpack::literal(&mut section, b"te", b"trailers");
        qpack::with_name(&mut section, number::CONTENT_TYPE, b"application/grpc");
        qpack::with_name(&mut section, number::USER_AGENT, OURS.as_bytes());
        qpack::literal_name(&mut section, GRPC_TIMEOUT.as_bytes());
        let text = [
            ":methodPOST:schemehttps:authority:pathtetrailers",
            "content-typeapplication/grpcuser-agent",
            authority,
            path,
            OURS,
            GRPC_TIMEOUT,
        ];
        let text: usize = text.iter().map(|text| text.len()).sum();
        Self {
            section: section.into(),
            size: (text + LONGEST_TIMEOUT + 8 * OVERHEAD) as u64,
        }
    }

    /// Bytes of the fields of a request with `metadata`, as the peer counts them, at the most.
    pub(super) fn size(&self, metadata: &Metadata) -> u64 {
        let fields = metadata.iter();
        let more: usize = fields
            .map(|(name, value)| name.len() + value.len() + OVERHEAD)
            .sum();
        self.size + more as u64
    }

    /// A request, in one piece if it is small.
    pub(super) fn request(&self, message: &[Bytes], metadata: &Metadata, patience: Text) -> Pieces {
        let patience = patience.as_bytes();
        let fields = metadata.iter();
        let more: usize = fields
            .map(|(name, value)| name.len() + value.len() + LENGTHS)
            .sum();
        // As much as it is where there is no metadata, as almost always.
        let fields = self.section.len() + 1 + patience.len() + more;
        let size: usize = message.iter().map(Bytes::len).sum();
        let length = PREFIX + size;
        let together = size <= ONE_PIECE;
        let heads = frame::head_size(fields) + frame::head_size(length) + PREFIX;
        let room = heads + fields + if together { size } else { 0 };
        let mut first = Vec::with_capacity(room);
        match metadata.is_empty() {
            true => {
                frame::put_headers(&mut first, fields);
                self.put(&mut first, patience);
            }
            false => {
                let mut section = Vec::with_capacity(fields);
                self.put(&mut section, patience);
                for (name, value) in metadata.iter() {
                    qpack::literal(&mut section, name.as_bytes(), value);
                }
                frame::put_headers(&mut first, section.len());
                first.extend_from_slice(&section);
            }
        }
        frame::put_data(&mut first, length);
        first.extend_from_slice(&message::prefix(size));
        if together {
            message
                .iter()
                .for_each(|piece| first.extend_from_slice(piece));
            return Pieces::One([first.into()]);
        }
        let mut pieces = Vec::with_capacity(1 + message.len());
        pieces.push(first.into());
        pieces.extend(message.iter().filter(|piece| !piece.is_empty()).cloned());
        Pieces::More(pieces)
    }

    fn put(&self, section: &mut Vec<u8>, patience: &[u8]) {
        section.extend_from_slice(&self.section);
        qpack::string(section, patience);
    }
}
