//! Real functions in runtime processes: what they return, how they fail, and that none is left.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod containers;
mod languages;
mod outcomes;
mod support;
