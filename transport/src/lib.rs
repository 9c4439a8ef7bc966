//! How bytes move: gRPC over TCP and TLS, servers, clients, connection pools, deadlines.
//!
//! Two planes share the sockets. The lambda plane is served and called on an
//! implementation of HTTP/2 of its own, [`http2`], and passes encoded messages as
//! they are: [`LambdaService`] is its server side, [`LambdaClient`] its client
//! side. Everything else
//! (tables, controller, health, reflection) is plain tonic behind the same
//! [`Server`], and [`control::channel`] on the client side. [`states`] is one
//! such service, which more than one kind of process offers.
//!
//! Threads: a [`Cores`] holds one single-threaded runtime per core. A server
//! accepts on one exclusive listener and hands each connection to the least
//! loaded core, where all that follows stays.

pub mod control;
pub mod http2;
pub mod pushback;
pub mod quic;
pub mod services;
pub mod states;
pub mod tls;
pub mod turn;
pub mod unexecuted;

mod client;
mod cores;
mod endpoint;
mod gathered;
mod io;
mod lambda;
mod limits;
mod link;
mod listener;
mod liveness;
mod mended;
mod metadata;
mod polled;
mod seldom;
mod server;
mod timeout;
mod typed;

pub use client::{CallError, ClientOptions, ConnectError, LambdaClient};
pub use cores::{Core, Cores};
pub use endpoint::{Endpoint, EndpointError, Scheme};
pub use lambda::{LambdaCall, LambdaReply, LambdaService, NoLambda, Peer};
pub use limits::Limits;
pub use listener::{BindError, Listener, Listens};
pub use metadata::Metadata;
pub use seldom::Seldom;
pub use server::{Server, ServerHandle};
pub use typed::{LambdaHandler, Typed, TypedReply, malformed};

/// Deadline of a request that brings none along.
pub const DEFAULT_DEADLINE: std::time::Duration = std::time::Duration::from_secs(60);
