//! Servers and clients over real sockets.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod client;
mod corpus;
mod http3_cancels;
mod http3_frames;
mod http3_servers;
mod http3_strict;
mod interop;
mod patience;
mod quic;
mod quic_drain;
mod quic_early;
mod quic_held;
mod quic_probe;
mod quic_strangers;
mod resets;
mod server;
mod suites;
mod support;
mod together;
