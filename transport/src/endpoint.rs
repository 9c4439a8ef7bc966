//! An end-point as people write it: `host:port`, perhaps with the way to talk to it in front, parsed
//! once at the door.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How lambdas travel to an end-point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Nothing in front: gRPC over TCP, unless the client was told to do otherwise.
    #[default]
    Unsaid,
    /// `quic://`: one QUIC stream per lambda, as `proto/native-quic.md` describes it.
    Quic,
    /// `h3://`: gRPC over HTTP/3.
    H3,
}

impl Scheme {
    /// All that is written in front of host and port.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Unsaid => "",
            Self::Quic => "quic://",
            Self::H3 => "h3://",
        }
    }

    fn split(text: &str) -> (Self, &str) {
        [Self::Quic, Self::H3]
            .into_iter()
            .find_map(|scheme| Some((scheme, text.strip_prefix(scheme.prefix())?)))
            .unwrap_or((Self::Unsaid, text))
    }
}

/// Where a server listens or is reached: a host name or address, and a port, and how lambdas travel
/// there.
///
/// Written `host:port`, `quic://host:port` or `h3://host:port`, IPv6 addresses in brackets. Compared
/// as text: two names of one address are two end-points.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    text: String,
    port: u16,
    scheme: Scheme,
}

/// Why a text is no end-point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid end-point '{}': {reason}; expected host:port, for instance 127.0.0.1:6473",
    // It may come from a peer, and go into a log.
    text.escape_debug()
)]
pub struct EndpointError {
    text: String,
    reason: &'static str,
}

impl EndpointError {
    /// The text that is no end-point.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Endpoint {
    /// An end-point from its parts.
    pub fn new(host: impl fmt::Display, port: u16) -> Self {
        let host = host.to_string();
        let text = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let scheme = Scheme::Unsaid;
        Self { text, port, scheme }
    }

    /// The same place, reached in this way.
    #[must_use]
    pub fn with_scheme(self, scheme: Scheme) -> Self {
        Self {
            text: format!("{}{}", scheme.prefix(), self.authority()),
            port: self.port,
            scheme,
        }
    }

    /// Checks that a text is an end-point, for those who keep the text: it takes no memory.
    ///
    /// # Errors
    /// Those of the parser.
    pub fn check(text: &str) -> Result<(), EndpointError> {
        parsed(text).map(|_| ())
    }

    /// As people write it, with the scheme where there is one.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `host:port`, which is the authority of a URI.
    pub fn authority(&self) -> &str {
        &self.text[self.scheme.prefix().len()..]
    }

    /// How lambdas travel there.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host name or address, without brackets.
    pub fn host(&self) -> &str {
        let host = self
            .authority()
            .rsplit_once(':')
            .map_or("", |(host, _)| host);
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port; 0 only where a server may choose.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// True for the addresses that mean "all interfaces": good to listen on,
    /// useless to connect to.
    pub fn is_unspecified(&self) -> bool {
        self.host()
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_unspecified())
    }

    /// Checks that a server can be told to listen there: a scheme says how others reach it, and not
    /// what it serves.
    ///
    /// # Errors
    /// What to write instead.
    pub fn check_listening(&self) -> Result<(), String> {
        if self.scheme == Scheme::Unsaid {
            return Ok(());
        }
        let authority = self.authority();
        Err(format!(
            "{self} says how others reach it; to listen there, write {authority}, and --server-conf \
             type=quic, or type=both for gRPC over TCP beside it"
        ))
    }

    /// Checks that it can be the place of a controller, of tables or of states, which are served over
    /// TCP only.
    ///
    /// # Errors
    /// What to write instead.
    pub fn check_over_tcp(&self) -> Result<(), String> {
        if self.scheme == Scheme::Unsaid {
            return Ok(());
        }
        let authority = self.authority();
        Err(format!(
            "{self} is for lambdas; this is spoken over TCP only: write {authority}"
        ))
    }

    /// All addresses of this end-point. Blocks on name resolution unless the
    /// host is an address.
    ///
    /// # Errors
    /// If the name cannot be resolved.
    pub fn to_socket_addrs(&self) -> std::io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.host().parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        Ok((self.host(), self.port).to_socket_addrs()?.collect())
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip(), address.port())
    }
}

/// What a text says, if it is an end-point, or else why it is none.
fn parts(text: &str) -> Result<(Scheme, &str, u16), &'static str> {
    let (scheme, text) = Scheme::split(text);
    if text.contains("://") {
        return Err("the scheme is none of quic:// and h3://");
    }
    if text.is_empty() {
        return Err("it is empty");
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("']' is missing")?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err("no IPv6 address within the brackets");
            }
            (host, rest.strip_prefix(':').ok_or("the port is missing")?)
        }
        None => text.rsplit_once(':').ok_or("the port is missing")?,
    };
    if host.is_empty() {
        return Err("the host is missing");
    }
    if host.contains(':') && !text.starts_with('[') {
        return Err("an IPv6 address needs brackets");
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    if !host.bytes().all(allowed) {
        return Err("the host has a character that no host name has");
    }
    if !port.bytes().all(|byte| byte.is_ascii_digit()) || port.is_empty() {
        return Err("the port is no number");
    }
    let port = port.parse().map_err(|_| "the port is beyond 65535")?;
    Ok((scheme, host, port))
}

