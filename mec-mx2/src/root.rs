//! The root of an API: scheme, host, port and maybe a path.

use std::fmt;
use std::str::FromStr;

use edge_transport::Endpoint;
use serde::{Deserialize, Serialize};

/// `http://host:port/path`, where servers serve and clients ask. Slashes at the end do not
/// count; without a port it is 80, or 443 for `https`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiRoot {
    secure: bool,
    endpoint: Endpoint,
    path: String,
}

/// A text that is no root of an API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid API root '{0}': expected something like http://127.0.0.1:6500")]
pub struct InvalidApiRoot(String);

impl ApiRoot {
    /// A plain root without a path.
    pub fn plain(endpoint: Endpoint) -> Self {
        Self {
            secure: false,
            endpoint,
            path: String::new(),
        }
    }

    /// Whether it is `https`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Where it is served.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What comes before the names of interfaces; empty or beginning with a slash, never
    /// ending with one.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The same root at another port.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Self {
        Self {
            endpoint: Endpoint::new(self.endpoint.host(), port),
            ..self.clone()
        }
    }
}

impl FromStr for ApiRoot {
    type Err = InvalidApiRoot;

    fn from_str(text: &str) -> Result<Self, InvalidApiRoot> {
        let invalid = || InvalidApiRoot(text.to_owned());
        let uri: http::Uri = text.parse().map_err(|_| invalid())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(invalid()),
        };
        let authority = uri.authority().ok_or_else(invalid)?;
        let default = if secure { 443 } else { 80 };
        let endpoint = match authority.as_str().parse() {
            Ok(endpoint) => endpoint,
            Err(_) => format!("{authority}:{default}")
                .parse()
                .map_err(|_| invalid())?,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
        if uri.query().is_some() || text.contains('#') || !uri.path().chars().all(plain) {
            return Err(invalid());
        }
        Ok(Self {
            secure,
            endpoint,
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for ApiRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.endpoint, self.path)
    }
}

impl TryFrom<String> for ApiRoot {
    type Error = InvalidApiRoot;

    fn try_from(text: String) -> Result<Self, InvalidApiRoot> {
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
    fn roots_are_normalised() {
        for (text, normal) in [
            ("http://127.0.0.1:6500", "http://127.0.0.1:6500"),
            ("http://127.0.0.1:6500/", "http://127.0.0.1:6500"),
            (
                "https://mec.example/sandbox//",
                "https://mec.example:443/sandbox",
            ),
            ("http://[::1]:0", "http://[::1]:0"),
        ] {
            assert_eq!(
                text.parse::<ApiRoot>().map(|r| r.to_string()),
                Ok(normal.to_owned())
            );
        }
        for bad in [
            "",
            "x",
            "127.0.0.1:6500",
            "ftp://a",
            "http://",
            "http://a/?b",
            "http://a:x",
            "http://a/{b}",
        ] {
            assert!(bad.parse::<ApiRoot>().is_err(), "{bad}");
        }
    }
}
