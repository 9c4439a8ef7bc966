//! What the header fields of a request or an answer say, whatever carried them.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, uri};
use tonic::{Code, Status};

use super::Fields;
use super::hpack::Name;
use crate::{Metadata, mended};

/// What the gRPC specification asks of every request.
pub(crate) fn check(fields: &Fields) -> Result<(), StatusCode> {
    if fields.get(Name::Method) != Some(b"POST") {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    if !is_grpc(fields.get(Name::ContentType).unwrap_or_default()) {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    Ok(())
}

/// Whether a content type is that of gRPC, in whatever format its messages are; gRPC-Web, whose name begins
/// alike, frames its answers in another way.
fn is_grpc(kind: &[u8]) -> bool {
    let format = kind.strip_prefix(b"application/grpc");
    format.is_some_and(|format| matches!(format.first(), None | Some(b'+' | b';')))
}

/// Whether a request says itself that it is none of gRPC.
pub(crate) fn is_foreign(fields: &Fields) -> bool {
    let kind = fields.get(Name::ContentType);
    kind.is_some_and(|kind| !is_grpc(kind))
}

/// What is said to a request with more header fields than the `most` bytes that are taken. A bare HTTP status
/// would tell callers over gRPC no more than that something is wrong, maybe with the server; so they get a status of
/// their own, unless a field for which there was room says that this is no gRPC.
pub(crate) fn too_large(fields: &Fields, most: u32) -> Result<Status, StatusCode> {
    if is_foreign(fields) {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let text = format!("the header fields are more than the limit of {most} bytes");
    Ok(Status::resource_exhausted(text))
}

/// The bytes that the peer says it is going to send.
pub(crate) fn announced(fields: &Fields) -> Result<Option<u64>, ()> {
    let Some(text) = fields.get(Name::ContentLength) else {
        return Ok(None);
    };
    let mut all = fields.iter().filter(|f| f.kind == Name::ContentLength);
    if !all.all(|other| other.value == text) {
        return Err(());
    }
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| is_number);
    number
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or(())
}

/// Metadata that travels on: all but what belongs to one hop or to the frame.
pub(crate) fn metadata(fields: &Fields) -> Metadata {
    let mut metadata = Metadata::new();
    // There is none, almost always.
    if fields.get(Name::Other).is_none() {
        return metadata;
    }
    for field in fields.iter().filter(|field| field.kind == Name::Other) {
        metadata.push(field.name, field.value);
    }
    metadata
}

/// Regular fields as other crates want them.
pub(crate) fn header_map(fields: &Fields) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in fields.iter().filter(|field| !field.kind.is_pseudo()) {
        let name = HeaderName::from_bytes(field.name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value)) {
            headers.append(name, value);
        }
    }
    headers
}

/// A request as other crates want it; `None` if it is none.
pub(crate) fn request(fields: &Fields) -> Option<Request<()>> {
    let mut uri = Uri::builder().path_and_query(fields.get(Name::Path)?);
    if let Some(authority) = fields.get(Name::Authority) {
        let scheme = match fields.get(Name::Scheme)? {
            b"https" => uri::Scheme::HTTPS,
            _ => uri::Scheme::HTTP,
        };
        uri = uri.scheme(scheme).authority(authority);
    }
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(fields.get(Name::Method)?).ok()?;
    *request.uri_mut() = uri.build().ok()?;
    *request.version_mut() = http::Version::HTTP_2;
    *request.headers_mut() = header_map(fields);
    Some(request)
}

/// The status of an answer.
pub(crate) fn status_code(text: &[u8]) -> Option<StatusCode> {
    StatusCode::from_bytes(text).ok()
}

/// Why what follows the head of an answer, whose HTTP status is 200, is none of gRPC. A head that
/// does not say what follows is given the benefit of the doubt.
pub(crate) fn other_content(fields: &Fields) -> Option<String> {
    let kind = fields.get(Name::ContentType)?;
    (!is_grpc(kind)).then(|| {
        let text = String::from_utf8_lossy(kind);
        let text: String = text.chars().take(LONGEST_KIND).collect();
        format!("no gRPC there: the content is {text}")
    })
}

/// What an answer without a `grpc-status` lacks.
pub(crate) const NO_STATUS: &str = "the answer has no grpc-status";

/// Characters of the content type of others that are shown.
const LONGEST_KIND: usize = 100;

/// The gRPC status in `fields`, unless it is OK or absent.
pub(crate) fn grpc_status(fields: &Fields) -> Option<Status> {
    if matches!(fields.get(Name::GrpcStatus), None | Some(b"0")) {
        return None;
    }
    let mut headers = header_map(fields);
    mended::mend(&mut headers);
    let status = Status::from_header_map(&headers)?;
    (status.code() != Code::Ok).then_some(status)
}
