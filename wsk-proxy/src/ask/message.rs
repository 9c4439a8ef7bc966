//! A request as it is sent, written straight from what is there.

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint};
use uuid::fmt::Hyphenated;

use crate::activation::ActivationId;

const NAME: u32 = 1;
const INPUT: u32 = 2;
const DATAIN: u32 = 3;
const HOPS: u32 = 6;
const UUID: u32 = 13;

/// Bytes of keys, lengths and numbers, at the most.
const AROUND: usize = 5 * (2 + 10);

/// A [`LambdaRequest`](edge_proto::rpc::LambdaRequest), encoded.
pub(super) fn request(
    lambda: &str,
    input: &str,
    datain: &[u8],
    hops: u32,
    id: ActivationId,
) -> Bytes {
    let mut digits = [0; Hyphenated::LENGTH];
    let uuid = id.uuid().hyphenated().encode_lower(&mut digits);
    let texts = lambda.len() + input.len() + datain.len() + uuid.len();
    let mut out = BytesMut::with_capacity(AROUND + texts);
    put(&mut out, NAME, lambda.as_bytes());
    put(&mut out, INPUT, input.as_bytes());
    put(&mut out, DATAIN, datain);
    if hops != 0 {
        encode_key(HOPS, WireType::Varint, &mut out);
        encode_varint(hops.into(), &mut out);
    }
    put(&mut out, UUID, uuid.as_bytes());
    out.freeze()
}

/// Nothing is written of an empty field.
fn put(out: &mut BytesMut, number: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        encode_key(number, WireType::LengthDelimited, out);
        encode_varint(bytes.len() as u64, out);
        out.put_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use edge_proto::rpc::LambdaRequest;
    use prost::Message as _;

    use super::*;

    #[test]
    fn a_request_is_encoded_as_by_prost() {
        let id = ActivationId::random();
        for (lambda, input, datain, hops) in [
            ("f", "{}", &b""[..], 0),
            ("/a/p/f", &"x".repeat(1000), &[0, 255], u32::MAX),
        ] {
            let encoded = LambdaRequest {
                name: lambda.to_owned(),
                input: input.to_owned(),
                datain: datain.to_vec().into(),
                hops,
                uuid: id.uuid().to_string(),
                ..LambdaRequest::default()
            };
            let written = request(lambda, input, datain, hops, id);
            assert_eq!(written, encoded.encode_to_vec());
        }
    }
}
