//! What a controller does, seen from outside: in this process and as a program.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod liveness;
mod owners;
mod process;
mod support;
mod tables;
