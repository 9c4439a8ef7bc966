//! The data model of MEC 016, version 2.2.1, and of the older shapes that clients still send.
//!
//! Reading is tolerant where published descriptions differ, and strict about the rest: it
//! names every fault by JSON pointer. What is written depends on the [`Profile`].

mod app;
mod area;
mod availability;
mod context;
mod filter;
mod list;
mod location;
mod notification;
mod problem;
mod reader;
mod uri;

pub use app::{AppInfo, Characteristics, LAMBDA_PROVIDER, LAMBDA_VERSION, VendorExtension};
pub use area::{Area, Ring};
pub use availability::AvailabilityRequest;
pub use context::{ContextRequest, Instance, InstanceRequest, Profile, Reply, Update};
pub use filter::AppFilter;
pub use list::app_list;
pub use location::{CivicElement, LocationConstraints};
pub use notification::{InvalidNotification, Notification};
pub use problem::{Fault, Problem};
pub use uri::{CallbackUri, Reference};

pub(crate) use reader::{Faults, Object};

/// Longest names and identifiers of MEC 016, in characters.
pub const MAX_NAME_CHARS: usize = 32;
/// Longest description, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 128;
/// Longest URI accepted, in bytes.
pub const MAX_URI_BYTES: usize = 2048;
/// Longest identifier of a device application on `/mx2/v1`, whose clients send dashed UUIDs.
pub const MAX_LEGACY_ID_CHARS: usize = 64;
/// Instances that one context may have.
pub const MAX_INSTANCES: usize = 16;
