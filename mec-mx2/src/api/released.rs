//! The body of the answer to a creation: when it has left, notifications may follow.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use crate::state::Held;

/// A body that lets go of the context when it is sent, or given up.
#[derive(Debug)]
pub(super) struct Released {
    body: Full<Bytes>,
    _held: Held,
}

impl Released {
    pub(super) fn new(body: String, held: Held) -> Self {
        Self {
            body: Full::new(Bytes::from(body)),
            _held: held,
        }
    }
}

impl Body for Released {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
