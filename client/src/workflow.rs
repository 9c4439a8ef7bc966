//! Chains and graphs of functions: asked for as a whole, or walked one function at a time.
//!
//! A [`Plan`] says which functions there are, in which order they run and which
//! states they depend on; it comes from a JSON file. A [`Session`] executes it
//! time and again through a [`Caller`](crate::Caller), and the states evolve
//! from one time to the next. Its states travel by value, or by location if
//! they are kept in a state server ([`RemoteStates`]).

mod example;
mod file;
mod plan;
mod remote;
mod session;
mod walk;

pub use self::file::PlanError;
pub use self::plan::{InvalidPlan, Plan};
pub use self::remote::{RemoteStates, StatesError};
pub use self::session::Session;
