//! Admission: how many requests a destination is given at a time, and who waits for a place there.
//!
//! - [`AdaptiveLimit`], one per destination, decides how many requests of this broker may be in
//!   flight there. It follows how much longer than unloaded the answers take.
//! - [`FairQueue`], one per broker, holds the requests that find every candidate of their lambda at
//!   its limit. It decides who of them is next when a place is given back, who is told at once that
//!   it would wait too long, and who has to leave when the queue is full.
//! - [`CoreLimit`], one per core of the broker, bounds what the core has in hand when it cannot keep
//!   up itself.
//!
//! So the line forms in the broker, where it is ordered by priority and fair between clients, and
//! not at the destinations, which take whatever comes first. What neither decides is which of the
//! candidates below their limits a request goes to: that is the policy's.

mod class;
mod core_limit;
mod limit;
mod line;
mod pace;
mod queue;
mod turns;

pub use core_limit::CoreLimit;
pub use limit::{AdaptiveLimit, LimitConfig};
pub use queue::{Client, FairQueue, Key, LambdaKey, Pushed, QueueConfig, Shed, Waiter};
