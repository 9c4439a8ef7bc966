//! The controller: who serves what, told to the brokers.
//!
//! Computers announce what they serve, routers announce where their forwarding
//! tables are, and the controller fills the tables and keeps them right:
//!
//! - `announcement` is the door: what comes over the wire, `counted`, checked and typed;
//! - `registry` turns events into effects, without clock and sockets;
//! - `fleet` hands the effects to one `pusher` per router, so that no router
//!   makes another one, or an announcement, wait;
//! - `wishes` and `ledger` say what a router still has to be told, and how its
//!   table differs from what it ought to be;
//! - `watch` lets leases end, and probes the computers that have none;
//! - `etsi` keeps an LCM proxy of ETSI MEC up to date, for device applications that
//!   call computers directly.
//!
//! Nothing is stored: peers that renew their announcements bring everything
//! back within seconds of a restart.

mod announcement;
mod config;
mod etsi;
mod flags;
mod fleet;
mod inbox;
mod ledger;
mod metrics;
mod names;
mod pusher;
mod registry;
mod server;
mod service;
mod state;
mod table;
mod watch;
mod wishes;

pub use config::{
    Config, ControllerConfig, ControllerType, EtsiConfig, InstallerType, InvalidConfig,
    LivenessConfig, PushConfig, ServerConfig, TlsConfig,
};
pub use flags::{Flags, REFERENCE_OPTIONS};
pub use server::{Controller, Handle, StartError};
