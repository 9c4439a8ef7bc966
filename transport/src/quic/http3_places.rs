//! Streams for HTTP/3 requests that are open before the library asks for them.

use std::sync::{Arc, Mutex, PoisonError};

use h3::error::Code;

use super::http3_streams::{Both, number};

/// Streams that are open already when the library asks for one. What the head of a request says of time
/// holds only once there is a stream for it, and the library wants the head first.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<Vec<Both>>>);

impl Places {
    /// Leaves a stream for the next request.
    pub(super) fn put(&self, stream: Both) {
        self.lock().push(stream);
    }

    /// A stream that was left; they are all the same.
    pub(super) fn take(&self) -> Option<Both> {
        self.lock().pop()
    }

    /// Gives a stream up that was left for a request which did not take it.
    pub(super) fn give_up(&self) {
        if let Some((mut send, mut receive)) = self.take() {
            let code = number(Code::H3_REQUEST_CANCELLED.value());
            // They fail where the stream has ended, which is all that is asked for.
            send.reset(code).ok();
            receive.stop(code).ok();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Both>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
