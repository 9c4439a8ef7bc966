//! The program `lab`, its quick runs.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod bench_balance;
mod bench_hop;
mod bench_scale;
mod chaos;
mod flags;
mod impair;
mod orphans;
mod overload;
mod quic_programs;
mod run;
