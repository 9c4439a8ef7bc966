//! Who a client is, and what it may do.

mod file;

use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edge_daemon::Secret;
use http::HeaderMap;
use http::header::AUTHORIZATION;

pub use self::file::CredentialsError;
pub(crate) use self::file::{Credentials, read};

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// List and get.
    Read,
    /// Invoke actions.
    Invoke,
    /// Register and delete.
    Write,
}

/// The scopes of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scopes(u8);

impl Scopes {
    pub(crate) const ALL: Self = Self(0b111);
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn with(self, scope: Scope) -> Self {
        Self(self.0 | 1 << scope as u8)
    }

    pub(crate) fn has(self, scope: Scope) -> bool {
        self.0 & 1 << scope as u8 != 0
    }
}

/// Bounds of a namespace that its credentials give; 0: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) invocations_per_minute: u32,
    pub(crate) concurrent_invocations: u32,
}

impl Allowance {
    pub(crate) fn is_unbounded(self) -> bool {
        self.invocations_per_minute == 0 && self.concurrent_invocations == 0
    }
}

/// A client that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) namespace: Arc<str>,
    pub(crate) scopes: Scopes,
    pub(crate) allowance: Allowance,
    /// May see every namespace, because nobody is asked who they are.
    pub(crate) anywhere: bool,
}

/// Tells clients apart.
#[derive(Debug)]
pub(crate) enum Doorkeeper {
    /// Anybody is this one.
    Open(Identity),
    /// Those who know a key of the file.
    Credentials(ArcSwap<Credentials>),
}

impl Doorkeeper {
    /// Who sent a request with these headers; `None` if it says nothing or nothing true.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> Option<Identity> {
        match self {
            Self::Open(anybody) => Some(anybody.clone()),
            Self::Credentials(credentials) => {
                let pair = Pair::of(headers)?;
                credentials.load().find(&pair.user, &pair.key)
            }
        }
    }
}

/// Who somebody says to be, and the key that is to prove it.
#[derive(PartialEq, Eq)]
pub(crate) struct Pair {
    user: String,
    key: String,
}

impl Pair {
    /// `uuid:key`, or the base64 form of it.
    pub(crate) fn parse(secret: &Secret) -> Option<Self> {
        let text = secret.expose();
        if text.contains(':') {
            Self::plain(text)
        } else {
            Self::encoded(text)
        }
    }

    fn encoded(token: &str) -> Option<Self> {
        Self::plain(std::str::from_utf8(&STANDARD.decode(token).ok()?).ok()?)
    }

    fn plain(text: &str) -> Option<Self> {
        let (user, key) = text.split_once(':')?;
        let (user, key) = (user.to_owned(), key.to_owned());
        (!user.is_empty() && !key.is_empty()).then_some(Self { user, key })
    }

    /// What a request says in `Authorization: Basic …`.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        let basic = scheme.eq_ignore_ascii_case("basic");
        basic.then(|| Self::encoded(token.trim())).flatten()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn parsed(value: &str) -> Option<(String, String)> {
        let value = HeaderValue::from_str(value).unwrap();
        let pair = Pair::of(&HeaderMap::from_iter([(AUTHORIZATION, value)]))?;
        Some((pair.user, pair.key))
    }

    #[test]
    fn basic_credentials_are_user_colon_key_in_base64() {
        let token = STANDARD.encode("user:k:ey");
        let both = Some(("user".to_owned(), "k:ey".to_owned()));
        assert_eq!(parsed(&format!("Basic {token}")), both);
        assert_eq!(parsed(&format!("basic  {token}")), both);
    }

    #[test]
    fn anything_else_is_nobody() {
        let without_colon = STANDARD.encode("user");
        let no_text = STANDARD.encode(b"\xff:\xff");
        for value in [
            "",
            "Basic",
            "Basic %%%",
            "Bearer abc",
            &format!("Basic {without_colon}"),
            &format!("Basic {no_text}"),
        ] {
            assert_eq!(parsed(value), None, "{value}");
        }
        assert!(Pair::of(&HeaderMap::new()).is_none());
    }
}
