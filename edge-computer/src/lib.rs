//! Edge computers: the simulated platform behind the lambda service.

pub mod config;
pub mod executor;
pub mod flags;
pub mod platform;
pub mod server;
pub mod sim;
pub mod states;
