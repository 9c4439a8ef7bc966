//! `RunLambda` on the server side: one message in, one message out, no copies between.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use tonic::Status;

use crate::frame::{self, ReadError};
use crate::{Core, DEFAULT_DEADLINE, LambdaCall, LambdaReply, LambdaService, Peer, timeout};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: &str = "grpc-status";

/// Answers one request. Ends early, dropping the service's future, when the
/// caller resets the stream.
pub(super) async fn answer<S: LambdaService>(
    lambda: Arc<S>,
    core: Core,
    peer: Peer,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    limit: usize,
) {
    let received = Instant::now();
    let (head, mut body) = request.into_parts();
    if let Err(refusal) = check(&head.method, &head.headers) {
        send_bare(&mut respond, refusal);
        return;
    }
    let patience = timeout::parse(&head.headers).unwrap_or(DEFAULT_DEADLINE);
    let deadline = received + patience.min(MAX_PATIENCE);
    let read = tokio::time::timeout_at(deadline.into(), frame::read(&mut body, limit));
    let message = match read.await {
        Ok(Ok(Some(message))) => message,
        Ok(Ok(None)) => {
            return fail(
                &mut respond,
                &Status::internal("the request has no message"),
            );
        }
        Ok(Err(ReadError::Frame(status))) => return fail(&mut respond, &status),
        // The caller is gone; nobody is left to be told.
        Ok(Err(ReadError::Stream(_))) => return,
        Err(_) => {
            let status =
                Status::deadline_exceeded("the message did not arrive within the deadline");
            return fail(&mut respond, &status);
        }
    };
    let call = LambdaCall {
        message,
        metadata: frame::metadata(head.headers),
        deadline,
    };
    let answered = tokio::select! {
        biased;
        answered = lambda.run(&core, peer, call) => answered,
        _ = poll_fn(|cx| respond.poll_reset(cx)) => return,
    };
    match answered {
        // An error means that the caller is gone; nobody is left to be told.
        Ok(reply) => drop(send(&mut respond, reply, deadline).await),
        Err(status) => fail(&mut respond, &status),
    }
}

/// Messages up to this size are left to the connection, which sends them as the
/// caller's window allows, however long that takes.
const AT_ONCE: usize = 256 << 10;

/// Longest deadline that is told from "never", so that sums do not overflow.
const MAX_PATIENCE: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);

/// What the gRPC specification asks of every request.
fn check(method: &Method, headers: &HeaderMap) -> Result<(), StatusCode> {
    if method != Method::POST {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .map_or(&[][..], HeaderValue::as_bytes);
    if !content_type.starts_with(b"application/grpc") {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    Ok(())
}

/// Sends head, message and trailers. A large message is given up at the
/// deadline of its request if the caller has not read it by then.
async fn send(
    respond: &mut SendResponse<Bytes>,
    reply: LambdaReply,
    deadline: Instant,
) -> Result<(), h2::Error> {
    let mut stream = respond.send_response(head(), false)?;
    if reply.message.len() <= AT_ONCE {
        frame::send(&mut stream, reply.message, false)?;
    } else {
        frame::announce(&mut stream, &reply.message)?;
        frame::send_as_read(&mut stream, reply.message, deadline).await?;
    }
    let mut trailers = reply.trailers;
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    stream.send_trailers(trailers)
}

fn fail(respond: &mut SendResponse<Bytes>, status: &Status) {
    let mut response = head();
    if status.add_header(response.headers_mut()).is_err() {
        response
            .headers_mut()
            .insert(GRPC_STATUS, HeaderValue::from_static("13"));
    }
    drop(respond.send_response(response, true));
}

fn send_bare(respond: &mut SendResponse<Bytes>, status: StatusCode) {
    let mut response = Response::new(());
    *response.status_mut() = status;
    drop(respond.send_response(response, true));
}

fn head() -> Response<()> {
    let mut response = Response::new(());
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response
        .headers_mut()
        .insert(header::SERVER, crate::client::OURS);
    response
}
