//! The Mx2 server from outside: over HTTP and gRPC, with real receivers of notifications.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod conformance;
mod device;
mod hostile;
mod legacy;
mod management;
mod notifications;
mod process;
mod restart;
mod secure;
mod strict;
mod support;
