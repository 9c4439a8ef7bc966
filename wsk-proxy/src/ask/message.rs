//! A request as it is sent, written straight from what is there, and an answer as it came.

use bytes::{BufMut as _, Bytes, BytesMut};
use edge_proto::OK;
use edge_proto::rpc::Outcome;
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};
use uuid::fmt::Hyphenated;

use crate::activation::ActivationId;

/// Fields of a request.
mod asked {
    pub(super) const NAME: u32 = 1;
    pub(super) const INPUT: u32 = 2;
    pub(super) const DATAIN: u32 = 3;
    pub(super) const HOPS: u32 = 6;
    pub(super) const UUID: u32 = 13;
}

/// Fields of an answer.
mod told {
    pub(super) const RETCODE: u32 = 1;
    pub(super) const OUTPUT: u32 = 2;
    pub(super) const RESPONDER: u32 = 3;
    pub(super) const PTIME: u32 = 4;
    pub(super) const DATAOUT: u32 = 5;
    pub(super) const LOAD1: u32 = 6;
    pub(super) const LOAD10: u32 = 7;
    pub(super) const LOAD30: u32 = 8;
    pub(super) const HOPS: u32 = 9;
    pub(super) const OUTCOME: u32 = 101;
    pub(super) const COLD_START_US: u32 = 106;
}

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
    put(&mut out, asked::NAME, lambda.as_bytes());
    put(&mut out, asked::INPUT, input.as_bytes());
    put(&mut out, asked::DATAIN, datain);
    if hops != 0 {
        encode_key(asked::HOPS, WireType::Varint, &mut out);
        encode_varint(hops.into(), &mut out);
    }
    put(&mut out, asked::UUID, uuid.as_bytes());
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

/// The fields of a [`LambdaResponse`](edge_proto::rpc::LambdaResponse) that count here, where they
/// lie.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Response<'a> {
    pub(super) retcode: &'a str,
    pub(super) output: &'a str,
    pub(super) dataout: &'a [u8],
    pub(super) responder: &'a str,
    pub(super) ptime_ms: u32,
    /// In per cent, during the last 1, 10 and 30 seconds.
    pub(super) loads: [u32; 3],
    pub(super) hops: u32,
    pub(super) cold_start_us: u64,
    outcome: u32,
}

/// Why a message is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoResponse {
    #[error(transparent)]
    Malformed(#[from] prost::DecodeError),
    #[error("field {0} is of another type")]
    Type(u32),
    #[error("field {0} is cut off")]
    CutOff(u32),
    #[error("field {0} is no text")]
    Text(u32),
}

impl<'a> Response<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, NoResponse> {
        let mut response = Self::default();
        let mut fields = Fields(message);
        while let Some((number, wire_type)) = fields.next()? {
            let field = (number, wire_type);
            match number {
                told::RETCODE => response.retcode = fields.text(field)?,
                told::OUTPUT => response.output = fields.text(field)?,
                told::RESPONDER => response.responder = fields.text(field)?,
                told::DATAOUT => response.dataout = fields.bytes(field)?,
                told::PTIME => response.ptime_ms = fields.number(field)? as u32,
                told::LOAD1 => response.loads[0] = fields.number(field)? as u32,
                told::LOAD10 => response.loads[1] = fields.number(field)? as u32,
                told::LOAD30 => response.loads[2] = fields.number(field)? as u32,
                told::HOPS => response.hops = fields.number(field)? as u32,
                told::OUTCOME => response.outcome = fields.number(field)? as u32,
                told::COLD_START_US => response.cold_start_us = fields.number(field)?,
                _ => skip_field(wire_type, number, &mut fields.0, DecodeContext::default())?,
            }
        }
        Ok(response)
    }

    /// What became of the request, as far as is said.
    pub(super) fn outcome(&self) -> Outcome {
        let value = i32::try_from(self.outcome).unwrap_or_default();
        Outcome::try_from(value).unwrap_or_default()
    }

    pub(super) fn is_ok(&self) -> bool {
        self.retcode == OK
    }
}

/// What is left to be read of a message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u32, WireType)>, NoResponse> {
        if self.0.is_empty() {
            return Ok(None);
        }
        Ok(Some(decode_key(&mut self.0)?))
    }

    fn number(&mut self, (number, wire_type): (u32, WireType)) -> Result<u64, NoResponse> {
        if wire_type != WireType::Varint {
            return Err(NoResponse::Type(number));
        }
        Ok(decode_varint(&mut self.0)?)
    }

    fn bytes(&mut self, (number, wire_type): (u32, WireType)) -> Result<&'a [u8], NoResponse> {
        if wire_type != WireType::LengthDelimited {
            return Err(NoResponse::Type(number));
        }
        let length = usize::try_from(decode_varint(&mut self.0)?);
        let parts = length
            .ok()
            .and_then(|length| self.0.split_at_checked(length));
        let (bytes, rest) = parts.ok_or(NoResponse::CutOff(number))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn text(&mut self, field: (u32, WireType)) -> Result<&'a str, NoResponse> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| NoResponse::Text(field.0))
    }
}

#[cfg(test)]
mod tests {
    use edge_proto::rpc::{LambdaRequest, LambdaResponse};
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

    #[test]
    fn an_answer_is_understood_as_by_prost() {
        let answer = LambdaResponse {
            retcode: "OK".to_owned(),
            output: "{\"a\":\"ü\"}".to_owned(),
            responder: "127.0.0.1:1".to_owned(),
            ptime: u32::MAX,
            dataout: vec![0, 255].into(),
            load1: 1,
            load10: 2,
            load30: 3,
            hops: 4,
            uuid: "skipped".to_owned(),
            outcome: Outcome::Overloaded as i32,
            workers: 7,
            cold_start_us: u64::MAX,
            ..LambdaResponse::default()
        };
        let message = answer.encode_to_vec();
        let response = Response::parse(&message).unwrap();
        let expected = Response {
            retcode: &answer.retcode,
            output: &answer.output,
            dataout: &answer.dataout,
            responder: &answer.responder,
            ptime_ms: answer.ptime,
            loads: [1, 2, 3],
            hops: 4,
            cold_start_us: answer.cold_start_us,
            outcome: answer.outcome as u32,
        };
        assert_eq!(response, expected);
        assert_eq!(response.outcome(), answer.outcome());
        assert!(response.is_ok());
        for end in 0..message.len() {
            let cut = &message[..end];
            let prost = LambdaResponse::decode(cut).is_ok();
            assert_eq!(Response::parse(cut).is_ok(), prost, "{end}");
        }
        assert_eq!(Response::parse(&[]).unwrap(), Response::default());
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for message in [
            &b"\xff\xff\xff"[..],
            b"\x08\x01",
            b"\x0a\x01\xff",
            b"\x22\x00",
        ] {
            assert!(LambdaResponse::decode(message).is_err());
            assert!(Response::parse(message).is_err(), "{message:?}");
        }
        // An outcome that is not known counts as none.
        let unknown = Response {
            outcome: u32::MAX,
            ..Response::default()
        };
        assert_eq!(unknown.outcome(), Outcome::Unspecified);
    }
}
