//! Edge computers: the simulated platform behind the lambda service.
