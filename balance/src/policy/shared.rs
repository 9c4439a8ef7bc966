//! One policy for all lambdas where it keeps nothing of them, and else one for each.

use super::{Policy, PolicyConfig};
use std::sync::Arc;

/// A policy that was just made.
#[derive(Debug)]
pub(super) enum Built {
    /// For all lambdas of a table.
    ForAll(Arc<dyn Policy>),
    /// For one of them, about which it learns.
    ForOne(Arc<dyn Policy>),
}

impl Built {
    /// One that keeps nothing: what it learns is kept by the routes. Nothing that can be copied can
    /// change while it is shared.
    pub(super) fn for_all(policy: impl Policy + Copy + 'static) -> Self {
        Built::ForAll(Arc::new(policy))
    }

    pub(super) fn for_one(policy: impl Policy + 'static) -> Self {
        Built::ForOne(Arc::new(policy))
    }
}

/// Policies of one kind, for lambda after lambda.
#[derive(Debug)]
pub(crate) struct Policies {
    config: PolicyConfig,
    /// For all of them, which saves each a place in memory and the way to it.
    shared: Option<Arc<dyn Policy>>,
}

impl Policies {
    pub(crate) fn new(config: PolicyConfig) -> Self {
        let shared = match config.build() {
            Built::ForAll(policy) => Some(policy),
            Built::ForOne(_) => None,
        };
        Policies { config, shared }
    }

    /// What they were made of.
    pub(crate) fn config(&self) -> PolicyConfig {
        self.config
    }

    /// The one for another lambda.
    pub(crate) fn next(&self) -> Arc<dyn Policy> {
        match &self.shared {
            Some(policy) => Arc::clone(policy),
            None => match self.config.build() {
                Built::ForAll(policy) | Built::ForOne(policy) => policy,
            },
        }
    }
}
