//! Statuses of peers that may say anything: what tonic cannot read is mended before it does.

use http::{HeaderMap, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use tonic::metadata::MetadataMap;

const MESSAGE: &str = "grpc-message";
const DETAILS: &str = "grpc-status-details-bin";

/// Takes from header fields, or trailers, what `Status::from_header_map` makes too much of: details that
/// are no base64, at which it panics, and a message that is no UTF-8, for whose sake it forgets the
/// code (and says so in the log, each time). The details are left out. Of the message what can be read
/// is kept, as the gRPC specification wants it.
pub(crate) fn mend(headers: &mut HeaderMap) {
    if headers.contains_key(DETAILS) && !has_details(headers) {
        headers.remove(DETAILS);
    }
    let Some(message) = headers.get_mut(MESSAGE) else {
        return;
    };
    let decoded = percent_decode(message.as_bytes());
    if decoded.clone().decode_utf8().is_err() {
        let readable = decoded.decode_utf8_lossy();
        let encoded = utf8_percent_encode(&readable, NON_ALPHANUMERIC).to_string();
        *message = HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""));
    }
}

/// Whether the details can be decoded, by the same rules as those of whoever does it.
fn has_details(headers: &HeaderMap) -> bool {
    let mut only = HeaderMap::new();
    if let Some(details) = headers.get(DETAILS) {
        only.insert(DETAILS, details.clone());
    }
    let only = MetadataMap::from_headers(only);
    only.get_bin(DETAILS)
        .is_some_and(|details| details.to_bytes().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tonic::{Code, Status};

    fn status(message: &[u8], details: &[u8]) -> Status {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", HeaderValue::from_static("8"));
        headers.insert(MESSAGE, HeaderValue::from_bytes(message).unwrap());
        headers.insert(DETAILS, HeaderValue::from_bytes(details).unwrap());
        mend(&mut headers);
        Status::from_header_map(&headers).unwrap()
    }

    #[test]
    fn what_is_well_formed_is_left_alone() {
        let status = status(b"too%20much%21", b"aGVsbG8");
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.message(), "too much!");
        assert_eq!(status.details(), b"hello");
    }

    #[test]
    fn a_message_that_is_no_text_is_read_as_far_as_it_is_and_the_code_stays() {
        let status = status(b"no %FF room %", b"");
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.message(), "no \u{FFFD} room %");
    }

    #[test]
    fn details_that_are_no_base64_are_left_out() {
        for details in [&b"!"[..], b"a", b"aGVsbG8=x", b"\xff\xff", b"aGVs bG8"] {
            let status = status(b"why", details);
            assert_eq!(status.code(), Code::ResourceExhausted);
            assert_eq!((status.message(), status.details()), ("why", &b""[..]));
        }
    }

    proptest! {
        #[test]
        fn nothing_that_fits_into_a_header_makes_it_panic(
            message in "[ -~\\x80-\\xff]{0,20}",
            details in "[ -~]{0,20}",
        ) {
            prop_assert_eq!(status(message.as_bytes(), details.as_bytes()).code(), Code::ResourceExhausted);
        }
    }
}
