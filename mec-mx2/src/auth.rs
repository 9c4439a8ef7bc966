//! Who a client is: by token or certificate; and where it is, behind proxies that are trusted.

mod jwks;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, StatusCode, header};
use ipnet::IpNet;

pub use self::jwks::JwksError;
pub(crate) use self::jwks::Keys;
use crate::book::Caller;
use crate::model::Problem;

/// Tokens that a file may hold.
const MAX_TOKENS: usize = 10_000;
/// What a hashed token begins with.
const HASHED: &str = "sha256:";

/// A file that holds no tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("cannot read tokens from {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not as it should be. What it says is not repeated: it may be secret.
    #[error("{}, line {line}: expected `subject token`, the token plain or `sha256:` and its hash in hexadecimal", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// The tokens that are good, kept as hashes.
#[derive(Debug)]
pub(crate) struct Tokens(Vec<(Arc<str>, [u8; 32])>);

impl Tokens {
    /// Reads lines of subject and token; empty ones and those with `#` do not count.
    pub(crate) fn read(path: &Path) -> Result<Self, TokensError> {
        let text = std::fs::read_to_string(path).map_err(|source| TokensError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|line| TokensError::Malformed {
            path: path.to_owned(),
            line,
        })
    }

    fn parse(text: &str) -> Result<Self, usize> {
        let mut tokens = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let hash = match (words.next(), words.next(), words.next()) {
                (Some(subject), Some(token), None) => {
                    hash(token).map(|hash| (subject.into(), hash))
                }
                _ => None,
            };
            tokens.push(hash.ok_or(number + 1)?);
            if tokens.len() > MAX_TOKENS {
                return Err(number + 1);
            }
        }
        Ok(Self(tokens))
    }

    /// Whose token it is. Takes as long for one that is wrong as for one that is right.
    fn subject(&self, token: &str) -> Option<Arc<str>> {
        let given = digest(&SHA256, token.as_bytes());
        let mut found = None;
        for (subject, hash) in &self.0 {
            if verify_slices_are_equal(hash, given.as_ref()).is_ok() {
                found = Some(subject);
            }
        }
        found.cloned()
    }
}

fn hash(token: &str) -> Option<[u8; 32]> {
    match token.strip_prefix(HASHED) {
        None => digest(&SHA256, token.as_bytes()).as_ref().try_into().ok(),
        Some(text) if text.len() == 64 && text.is_ascii() => {
            let mut hash = [0; 32];
            for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
                *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
            }
            Some(hash)
        }
        Some(_) => None,
    }
}

/// How clients are known.
#[derive(Debug, Default)]
pub(crate) struct Door {
    pub(crate) tokens: Option<Tokens>,
    /// Those of the authorisation servers whose tokens are good, too.
    pub(crate) keys: Option<Keys>,
    pub(crate) trusted_proxies: Vec<IpNet>,
}

/// What a connection says of its client.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Of its certificate, if it had to show one.
    pub(crate) certificate: Option<Arc<str>>,
}

impl Door {
    /// Who sends a request with these headers.
    pub(crate) fn caller(&self, peer: &Peer, headers: &HeaderMap) -> Result<Caller, Problem> {
        let subject = if self.asks_for_tokens() {
            let token = bearer(headers).and_then(|token| self.bearer_of(token));
            let subject = token.or_else(|| peer.certificate.clone());
            Some(subject.ok_or_else(|| {
                Problem::new(
                    StatusCode::UNAUTHORIZED,
                    "a bearer token is needed that is good here",
                )
            })?)
        } else {
            peer.certificate.clone()
        };
        let address = self.address(peer.address, headers).to_string();
        Ok(Caller {
            address: address.into(),
            subject,
        })
    }

    /// Whether clients without a certificate need a token.
    pub(crate) fn asks_for_tokens(&self) -> bool {
        self.tokens.is_some() || self.keys.is_some()
    }

    fn bearer_of(&self, token: &str) -> Option<Arc<str>> {
        let listed = self.tokens.as_ref().and_then(|known| known.subject(token));
        listed.or_else(|| self.keys.as_ref()?.subject(token))
    }

    /// The address of the client itself: the nearest one that is no trusted proxy.
    fn address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let trusted = |address: &IpAddr| {
            self.trusted_proxies
                .iter()
                .any(|net| net.contains(&address.to_canonical()))
        };
        let mut nearest = peer.to_canonical();
        let forwarded = headers.get_all("x-forwarded-for").into_iter();
        let forwarded: Vec<_> = forwarded.filter_map(|value| value.to_str().ok()).collect();
        for hop in forwarded.join(",").rsplit(',') {
            if !trusted(&nearest) {
                break;
            }
            match hop.trim().parse::<IpAddr>() {
                Ok(address) => nearest = address.to_canonical(),
                Err(_) => break,
            }
        }
        nearest
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, http::HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    fn peer(address: &str) -> Peer {
        Peer {
            address: address.parse().unwrap(),
            certificate: None,
        }
    }

    #[test]
    fn tokens_say_who_it_is_plain_or_hashed() {
        // The hash of `secret`.
        let hash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        let text = format!("# comment\n\nalice one\nbob sha256:{hash}\n");
        let tokens = Tokens::parse(&text).unwrap();
        assert_eq!(tokens.subject("one").as_deref(), Some("alice"));
        assert_eq!(tokens.subject("secret").as_deref(), Some("bob"));
        assert_eq!(tokens.subject("two"), None);
        for (bad, line) in [("alice", 1), ("a b c", 1), ("a b\nc sha256:12", 2)] {
            assert_eq!(Tokens::parse(bad).unwrap_err(), line);
        }
    }

    #[test]
    fn without_a_good_token_nobody_gets_in() {
        let door = Door {
            tokens: Some(Tokens::parse("alice one").unwrap()),
            ..Door::default()
        };
        let caller =
            |value: &str| door.caller(&peer("10.0.0.1"), &headers(&[("authorization", value)]));
        assert_eq!(
            caller("Bearer one").unwrap().subject.as_deref(),
            Some("alice")
        );
        assert_eq!(
            caller("bearer one").unwrap().subject.as_deref(),
            Some("alice")
        );
        for bad in ["Bearer two", "Basic b25l", "one", "Bearer"] {
            assert_eq!(caller(bad).unwrap_err().status, StatusCode::UNAUTHORIZED);
        }
    }

    #[test]
    fn only_trusted_proxies_say_for_whom_they_ask() {
        let door = Door {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..Door::default()
        };
        let address = |from: &str, forwarded: &str| {
            let headers = headers(&[("x-forwarded-for", forwarded)]);
            door.caller(&peer(from), &headers)
                .unwrap()
                .address
                .to_string()
        };
        assert_eq!(address("1.1.1.1", "2.2.2.2"), "1.1.1.1");
        assert_eq!(address("10.0.0.1", "2.2.2.2"), "2.2.2.2");
        assert_eq!(address("10.0.0.1", "9.9.9.9, 2.2.2.2, 10.0.0.2"), "2.2.2.2");
        assert_eq!(address("10.0.0.1", "nonsense"), "10.0.0.1");
        assert_eq!(address("::ffff:1.1.1.1", ""), "1.1.1.1");
    }
}
