//! Edge computers: the simulated platform behind the lambda service.

pub mod config;
pub mod executor;
pub mod flags;
pub mod hangup;
pub mod health;
pub mod openwhisk;
pub mod params;
pub mod platform;
pub mod runtime;
mod sampler;
pub mod server;
pub mod sim;
pub mod states;
pub mod turns;
pub mod whisk;
