//! The programs as processes: options, exit codes, signals, ports.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails like the test")]
#![allow(
    clippy::disallowed_methods,
    reason = "what a test waits for comes, or the test has failed"
)]

mod client;
mod lifecycle;
mod options;
mod peer;
mod states;
mod support;
