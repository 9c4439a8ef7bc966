//! The operations on tables that come from outside, checked at the door.

use edge_balance::Nanos;
use edge_proto::rpc::EdgeRouterConf;
use edge_proto::rpc::edge_router_conf::Action;
use edge_transport::{Endpoint, EndpointError};

use crate::owners::MAX_OWNER_NAME;
use crate::tables::{ChangeError, Tables};

/// Longest name of a lambda that a table takes, in bytes.
pub(crate) const MAX_LAMBDA_NAME: usize = 1024;

/// Why an operation was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigureError {
    #[error("Invalid action {0}, must be 0 (flush), 1 (change) or 2 (remove)")]
    Action(i32),
    #[error("Invalid lambda: a name of {0} bytes, at most {MAX_LAMBDA_NAME} are allowed")]
    LongName(usize),
    #[error("Invalid owner: a name of {0} bytes, at most {MAX_OWNER_NAME} are allowed")]
    LongOwner(usize),
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// What the weight of an operation means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weights {
    /// A cost, which must make sense.
    Costs,
    /// Nothing, as in the dispatcher of the reference: any number will do, and
    /// the table shows 1.
    Ignored,
}

/// Carries out one operation.
pub(crate) fn configure(
    tables: &Tables,
    weights: Weights,
    operation: &EdgeRouterConf,
    now: Nanos,
) -> Result<(), ConfigureError> {
    let action =
        Action::try_from(operation.action).map_err(|_| ConfigureError::Action(operation.action))?;
    let EdgeRouterConf {
        lambda,
        destination,
        weight,
        owner,
        ..
    } = operation;
    match action {
        Action::Flush => tables.flush(),
        Action::Remove => tables.remove(lambda, destination, owner, now),
        Action::Change => {
            if lambda.len() > MAX_LAMBDA_NAME {
                return Err(ConfigureError::LongName(lambda.len()));
            }
            if owner.len() > MAX_OWNER_NAME {
                return Err(ConfigureError::LongOwner(owner.len()));
            }
            if !destination.is_empty() {
                Endpoint::check(destination)?;
            }
            let weight = match weights {
                Weights::Costs => *weight,
                Weights::Ignored => 1.0,
            };
            tables.change(lambda, destination, weight, operation.r#final, owner, now)?;
        }
    }
    Ok(())
}
