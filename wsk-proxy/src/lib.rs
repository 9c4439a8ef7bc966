//! OpenWhisk's REST interface in front of brokers: its clients and tools run lambdas at the edge.
//!
//! - `connections` accepts clients, `rest` understands their requests and writes the answers;
//! - `auth`, `quota` and `repeats` say who may ask, how often, and what was asked before;
//! - `names` and `plan` say which lambda or sequence an action stands for, `registry` holds what
//!   clients have registered, `table` what computers serve;
//! - `lane` runs actions on one core, through `routers`, by the calls of `ask`; `background` does
//!   so for clients that do not wait;
//! - `store` and `journal` keep what became of them.

mod activation;
mod api_root;
mod archive;
mod ask;
mod auth;
mod background;
mod config;
mod connections;
mod endpoints;
mod entity;
mod flags;
mod journal;
mod json;
mod lane;
mod metrics;
mod names;
mod plan;
mod quota;
mod record;
mod registry;
mod reload;
mod repeats;
mod rest;
mod routers;
mod server;
mod shared;
mod store;
mod table;
mod timers;
mod tls;

pub use api_root::{ApiRoot, ApiRootError};
pub use auth::CredentialsError;
pub use config::{
    AuthConfig, Config, IdempotencyConfig, InvalidConfig, InvokeConfig, LimitsConfig, NamesConfig,
    RouterConfig, ServerConfig, StoreConfig, TableConfig, TlsConfig,
};
pub use endpoints::Endpoints;
pub use flags::{Flags, REFERENCE_OPTIONS};
pub use journal::JournalError;
pub use names::NameMode;
pub use server::{Handle, Proxy, StartError};
pub use tls::HttpsError;