fn parsed(text: &str) -> Result<(Scheme, &str, u16), EndpointError> {
    parts(text).map_err(|reason| EndpointError {
        text: text.to_owned(),
        reason,
    })
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (scheme, host, port) = parsed(text)?;
        let endpoint = Self::new(host, port);
        Ok(match scheme {
            Scheme::Unsaid => endpoint,
            scheme => endpoint.with_scheme(scheme),
        })
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_points_are_printed_as_they_were_written() {
        for text in ["127.0.0.1:6473", "localhost:1", "[::1]:65535", "a-b.c_d:0"] {
            assert_eq!(text.parse::<Endpoint>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn the_scheme_is_part_of_the_name_and_not_of_the_place() {
        for (text, scheme, authority, host) in [
            ("a:1", Scheme::Unsaid, "a:1", "a"),
            ("quic://a:1", Scheme::Quic, "a:1", "a"),
            ("h3://[::1]:1", Scheme::H3, "[::1]:1", "::1"),
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.as_str(), text);
            assert_eq!(endpoint.scheme(), scheme);
            assert_eq!(endpoint.authority(), authority);
            assert_eq!((endpoint.host(), endpoint.port()), (host, 1));
            let plain = endpoint.with_scheme(Scheme::Unsaid);
            assert_eq!(plain.as_str(), authority);
        }
    }

    #[test]
    fn nobody_listens_at_a_scheme_and_it_leads_to_no_controller() {
        for (text, instead) in [
            ("quic://a:1", "write a:1,"),
            ("h3://[::]:1", "write [::]:1,"),
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            let problem = endpoint.check_listening().expect_err(text);
            assert!(problem.contains(instead), "{problem}");
            assert!(problem.contains("--server-conf type=quic"), "{problem}");
            let problem = endpoint.check_over_tcp().expect_err(text);
            assert!(
                problem.ends_with(instead.trim_end_matches(',')),
                "{problem}"
            );
            let plain = endpoint.with_scheme(Scheme::Unsaid);
            assert_eq!(plain.check_listening(), Ok(()));
            assert_eq!(plain.check_over_tcp(), Ok(()));
        }
    }

    #[test]
    fn errors_name_the_text_and_what_is_wrong() {
        let cases = [
            ("", "it is empty"),
            ("localhost", "the port is missing"),
            (":1", "the host is missing"),
            ("localhost:", "the port is no number"),
            ("localhost:x", "the port is no number"),
            ("localhost:+1", "the port is no number"),
            ("localhost:65536", "the port is beyond 65535"),
            ("::1:80", "an IPv6 address needs brackets"),
            ("[::1]", "the port is missing"),
            ("[::1", "']' is missing"),
            ("[localhost]:1", "no IPv6 address within the brackets"),
            ("a b:1", "the host has a character that no host name has"),
            ("a%b:1", "the host has a character that no host name has"),
            ("http://a:1", "the scheme is none of quic:// and h3://"),
            ("quic://", "it is empty"),
            ("quic://h3://a:1", "the scheme is none of quic:// and h3://"),
            ("h3://a", "the port is missing"),
        ];
        for (text, reason) in cases {
            let error = text.parse::<Endpoint>().expect_err(text);
            assert_eq!(Endpoint::check(text).expect_err(text), error);
            let error = error.to_string();
            assert!(error.contains(&format!("'{text}': {reason};")), "{error}");
        }
        let forged = "a\nINFO forged"
            .parse::<Endpoint>()
            .expect_err("no end-point");
        assert!(forged.to_string().contains(r"'a\nINFO forged'"), "{forged}");
    }

    #[test]
    fn whatever_is_accepted_is_the_authority_of_a_uri() {
        let odd = [
            "-:1",
            ".:1",
            "..:1",
            "_:1",
            "a..b:1",
            "1.2.3:1",
            "[::ffff:1.2.3.4]:1",
            "-_.:1",
            "quic://[::1]:1",
        ];
        for text in odd {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(Endpoint::check(text), Ok(()));
            endpoint
                .authority()
                .parse::<http::uri::Authority>()
                .expect(text);
        }
    }

    #[test]
    fn unspecified_addresses_are_recognised() {
        for (text, expected) in [
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("127.0.0.1:1", false),
        ] {
            assert_eq!(
                text.parse::<Endpoint>().expect(text).is_unspecified(),
                expected
            );
        }
    }
}
