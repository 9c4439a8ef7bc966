//! What all parts do together, in one process.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod faults;
mod lifecycle;
mod mx2;
mod openwhisk;
mod support;
mod transactions;
mod workflows;
