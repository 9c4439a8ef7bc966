//! Whether two servers of one program would listen at the same place.

use std::net::Ipv4Addr;

use edge_daemon::admin::AdminConfig;

use super::{ADMIN_PORT, Config, DISPATCHER_ADMIN_PORT};

/// What a server listens at: the key that says so, host and port.
type Place<'a> = (&'static str, &'a str, u16);

impl Config {
    /// Two servers that are to listen at the same place, if there are: key and problem.
    pub(crate) fn check_places(&self) -> Result<(), (&'static str, String)> {
        let (server, tables) = (&self.server.endpoint, &self.tables.endpoint);
        let mut places = vec![("tables.endpoint", tables.host(), tables.port())];
        if self.server.transport.on_tcp() {
            places.push(("server.endpoint", server.host(), server.port()));
        }
        // A broker goes without an admin endpoint of its own choice.
        let is_own = [ADMIN_PORT, DISPATCHER_ADMIN_PORT].map(AdminConfig::on_port);
        if let Some((host, port)) = self.admin.endpoint.host_and_port()
            && !is_own.contains(&self.admin)
        {
            places.push(("admin.endpoint", host, port));
        }
        match clash(&places) {
            Some(((other, ..), (key, host, port))) => {
                Err((key, format!("{host}:{port} is taken by {other}")))
            }
            None => Ok(()),
        }
    }
}

/// The first pair of servers of which only one could listen.
fn clash<'a>(places: &[Place<'a>]) -> Option<(Place<'a>, Place<'a>)> {
    let pairs = places.iter().enumerate().flat_map(|(index, one)| {
        let others = places.iter().skip(index + 1);
        others.map(move |other| (*one, *other))
    });
    pairs.into_iter().find(|(one, other)| {
        let ((_, one, port), (_, other, other_port)) = (one, other);
        *port != 0 && port == other_port && overlap(one, other)
    })
}

/// Whether they are certain to be addresses of the same machine that exclude each other.
fn overlap(one: &str, other: &str) -> bool {
    let v4 = |host: &str| match host {
        "localhost" => Some(Ipv4Addr::LOCALHOST),
        _ => host.parse::<Ipv4Addr>().ok(),
    };
    match (v4(one), v4(other)) {
        (Some(one), Some(other)) => one == other || one.is_unspecified() || other.is_unspecified(),
        _ => one.eq_ignore_ascii_case(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn do_clash(one: &str, other: &str) -> bool {
        let places = [("a", one, 1), ("b", "10.0.0.9", 1), ("c", other, 1)];
        clash(&places).is_some_and(|((one, ..), (other, ..))| (one, other) == ("a", "c"))
    }

    #[test]
    fn the_same_host_by_any_name_and_port_is_the_same_place() {
        for (one, other) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", "localhost"),
            ("::1", "::1"),
            ("Host", "host"),
        ] {
            assert!(do_clash(one, other), "{one} {other}");
        }
        for (one, other) in [("127.0.0.1", "127.0.0.2"), ("::1", "127.0.0.1"), ("a", "b")] {
            assert!(!do_clash(one, other), "{one} {other}");
        }
        assert!(clash(&[("a", "0.0.0.0", 1), ("b", "10.0.0.9", 1)]).is_some());
    }

    #[test]
    fn other_ports_are_other_places_and_nobody_knows_which_0_is() {
        assert!(clash(&[("a", "h", 1), ("b", "h", 2)]).is_none());
        assert!(clash(&[("a", "h", 0), ("b", "h", 0)]).is_none());
    }
}
