//! What computers do, seen from outside: in this process and as programs.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod openwhisk;
mod process;
mod runtime;
mod server;
