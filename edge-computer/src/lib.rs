//! Edge computers: the simulated platform behind the lambda service.

pub mod sim;
