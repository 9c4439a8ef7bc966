//! Messages and views of them, beside what others make of them.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod corpus;
mod golden;
mod messages;
mod views;
