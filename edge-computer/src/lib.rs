//! Edge computers: the simulated platform behind the lambda service.

pub mod executor;
pub mod platform;
pub mod sim;
pub mod workflow;
