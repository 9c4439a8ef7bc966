//! Simulation: the code that brokers choose with, in virtual time.

mod antagonists;
mod arrivals;
mod budget;
mod chooser;
mod contender;
mod course;
#[cfg(test)]
mod determinism;
mod engine;
mod events;
mod executor;
mod inbox;
mod job;
mod matrix;
mod oracle;
mod outcome;
#[cfg(test)]
mod populations;
mod probing;
mod random;
mod scale;
mod scenario;
mod single;
#[cfg(test)]
mod theory;
mod topology;
mod utilisation;
mod validate;

pub(crate) use contender::Contender;
pub(crate) use engine::run;
pub(crate) use outcome::Outcome;
pub(crate) use scenario::Scenario;

/// What can be simulated.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// One scenario, described by the options
    Run(single::Flags),
    /// Thousands of routers and a hundred thousand executors: what growth costs
    Scale(scale::Flags),
    /// Compare the simulator with real daemons on loopback; takes some minutes
    Validate(validate::Flags),
    /// All policies against an omniscient dispatcher, in a factorial design of scenarios
    Matrix(matrix::Flags),
}

/// Simulates.
pub(crate) async fn execute(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Run(flags) => single::execute(flags),
        Command::Scale(flags) => scale::execute(flags),
        Command::Validate(flags) => validate::execute(flags).await,
        Command::Matrix(flags) => matrix::run(flags).await,
    }
}
