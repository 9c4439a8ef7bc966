//! Lambda requests of one HTTP/2 connection, and the way of their answers back to it.

use std::future::Future;
use std::task::Context;

use tonic::Status;

use crate::LambdaReply;
use crate::link::Shared;
use crate::polled::Polled;

type Answer = Result<LambdaReply, Status>;

/// The requests that are being answered.
pub(super) struct Requests<F: Future>(Polled<F>);

impl<F: Future<Output = Answer>> Requests<F> {
    pub(super) fn new() -> Self {
        Self(Polled::new())
    }

    /// Lets the task of `cx` be woken when a request was.
    pub(super) fn watch(&self, cx: &Context<'_>) {
        self.0.watch(cx);
    }

    /// Begins to answer the request of `stream`, unless it has been given up.
    #[inline]
    pub(super) fn begin(&mut self, link: &Shared, stream: u32, request: impl FnOnce() -> F) {
        let number = self.0.reserve();
        if link.lock().serve(stream, number) {
            self.0.begin(number, stream, request);
        } else {
            self.0.release(number);
        }
    }

    /// Looks at the requests that have been woken, and gives the answers to the connection.
    pub(super) fn poll(&mut self, link: &Shared) {
        self.0.poll();
        let answers = self.0.answers();
        if answers.is_empty() {
            return;
        }
        link.with(|connection| {
            for (stream, answer) in answers.drain(..) {
                match answer {
                    Some(answer) => connection.answer(stream, answer),
                    None => connection.abort(stream),
                }
            }
        });
    }

    /// Nobody waits for this answer any more.
    pub(super) fn drop(&mut self, number: u32) {
        self.0.drop(number);
    }
}
