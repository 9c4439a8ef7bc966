//! A computer from outside, over real sockets: what it answers, calls back, announces, streams.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails like the test")]
#![allow(
    clippy::disallowed_methods,
    reason = "what a test waits for comes, or the test has failed"
)]

mod asynchronous;
mod control;
mod lifecycle;
mod moving_states;
mod pressure;
mod secure;
mod states;
mod support;
mod synchronous;
mod workflows;
