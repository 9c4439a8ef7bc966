//! What a table refuses, in the words that clients of the C++ reference know.

use thiserror::Error;

/// Why a change was refused. The texts travel in the answers of the table service.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum TableError {
    /// The lambda has no routes or, if one is named, none to that destination.
    #[error("No destinations found for the entry{}", named(.destination.as_deref()))]
    NoDestinations {
        /// The destination that was looked for, where the lambda is known.
        destination: Option<String>,
    },
    /// A route needs a destination and a weight above 0.
    #[error("Invalid destination towards '{destination}' with weight {}", fixed(*.weight))]
    InvalidDestination {
        /// As given.
        destination: String,
        /// As given.
        weight: f32,
    },
    /// A route needs a lambda.
    #[error("Invalid destination towards '{destination}' for lambda function '{lambda}'")]
    InvalidLambda {
        /// As given.
        destination: String,
        /// As given, that is empty.
        lambda: String,
    },
    /// A weight is a finite number above 0.
    #[error("Invalid weight '{}', must be > 0", fixed(*.0))]
    InvalidWeight(f32),
    /// So is a factor.
    #[error("Invalid weight factor '{}', must be > 0", fixed(*.0))]
    InvalidWeightFactor(f32),
}

fn named(destination: Option<&str>) -> String {
    destination
        .map(|destination| format!(": {destination}"))
        .unwrap_or_default()
}

/// As `printf("%f")` writes it.
fn fixed(value: f32) -> String {
    if value.is_nan() {
        "nan".to_owned()
    } else {
        format!("{value:.6}")
    }
}

pub(super) fn check_destination(destination: &str) -> Result<(), TableError> {
    if destination.is_empty() {
        return Err(TableError::NoDestinations { destination: None });
    }
    Ok(())
}

pub(super) fn check_weight(destination: &str, weight: f32) -> Result<(), TableError> {
    if !weight.is_finite() || weight < 0.0 {
        return Err(TableError::InvalidWeight(weight));
    }
    if weight == 0.0 {
        return Err(TableError::InvalidDestination {
            destination: destination.to_owned(),
            weight,
        });
    }
    Ok(())
}

pub(super) fn check_route(lambda: &str, destination: &str, weight: f32) -> Result<(), TableError> {
    check_weight(destination, weight)?;
    if destination.is_empty() {
        return Err(TableError::InvalidDestination {
            destination: String::new(),
            weight,
        });
    }
    if lambda.is_empty() {
        let destination = destination.to_owned();
        return Err(TableError::InvalidLambda {
            destination,
            lambda: String::new(),
        });
    }
    Ok(())
}

pub(super) fn check_factor(factor: f32) -> Result<(), TableError> {
    if !factor.is_finite() || factor <= 0.0 {
        return Err(TableError::InvalidWeightFactor(factor));
    }
    Ok(())
}
