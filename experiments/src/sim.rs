//! Simulation: the code that brokers choose with, in virtual time.

mod contender;
mod outcome;
mod scenario;

pub(crate) use contender::Contender;
pub(crate) use outcome::Outcome;
pub(crate) use scenario::Scenario;
