//! URIs: where a device application is called back, and where an application is reached.

use std::fmt;
use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;

use super::MAX_URI_BYTES;

/// Where notifications go: an `http` or `https` URI with a host and nothing secret in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackUri {
    text: Arc<str>,
    uri: Uri,
}

impl CallbackUri {
    /// Parses a callback reference.
    ///
    /// # Errors
    /// What is wrong, for a person.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_URI_BYTES {
            return Err("must have at most 2048 bytes");
        }
        // A fragment is never sent.
        let sent = text.split_once('#').map_or(text, |(sent, _)| sent);
        let uri: Uri = sent.parse().map_err(|_| "must be a URI")?;
        if uri.scheme() != Some(&Scheme::HTTP) && uri.scheme() != Some(&Scheme::HTTPS) {
            return Err("must be a URI that begins with http:// or https://");
        }
        let authority = uri.authority().ok_or("must be a URI with a host")?;
        if authority.host().is_empty() {
            return Err("must be a URI with a host");
        }
        if authority.as_str().contains('@') {
            return Err("must not contain a user");
        }
        if authority.port_u16() == Some(0) || bad_port(authority.as_str()) {
            return Err("must be a URI with a port from 1 to 65535, or none");
        }
        Ok(Self {
            text: text.into(),
            uri,
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What is requested.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Scheme and authority: what a connection is to.
    pub fn origin(&self) -> String {
        let authority = self.uri.authority().map_or("", |a| a.as_str());
        format!("{}://{authority}", self.uri.scheme_str().unwrap_or("http"))
    }
}

/// Whether what follows the host is no port; `http` lets some such pass.
fn bad_port(authority: &str) -> bool {
    let after_host = match authority.rsplit_once(']') {
        Some((_, rest)) => rest,
        None => authority.find(':').map_or("", |at| &authority[at..]),
    };
    match after_host.strip_prefix(':') {
        Some(port) => port.parse::<u16>().is_err(),
        None => !after_host.is_empty(),
    }
}

impl fmt::Display for CallbackUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where an application instance is reached: `host:port` as the C++ reference writes it, or
/// a URI with a scheme. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(Arc<str>);

impl Reference {
    /// As it was given, without surrounding blanks. `None` if nothing is left, or it is too
    /// long or has characters that no URI has.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        (!text.is_empty() && text.len() <= MAX_URI_BYTES && printable).then(|| Self(text.into()))
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a URI: with `scheme` if it has none.
    pub fn to_uri(&self, scheme: &str) -> String {
        if self.0.contains("://") {
            self.0.to_string()
        } else {
            format!("{scheme}://{}", self.0)
        }
    }

    /// Without scheme and path: what is connected to.
    pub fn endpoint(&self) -> &str {
        let rest = self.0.split_once("://").map_or(&*self.0, |(_, rest)| rest);
        rest.split(['/', '?', '#']).next().unwrap_or(rest)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_are_http_uris_without_surprises() {
        for good in [
            "http://a",
            "https://a:8080/x?y=z",
            "http://[::1]:80/",
            "HTTP://a/b#c",
        ] {
            assert_eq!(
                CallbackUri::parse(good).map(|u| u.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "",
            "a",
            "/x",
            "a:1",
            "ftp://a",
            "file:///etc",
            "http://",
            "http:///x",
            "http://u:p@a/",
            "http://a:0/",
            "http://a:99999/",
            "http://a:x/",
            "http://a b/",
            "http://[::1/",
            "gopher://a",
        ] {
            assert!(CallbackUri::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn references_may_lack_a_scheme() {
        let bare = Reference::parse(" 127.0.0.1:10000 ").unwrap();
        assert_eq!(bare.to_uri("grpc"), "grpc://127.0.0.1:10000");
        assert_eq!(bare.endpoint(), "127.0.0.1:10000");
        let full = Reference::parse("https://host:1/p").unwrap();
        assert_eq!(
            (full.to_uri("grpc").as_str(), full.endpoint()),
            ("https://host:1/p", "host:1")
        );
        assert_eq!(Reference::parse("a b"), None);
        assert_eq!(Reference::parse(""), None);
    }
}
