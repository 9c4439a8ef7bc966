//! OpenWhisk behind a computer, and the OpenWhisk of one process that stands for a real one.

#![allow(
    clippy::disallowed_methods,
    reason = "what a test waits for comes, or the test has failed"
)]

mod api;
mod discovery;
mod faults;
mod invocations;
mod support;
mod tls;
mod weights;
mod withdrawal;
