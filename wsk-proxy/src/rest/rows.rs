//! A list of whole activations, which is not in memory as a whole: it is made while it is sent.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::Bytes;
use tokio::sync::{AcquireError, OwnedSemaphorePermit};

use super::sent::held;
use crate::activation::ActivationId;
use crate::json::Writer;
use crate::record;
use crate::shared::Shared;

/// Bytes that are made at once, about; one row is, however large it is.
const PART: usize = 64 << 10;

/// What is left of such a list.
pub(crate) struct Rows {
    shared: Arc<Shared>,
    namespace: Arc<str>,
    /// With their sizes.
    left: std::vec::IntoIter<(ActivationId, usize)>,
    next: Option<Next>,
    begun: bool,
    has_rows: bool,
    over: bool,
}

/// Rows that wait for room.
struct Next {
    ids: Vec<ActivationId>,
    room: Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send + Sync>>,
}

impl Rows {
    pub(super) fn new(
        shared: Arc<Shared>,
        namespace: Arc<str>,
        rows: Vec<(ActivationId, usize)>,
    ) -> Self {
        Self {
            shared,
            namespace,
            left: rows.into_iter(),
            next: None,
            begun: false,
            has_rows: false,
            over: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.over {
            return Poll::Ready(None);
        }
        let mut next = match self.next.take() {
            Some(next) => next,
            None => self.next(),
        };
        let Poll::Ready(room) = next.room.as_mut().poll(cx) else {
            self.next = Some(next);
            return Poll::Pending;
        };
        let room = room.expect("the semaphore is never closed");
        Poll::Ready(Some(held(self.write(&next.ids), room)))
    }

    fn next(&mut self) -> Next {
        let (mut ids, mut bytes) = (Vec::new(), 0);
        while bytes < PART
            && let Some((id, size)) = self.left.next()
        {
            ids.push(id);
            bytes += record::AROUND + size;
        }
        let all = self.shared.config.limits.max_unsent_bytes;
        let bytes = u32::try_from(bytes.min(all)).unwrap_or(u32::MAX);
        let room = self.shared.unsent.clone().acquire_many_owned(bytes);
        let room = Box::pin(room);
        Next { ids, room }
    }

    /// What has gone in the meantime is left out.
    fn write(&mut self, ids: &[ActivationId]) -> Vec<u8> {
        let mut out = Writer::with_capacity(PART);
        if !std::mem::replace(&mut self.begun, true) {
            out.raw("[");
        }
        let store = &self.shared.archive.store;
        for id in ids {
            if let Some(activation) = store.get(&self.namespace, *id) {
                if std::mem::replace(&mut self.has_rows, true) {
                    out.raw(",");
                }
                record::write_full(&mut out, &activation);
            }
        }
        if self.left.as_slice().is_empty() {
            out.raw("]");
            self.over = true;
        }
        out.into_bytes()
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("left", &self.left.len())
            .finish_non_exhaustive()
    }
}
