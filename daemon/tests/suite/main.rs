//! What all programs have in common, seen from outside.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod admin;
mod corpus;
mod process;
