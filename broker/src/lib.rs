//! The brokers: `edgerouter` and `edgedispatcher`, the forwarding path, and the forwarding table service.
//!
//! A [`Router`] takes lambda requests, asks its forwarding tables
//! ([`edge_balance`]) which destination is going to answer soonest, forwards
//! the request there as it is, and learns from the answer. Two tables: one for
//! requests of clients, one for requests that come from another edge node,
//! which may only go to computers. A [`Dispatcher`] has one table, and predicts
//! for each request how long it would take at each destination.

pub mod config;
pub mod flags;

mod admission;
mod announce;
mod clock;
mod configure;
mod dispatcher;
mod explain;
mod first_table;
mod forward;
mod metrics;
mod owners;
mod probes;
mod report;
mod router;
mod status;
mod table_service;
mod tables;
mod tls;
mod trace;

pub use config::Config;
pub use dispatcher::Dispatcher;
pub use explain::{Candidate, Decision};
pub use router::{Router, RouterHandle, StartError};
pub use status::{DestinationStatus, Standing};
pub use tables::Tables;
