//! Which client reaches which application where: a decision, without clock and sockets.
//!
//! [`spread`] is the C++ reference's way: as many contexts on each computer as on any other.
//! [`place`] minimises the expected latency, from what the brokers measure, and moves nobody
//! for little.

mod cost;
mod latency;
mod reference;

pub use latency::{Computer, Group, Plan, Settings, default_route, place};
pub use reference::{Spread, spread};
