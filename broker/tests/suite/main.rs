//! What brokers do, seen from outside: in this process and as programs.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod acceptance;
mod admission;
mod checks;
mod corpus;
mod dispatcher;
mod dispatcher_program;
mod explanations;
mod failures;
mod forwarding;
mod hedging;
mod owners;
mod probes;
mod programs;
mod quic;
mod reports;
mod secure;
mod signals;
mod support;
mod table_client;
mod table_program;
mod tables;
