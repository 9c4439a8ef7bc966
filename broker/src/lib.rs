//! The brokers: `edgerouter`, the forwarding path, and the forwarding table service.
//!
//! A [`Router`] takes lambda requests, asks its forwarding tables
//! ([`edge_balance`]) which destination is going to answer soonest, forwards
//! the request there as it is, and learns from the answer. Two tables: one for
//! requests of clients, one for requests that come from another edge node,
//! which may only go to computers.

pub mod config;

mod announce;
mod clock;
mod configure;
mod explain;
mod forward;
mod metrics;
mod probes;
mod report;
mod router;
mod status;
mod table_service;
mod tables;

pub use config::Config;
pub use explain::{Candidate, Decision};
pub use router::{Router, RouterHandle, StartError};
pub use status::{DestinationStatus, Standing};
pub use tables::Tables;
