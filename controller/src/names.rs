//! What the controller's maps are keyed by: addresses of peers, names of lambdas, and pairs of them.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use edge_transport::Endpoint;

/// The end-point that a computer or router is known by. Cheap to clone, and
/// ordered as its text is, which is the order in which the C++ reference goes
/// through its computers and routers.
#[derive(Debug, Clone)]
pub(crate) struct Address(Arc<Named>);

#[derive(Debug)]
struct Named {
    text: String,
    endpoint: Endpoint,
}

impl Address {
    /// The address as it is announced.
    pub(crate) fn as_str(&self) -> &str {
        &self.0.text
    }
}

impl From<Endpoint> for Address {
    fn from(endpoint: Endpoint) -> Self {
        Self(Arc::new(Named {
            text: endpoint.to_string(),
            endpoint,
        }))
    }
}

impl Deref for Address {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.0.endpoint
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Address {}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

/// The name of a lambda: neither empty nor longer than a name may be. Cheap to
/// clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LambdaName(Arc<str>);

/// Longest name accepted, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 255;

/// Why a text is no name of a lambda.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("it is empty")]
    Empty,
    #[error("it has {0} bytes, at most {MAX_NAME_BYTES} are allowed")]
    TooLong(usize),
}

impl LambdaName {
    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for LambdaName {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        match text.len() {
            0 => Err(NameError::Empty),
            length if length > MAX_NAME_BYTES => Err(NameError::TooLong(length)),
            _ => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for LambdaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A lambda and a destination that serves it: what one entry of a forwarding
/// table is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Route {
    pub(crate) lambda: LambdaName,
    pub(crate) destination: Address,
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A route from texts that are known to be good.
    pub(crate) fn route(lambda: &str, destination: &str) -> Route {
        Route {
            lambda: LambdaName::try_from(lambda).unwrap(),
            destination: destination.parse::<Endpoint>().unwrap().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_ordered_as_text() {
        let address = |text: &str| Address::from(text.parse::<Endpoint>().unwrap());
        let mut addresses = ["host4:6474", "host4:16474", "host:1", "host-a:1"].map(address);
        addresses.sort();
        let texts = addresses.each_ref().map(Address::as_str);
        assert_eq!(texts, ["host-a:1", "host4:16474", "host4:6474", "host:1"]);
    }

    #[test]
    fn names_are_neither_empty_nor_absurdly_long() {
        assert_eq!(LambdaName::try_from(""), Err(NameError::Empty));
        assert!(LambdaName::try_from("x".repeat(255).as_str()).is_ok());
        let long = "x".repeat(256);
        assert_eq!(
            LambdaName::try_from(long.as_str()),
            Err(NameError::TooLong(256))
        );
    }
}
