//! The simulated platform: processors, containers and lambdas on a virtual clock.
//!
//! A [`Computer`] is a set of processors. Each processor serves the containers that are bound to
//! it, each container serves one lambda with a number of workers, and the tasks that run on a
//! processor share its cores equally (egalitarian processor sharing, at most one core per task).
//! Tasks that find no free worker or not enough memory wait in their container, first come first
//! served.
//!
//! Nothing here reads a clock or sleeps. The owner passes the present [`SimTime`] to every call,
//! asks [`Computer::next_completion`] when to come back, and collects what finished with
//! [`Computer::advance`]. Coming back late loses nothing: what happened in between is replayed
//! event by event, each at its own instant.
//!
//! ```
//! use edge_computer::sim::{Computer, Lambda, Processor, ProcessorKind, Requirements, SimTime};
//!
//! let mut builder = Computer::builder("computer@127.0.0.1:6473");
//! builder.add_processor(Processor::new("cpu", ProcessorKind::GenericCpu, 10.0, 1, 1_000)?)?;
//! let lambda = Lambda::copying("echo", Requirements::Fixed { ops: 20, memory: 1 });
//! builder.add_container("container0", "cpu", lambda, 4)?;
//! let mut computer = builder.build();
//!
//! let id = computer.submit(SimTime::ZERO, "echo", 13)?;
//! let wake_up = computer.next_completion().expect("a task is running");
//! let done = computer.advance(wake_up);
//! assert_eq!(done[0].id, id);
//! assert_eq!(done[0].finished_at, SimTime::from_nanos(2_000_000_000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod composer;
mod computer;
mod container;
mod estimate;
mod json;
mod lambda;
mod processor;
mod requirements;
mod station;
mod time;
mod utilization;

pub use composer::{ComposeError, PlatformConfig, compose};
pub use computer::{
    BuildError, Completion, Computer, ComputerBuilder, ContainerView, DEFAULT_MAX_PENDING,
    LambdaStatus, ProcessorView, SetSpeedError, SubmitError, TaskId,
};
pub use estimate::{Estimate, Estimator};
pub use json::{JsonError, computer_from_json, json_example};
pub use lambda::{Lambda, Output};
pub use processor::{MemoryError, Processor, ProcessorError, ProcessorKind};
pub use requirements::{Demand, Requirements};
pub use station::{Bounds, Forecast, Horizon};
pub use time::SimTime;
pub use utilization::Loads;
