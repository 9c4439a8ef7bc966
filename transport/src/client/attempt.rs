//! An attempt to connect: one for all that wait for it. It belongs to the channel, not to the call
//! that began it: who loses patience leaves it to those who come later, and calls that are less patient
//! than the handshake is long do not undo each other's work for ever.

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

use super::{ConnectCause, ConnectError};
use crate::{Core, Endpoint};

/// What became of an attempt; the connection itself is where its channel keeps it.
type Outcome = Result<(), ConnectError>;

/// The attempt to connect that is under way, if any.
#[derive(Debug, Default)]
pub(super) struct Attempt(Mutex<Option<Shared<BoxFuture<'static, Outcome>>>>);

impl Attempt {
    /// Waits for the attempt that is under way. If there is none, `is_there` tells whether one is
    /// needed, and `connect` begins it: it goes on, on `core`, whether or not somebody waits.
    ///
    /// Who waits takes part in it, so that the call that began it goes on at the moment at which the
    /// connection is there: early data have to leave before the handshake is complete.
    ///
    /// `connect` ends by itself, and has to call [`Attempt::is_over`] at the same moment at which what
    /// it is for is there.
    ///
    /// # Errors
    /// Those of the attempt that was waited for.
    pub(super) async fn wait<F>(
        &self,
        core: &Core,
        endpoint: &Endpoint,
        is_there: impl FnOnce() -> bool,
        connect: impl FnOnce() -> F,
    ) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let attempt = {
            let mut attempt = self.lock();
            match &*attempt {
                // One that has panicked is still here.
                Some(under_way) if under_way.peek().is_none() => under_way.clone(),
                _ if is_there() => return Ok(()),
                _ => attempt
                    .insert(begin(core, endpoint.clone(), connect()))
                    .clone(),
            }
        };
        attempt.await
    }

    /// Runs `settle`, after which there is no attempt under way: nobody looks in between.
    pub(super) fn is_over<T>(&self, settle: impl FnOnce() -> T) -> T {
        let mut attempt = self.lock();
        *attempt = None;
        settle()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Shared<BoxFuture<'static, Outcome>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn begin(
    core: &Core,
    endpoint: Endpoint,
    connect: impl Future<Output = Outcome> + Send + 'static,
) -> Shared<BoxFuture<'static, Outcome>> {
    let outcome = AssertUnwindSafe(connect).catch_unwind();
    let outcome = outcome.map(move |outcome| {
        outcome.unwrap_or_else(|_| {
            let panicked = io::Error::other("the attempt to connect panicked");
            Err(ConnectError {
                endpoint: endpoint.to_string(),
                cause: Arc::new(ConnectCause::Tcp(panicked)),
            })
        })
    });
    let attempt = outcome.boxed().shared();
    core.spawn(attempt.clone());
    attempt
}
