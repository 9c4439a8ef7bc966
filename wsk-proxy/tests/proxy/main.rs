//! The proxy over real sockets, in front of a real controller, routers and computers.
#![allow(clippy::unwrap_used, reason = "tests end when something fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "what a test waits for comes, or the test has failed"
)]

mod access;
mod actions;
mod activations;
mod background;
mod documents;
mod early;
mod errors;
mod failures;
mod http2;
mod invoke;
mod process;
mod repeats;
mod sequences;
mod support;
mod watching;
