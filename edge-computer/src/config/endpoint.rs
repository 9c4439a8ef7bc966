//! An end-point that may be left out.

use edge_transport::{Endpoint, EndpointError};
use serde::{Deserialize, Serialize};

/// An end-point, or nothing, which is written as the empty string.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OptionalEndpoint(Option<Endpoint>);

impl OptionalEndpoint {
    /// The end-point, if there is one.
    pub fn get(&self) -> Option<&Endpoint> {
        self.0.as_ref()
    }
}

impl From<Endpoint> for OptionalEndpoint {
    fn from(endpoint: Endpoint) -> Self {
        Self(Some(endpoint))
    }
}

impl TryFrom<String> for OptionalEndpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        text.parse().map(|endpoint| Self(Some(endpoint)))
    }
}

impl From<OptionalEndpoint> for String {
    fn from(endpoint: OptionalEndpoint) -> Self {
        endpoint.0.map(String::from).unwrap_or_default()
    }
}
