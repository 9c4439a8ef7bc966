//! States of functions: where they are kept, and how they move to those who need them.

mod migration;
mod service;
mod store;

pub(crate) use self::migration::bring_home;
pub use self::migration::{MigrationError, StateHome};
pub use self::service::StateService;
pub use self::store::{StateError, StateStore};
