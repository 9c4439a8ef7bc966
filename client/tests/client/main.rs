//! Clients and load generators against computers that run in the test.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; helpers are part of it"
)]

mod callbacks;
mod closed_loop;
mod command;
mod followed;
mod one;
mod open_loop;
mod secure;
mod several;
mod support;
mod workflow_files;
mod workflows;
