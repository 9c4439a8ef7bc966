//! The body of an answer, and the memory that it takes until its client has it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::rows::Rows;

/// A body, whole or made while it is sent.
#[derive(Debug)]
pub(crate) enum Sent {
    Whole(Bytes),
    Rows(Box<Rows>),
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = match self.get_mut() {
            Self::Whole(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Self::Rows(rows) => ready!(rows.poll_part(cx)),
        };
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Rows(rows) => rows.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Rows(_) => SizeHint::default(),
        }
    }
}

/// `bytes` that take `room` as long as they wait to be sent.
pub(super) fn held(bytes: impl AsRef<[u8]> + Send + 'static, room: OwnedSemaphorePermit) -> Bytes {
    struct Held<B> {
        bytes: B,
        _room: OwnedSemaphorePermit,
    }

    impl<B: AsRef<[u8]>> AsRef<[u8]> for Held<B> {
        fn as_ref(&self) -> &[u8] {
            self.bytes.as_ref()
        }
    }

    Bytes::from_owner(Held { bytes, _room: room })
}
