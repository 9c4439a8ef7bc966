//! OpenWhisk behind a computer, and the OpenWhisk of one process that stands for a real one.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod api;
mod discovery;
mod faults;
mod invocations;
mod support;
mod tls;
