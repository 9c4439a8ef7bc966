//! The simulated computer from outside, on virtual time.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails like the test")]

mod conformance;
mod forecast;
mod naive;
mod properties;
mod queueing;
mod speed;
mod support;
mod views;
