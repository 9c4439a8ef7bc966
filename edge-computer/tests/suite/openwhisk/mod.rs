//! OpenWhisk behind a computer, and the OpenWhisk of one process that stands for a real one.

mod api;
mod discovery;
mod faults;
mod invocations;
mod support;
mod tls;
mod withdrawal;
