//! Calls lambdas: a client of one end-point, one of several, and a load generator.
//!
//! [`Client`] calls one end-point, [`MultiClient`] sends copies to several and
//! takes the first answer, [`FollowingClient`] goes where an ETSI MEC server sends it,
//! [`Caller`] is any of them with or without
//! asynchronous results ([`callback`]). [`load::run`] generates load as a
//! [`Config`] says, in an open or a closed loop, and returns a [`Report`]; the
//! program `edgeclient` ([`edgeclient::main`]) is its command line. Chains and
//! graphs of functions are in [`workflow`].

pub mod arrivals;
pub mod callback;
pub mod config;
pub mod edgeclient;
pub mod load;
pub mod pacer;
pub mod payload;
pub mod report;
pub mod workflow;

mod caller;
mod client;
mod error;
mod etsi;
mod lines;
mod moments;
mod multi;
mod number;
mod random;
mod recorder;
mod tally;

pub use caller::Caller;
pub use client::{Answer, Client};
pub use config::Config;
pub use error::{ErrorKind, RequestError};
pub use etsi::FollowingClient;
pub use lines::OutputError;
pub use multi::{MultiClient, MultiClientError, NONE_RESPONDED};
pub use report::Report;
