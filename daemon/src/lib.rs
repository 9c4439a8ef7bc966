//! How a process starts, is observed and stops: configuration, logs, metrics, admin endpoint, signals.
//!
//! A program of this project is a struct of optional flags, a serde struct of
//! configuration, a server, and a `main` that joins them:
//!
#![doc = concat!("```no_run\n", include_str!("../examples/greeter.rs"), "```")]
//!
//! Exit codes: 0 for success, `--help`, `--version`, `--check-config` and
//! `--print-config`; 2 for wrong usage and unusable configuration; 1 for failure, a drain
//! that missed its deadline and a second signal.

pub mod admin;
pub mod cli;
pub mod conf_string;
pub mod duration;
pub mod layers;
pub mod lifecycle;
pub mod log;
mod nearest;
pub mod open_files;
mod run;
mod secret;
mod serve;
mod shown;
pub mod signals;

pub use run::{Interrupted, UsageError, blame, run};
pub use secret::Secret;
pub use serve::serve;
pub use shown::{escaped, shown};
