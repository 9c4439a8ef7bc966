//! The gRPC message frame: one byte of flags, four of length, the message.

use std::future::poll_fn;
use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderName};
use tokio::time::timeout_at;
use tonic::{Code, Status};

const PREFIX: usize = 5;

/// Messages up to this size are copied behind their prefix, so that they leave
/// as one DATA frame; larger ones leave uncopied behind a frame of their own.
const COPY_LIMIT: usize = 8 << 10;

/// Sends `message` as one gRPC frame. The stream buffers what the peer's
/// window does not take yet: the message is in memory anyway.
pub(crate) fn send(
    stream: &mut SendStream<Bytes>,
    message: Bytes,
    end_of_stream: bool,
) -> Result<(), h2::Error> {
    if message.len() <= COPY_LIMIT {
        let mut frame = prefix(&message, message.len())?;
        frame.put_slice(&message);
        stream.send_data(frame.freeze(), end_of_stream)
    } else {
        announce(stream, &message)?;
        stream.send_data(message, end_of_stream)
    }
}

/// Sends what comes before `message`, which is to follow.
pub(crate) fn announce(stream: &mut SendStream<Bytes>, message: &Bytes) -> Result<(), h2::Error> {
    stream.send_data(prefix(message, 0)?.freeze(), false)
}

/// What comes before `message`, with room for `more` bytes behind it.
fn prefix(message: &Bytes, more: usize) -> Result<BytesMut, h2::Error> {
    let length = u32::try_from(message.len()).map_err(|_| h2::Reason::INTERNAL_ERROR)?;
    let mut prefix = BytesMut::with_capacity(PREFIX + more);
    prefix.put_u8(0);
    prefix.put_u32(length);
    Ok(prefix)
}

/// Sends `data` as the peer's window allows, so that a slow reader holds back
/// the stream instead of filling our memory. One that has not made room for all
/// of it by the deadline is given up.
pub(crate) async fn send_as_read(
    stream: &mut SendStream<Bytes>,
    mut data: Bytes,
    deadline: Instant,
) -> Result<(), h2::Error> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let room = poll_fn(|cx| stream.poll_capacity(cx));
        let capacity = match timeout_at(deadline.into(), room).await {
            Ok(Some(capacity)) => capacity?,
            Ok(None) => return Err(h2::Reason::CANCEL.into()),
            Err(_) => {
                stream.send_reset(h2::Reason::CANCEL);
                return Err(h2::Reason::CANCEL.into());
            }
        };
        let part = data.split_to(capacity.min(data.len()));
        stream.send_data(part, false)?;
    }
    Ok(())
}

/// Why no single message could be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The stream or its connection broke.
    Stream(h2::Error),
    /// What arrived is not one acceptable frame.
    Frame(Status),
}

/// Reads exactly one message of at most `limit` bytes. `Ok(None)` if the
/// stream ended without one.
pub(crate) async fn read(
    stream: &mut RecvStream,
    limit: usize,
) -> Result<Option<Bytes>, ReadError> {
    let Some(first) = next(stream).await? else {
        return Ok(None);
    };
    // The common case is one DATA frame with one whole message: no copy.
    if first.len() >= PREFIX {
        let length = checked_length(&first, limit)?;
        if first.len() == PREFIX + length {
            expect_end(stream).await?;
            return Ok(Some(first.slice(PREFIX..)));
        }
    }
    collect(stream, first, limit).await.map(Some)
}

async fn collect(stream: &mut RecvStream, first: Bytes, limit: usize) -> Result<Bytes, ReadError> {
    let mut buffer = BytesMut::from(first);
    while buffer.len() < PREFIX {
        let Some(more) = next(stream).await? else {
            return Err(cut_short());
        };
        buffer.extend_from_slice(&more);
    }
    let end = PREFIX + checked_length(&buffer, limit)?;
    buffer.reserve(end.saturating_sub(buffer.len()));
    while buffer.len() < end {
        let Some(more) = next(stream).await? else {
            return Err(cut_short());
        };
        buffer.extend_from_slice(&more);
    }
    if buffer.len() > end {
        return Err(more_than_one());
    }
    expect_end(stream).await?;
    Ok(buffer.freeze().slice(PREFIX..))
}

fn checked_length(frame: &[u8], limit: usize) -> Result<usize, ReadError> {
    if frame[0] != 0 {
        return Err(ReadError::Frame(Status::unimplemented(
            "compressed messages are not supported; send with identity encoding",
        )));
    }
    let length = u32::from_be_bytes([frame[1], frame[2], frame[3], frame[4]]) as usize;
    if length > limit {
        return Err(ReadError::Frame(Status::resource_exhausted(format!(
            "message of {length} bytes is larger than the limit of {limit} bytes"
        ))));
    }
    Ok(length)
}

async fn next(stream: &mut RecvStream) -> Result<Option<Bytes>, ReadError> {
    loop {
        match stream.data().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(ReadError::Stream(error)),
            Some(Ok(data)) => {
                // An error here means that the stream is gone; the next read says why.
                drop(stream.flow_control().release_capacity(data.len()));
                if !data.is_empty() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

async fn expect_end(stream: &mut RecvStream) -> Result<(), ReadError> {
    if stream.is_end_stream() {
        return Ok(());
    }
    match next(stream).await? {
        None => Ok(()),
        Some(_) => Err(more_than_one()),
    }
}

fn cut_short() -> ReadError {
    ReadError::Frame(Status::internal("the stream ended within a message"))
}

fn more_than_one() -> ReadError {
    ReadError::Frame(Status::internal("more than one message in a unary call"))
}

/// Metadata that travels on: all but what belongs to one hop or to the frame.
pub(crate) fn metadata(mut headers: HeaderMap) -> HeaderMap {
    const OF_THE_HOP: [HeaderName; 10] = [
        http::header::TE,
        http::header::CONTENT_TYPE,
        http::header::CONTENT_LENGTH,
        http::header::USER_AGENT,
        http::header::CONNECTION,
        http::header::HOST,
        http::header::DATE,
        http::header::SERVER,
        http::header::ACCEPT_ENCODING,
        http::header::TRANSFER_ENCODING,
    ];
    for name in OF_THE_HOP {
        headers.remove(name);
    }
    for name in [
        crate::timeout::GRPC_TIMEOUT,
        "grpc-encoding",
        "grpc-accept-encoding",
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
    ] {
        headers.remove(name);
    }
    headers
}

/// The status that `headers` carry, unless it is OK or absent.
pub(crate) fn status(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers).filter(|status| status.code() != Code::Ok)
}
