//! The state server: contents of states by name, for whoever has to have one.
//!
//! Computers keep the states of their functions in one, clients those that
//! they pass by location instead of by value.

mod service;
mod store;

pub use self::service::{MESSAGE_FRAME_BYTES, StateService};
pub use self::store::{StateError, StateStore};
