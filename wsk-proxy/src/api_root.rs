//! Where the API begins, as OpenWhisk's tools write it: `http://host:port`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use edge_transport::{Endpoint, EndpointError};
use serde::{Deserialize, Serialize};

/// Scheme, host and port of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiRoot {
    secure: bool,
    endpoint: Endpoint,
}

/// Why a text is no API root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiRootError {
    /// It does not begin as one.
    #[error("invalid API root '{0}': expected http://HOST:PORT or https://HOST:PORT")]
    Scheme(String),
    /// What follows is no end-point.
    #[error("invalid API root")]
    Endpoint(#[from] EndpointError),
}

impl ApiRoot {
    /// Plain, at `endpoint`.
    pub fn plain(endpoint: Endpoint) -> Self {
        let secure = false;
        Self { secure, endpoint }
    }

    /// Host and port.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether connections are encrypted.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether only programs of the same machine get there.
    pub fn is_loopback(&self) -> bool {
        let host = self.endpoint.host();
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl Default for ApiRoot {
    /// Port 20000 of the loopback address, plain.
    fn default() -> Self {
        Self::plain(Endpoint::new("127.0.0.1", 20_000))
    }
}

impl FromStr for ApiRoot {
    type Err = ApiRootError;

    fn from_str(text: &str) -> Result<Self, ApiRootError> {
        let (secure, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(ApiRootError::Scheme(text.to_owned())),
        };
        let endpoint = rest.strip_suffix('/').unwrap_or(rest).parse()?;
        Ok(Self { secure, endpoint })
    }
}

impl fmt::Display for ApiRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.endpoint)
    }
}

impl TryFrom<String> for ApiRoot {
    type Error = ApiRootError;

    fn try_from(text: String) -> Result<Self, ApiRootError> {
        text.parse()
    }
}

impl From<ApiRoot> for String {
    fn from(root: ApiRoot) -> Self {
        root.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_printed_as_they_were_written() {
        for text in [
            "http://127.0.0.1:20000",
            "https://edge.example:443",
            "http://[::1]:0",
        ] {
            assert_eq!(text.parse::<ApiRoot>().unwrap().to_string(), text);
        }
        let slash: ApiRoot = "http://127.0.0.1:1/".parse().unwrap();
        assert_eq!(slash.to_string(), "http://127.0.0.1:1");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "127.0.0.1:1",
            "ftp://a:1",
            "http://a",
            "http://a:1/b",
            "http://",
        ] {
            assert!(text.parse::<ApiRoot>().is_err(), "{text}");
        }
    }
}
