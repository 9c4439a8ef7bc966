//! ETSI MEC 016, the Mx2 interface: device applications find, start and follow their edge
//! applications.
//!
//! - [`Server`] is the whole of it: the standard interface `/dev_app/v1` and that of the
//!   C++ reference, `/mx2/v1`, over one state, with management over gRPC. [`Mx2`] is that
//!   state, for those who embed a server and manage it directly.
//! - [`client`] is the other side: lists applications, creates contexts, and follows them
//!   as notifications come in.
//! - [`placement`] decides which client should reach which application where.
//! - [`model`] is what travels.
//!
//! `docs/mx2.md` is the manual.

pub mod client;
pub mod commands;
pub mod model;
pub mod placement;

mod api;
mod auth;
mod book;
mod config;
mod flags;
mod grpc;

mod journal;
mod metrics;
mod notify;
mod root;
mod routes_file;
mod server;
mod state;

pub use api::TlsSetup;
pub use auth::{JwksError, TokensError};
pub use book::{ContextId, ContextView, Event, Place, Route, RouteError};
pub use config::{
    ApiConfig, ApiTls, AuthConfig, Config, ContextsConfig, InvalidConfig, ManagementConfig,
    NotificationsConfig, RoutesConfig, StateConfig, TlsConfig,
};
pub use flags::{Flags, REFERENCE_OPTIONS};
pub use journal::JournalError;
pub use root::{ApiRoot, InvalidApiRoot};
pub use routes_file::{RoutesFileError, read_routes};
pub use server::{Handle, Server, StartError};
pub use state::Mx2;
