//! Clients of the control plane: tonic channels with deadlines, opened when first used.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::TryFutureExt as _;
use futures_util::future::MapOk;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use tonic::body::Body;
use tonic::transport::Uri;
use tonic::transport::channel::ResponseFuture;
use tower::{Service, service_fn};

use crate::client::open;
use crate::gathered::Gathered;
use crate::{Endpoint, mended};

/// Longest time to a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Silence after which an idle or busy connection is asked for a sign of life.
const PING_AFTER: Duration = Duration::from_secs(20);

/// A channel of tonic, except that a status which tonic cannot read, and would panic at, is mended first.
#[derive(Clone, Debug)]
pub struct Channel(tonic::transport::Channel);

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = MapOk<ResponseFuture, fn(Response<Body>) -> Response<Body>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Service::call(&mut self.0, request).map_ok(with_mended_status)
    }
}

/// The status is in the head if there is nothing else, and behind the body otherwise.
fn with_mended_status(mut response: Response<Body>) -> Response<Body> {
    mended::mend(response.headers_mut());
    response.map(|body| {
        Body::new(body.map_frame(|frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                mended::mend(&mut trailers);
                Frame::trailers(trailers)
            }
            Err(other) => other,
        }))
    })
}

/// A channel to the control plane of `endpoint`, on which no call takes longer
/// than `timeout`. It connects when first used, and again when it has broken. A small request mostly leaves
/// in one packet.
pub fn channel(
    endpoint: &Endpoint,
    tls: Option<Arc<rustls::ClientConfig>>,
    timeout: Duration,
) -> Channel {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(endpoint.authority())
        .path_and_query("/")
        .build()
        .expect("an end-point is a valid authority");
    let to = endpoint.clone();
    let connector = service_fn(move |_: Uri| {
        let (to, tls) = (to.clone(), tls.clone());
        async move {
            let stream = open(&to, tls.as_ref(), None).await;
            stream.map(|stream| TokioIo::new(Gathered::new(stream)))
        }
    });
    let channel = tonic::transport::Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .http2_keep_alive_interval(PING_AFTER)
        .connect_with_connector_lazy(connector);
    Channel(channel)
}

/// As [`channel`], without a limit on the length of calls: for streams.
pub fn streaming_channel(endpoint: &Endpoint, tls: Option<Arc<rustls::ClientConfig>>) -> Channel {
    channel(endpoint, tls, Duration::from_secs(u32::MAX.into()))
}

/// Why a call failed, with the causes that tonic keeps out of the status' own text.
pub fn explain(status: &tonic::Status) -> String {
    let mut text = match status.message() {
        "" => status.code().to_string(),
        message => message.to_owned(),
    };
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// True if a server of our own make has answered: it signs its answers.
pub fn is_ours<T>(response: &tonic::Response<T>) -> bool {
    let signature = response.metadata().get("server");
    signature.is_some_and(|server| server.as_bytes() == crate::client::OURS.as_bytes())
}
