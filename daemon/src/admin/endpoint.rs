//! Where the admin endpoint listens, if anywhere.

use std::{fmt, io, str::FromStr};

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// The address that is meant where only a port is given.
const LOOPBACK: &str = "127.0.0.1";

/// `HOST:PORT`, a `PORT` of the loopback address, or nothing: off. Port 0 lets the system
/// choose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AdminEndpoint(Option<(String, u16)>);

/// Text that is no admin endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid admin endpoint `{0}`, expected `host:port`, a port, or an empty string for none")]
pub struct InvalidAdminEndpoint(String);

impl AdminEndpoint {
    /// A port of the loopback address.
    pub fn loopback(port: u16) -> Self {
        Self(Some((LOOPBACK.to_owned(), port)))
    }

    /// Where it listens, the host without brackets; `None` if it is off.
    pub fn host_and_port(&self) -> Option<(&str, u16)> {
        let (host, port) = self.0.as_ref()?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some((host, *port))
    }

    /// Listens; `None` if it is off.
    pub(super) async fn listen(&self) -> Option<io::Result<TcpListener>> {
        Some(TcpListener::bind(self.host_and_port()?).await)
    }
}

impl FromStr for AdminEndpoint {
    type Err = InvalidAdminEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(Self(None));
        }
        let (host, port) = match trimmed.rsplit_once(':') {
            None | Some(("", _)) => (LOOPBACK, trimmed.trim_start_matches(':')),
            Some(parts) => parts,
        };
        let bracketed = host.starts_with('[') && host.ends_with(']');
        match port.parse() {
            Ok(port) if bracketed || !host.contains([':', '[', ']', '/']) => {
                Ok(Self(Some((host.to_owned(), port))))
            }
            _ => Err(InvalidAdminEndpoint(text.to_owned())),
        }
    }
}

impl fmt::Display for AdminEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some((host, port)) => write!(f, "{host}:{port}"),
            None => Ok(()),
        }
    }
}

impl TryFrom<String> for AdminEndpoint {
    type Error = InvalidAdminEndpoint;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AdminEndpoint> for String {
    fn from(endpoint: AdminEndpoint) -> Self {
        endpoint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_ports_and_nothing_are_understood() {
        for (text, meaning) in [
            ("127.0.0.1:9473", "127.0.0.1:9473"),
            ("9473", "127.0.0.1:9473"),
            (":0", "127.0.0.1:0"),
            ("localhost:1", "localhost:1"),
            ("[::1]:9473", "[::1]:9473"),
            ("", ""),
            (" ", ""),
        ] {
            let endpoint: AdminEndpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), meaning, "{text:?}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "localhost",
            "localhost:",
            "h:65536",
            "::1:9473",
            "http://h:1",
            ":",
            "h:-1",
        ] {
            assert!(text.parse::<AdminEndpoint>().is_err(), "{text:?}");
        }
    }
}
