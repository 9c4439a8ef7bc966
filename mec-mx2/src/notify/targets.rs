//! Where notifications may go, so that nobody reaches into a network through this server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Which addresses may be called back: public ones, those listed, and the address that a
/// context was created from. Never those that are no single host; and the loopback only if
/// the server itself is there and the context was created from there, or it is listed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Targets {
    pub(crate) loopback: bool,
    pub(crate) allow: Vec<IpNet>,
}

impl Targets {
    /// Whether a context created from `creator` may be called back at `address`.
    pub(crate) fn admit(&self, address: IpAddr, creator: Option<IpAddr>) -> bool {
        let address = address.to_canonical();
        if is_nobody(address) {
            return false;
        }
        let listed = self.allow.iter().any(|net| net.contains(&address));
        if listed {
            return true;
        }
        if address.is_loopback() {
            // Behind a proxy of this machine, the server is there and its clients are not.
            return self.loopback
                && creator.is_some_and(|creator| creator.to_canonical().is_loopback());
        }
        creator.is_some_and(|creator| creator.to_canonical() == address) || is_public(address)
    }
}

/// No address of one host.
fn is_nobody(address: IpAddr) -> bool {
    address.is_unspecified()
        || address.is_multicast()
        || matches!(address, IpAddr::V4(v4) if v4.is_broadcast() || v4.octets()[0] == 0)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The blocks of the IANA registry for special purposes are not.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240)
}

/// Global unicast, unless a tunnel to somewhere else.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let tunnel = first == 0x2002 || (first == 0x2001 && second < 0x200);
    let documentation =
        (first == 0x2001 && second == 0xdb8) || (first == 0x3fff && second < 0x1000);
    first & 0xe000 == 0x2000 && !tunnel && !documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(targets: &Targets, address: &str) -> bool {
        targets.admit(address.parse().unwrap(), None)
    }

    #[test]
    fn only_public_addresses_are_called_without_further_ado() {
        let targets = Targets::default();
        for public in ["8.8.8.8", "2a00:1450::1", "::ffff:8.8.8.8"] {
            assert!(admits(&targets, public), "{public}");
        }
        for inside in [
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "192.0.0.1",
            "198.18.0.1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "::",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(!admits(&targets, inside), "{inside}");
        }
    }

    #[test]
    fn who_is_inside_already_may_be_called_there() {
        let local = Targets {
            loopback: true,
            allow: Vec::new(),
        };
        for creator in ["127.0.0.1", "::1", "::ffff:127.0.0.9"] {
            for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
                assert!(local.admit(here.parse().unwrap(), creator.parse().ok()));
            }
        }
        for creator in [None, "8.8.8.8".parse().ok()] {
            assert!(!local.admit("127.0.0.1".parse().unwrap(), creator));
        }
        assert!(!admits(&local, "10.0.0.1"));
        let listed = Targets {
            loopback: false,
            allow: vec!["10.0.0.0/8".parse().unwrap()],
        };
        assert!(admits(&listed, "10.1.2.3"));
        assert!(!admits(&listed, "192.168.0.1"));
    }

    #[test]
    fn a_device_may_be_called_where_it_called_from() {
        let targets = Targets::default();
        let device: IpAddr = "192.168.0.7".parse().unwrap();
        assert!(targets.admit(device, Some(device)));
        assert!(!targets.admit("192.168.0.8".parse().unwrap(), Some(device)));
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        assert!(!targets.admit(loopback, Some(loopback)));
    }
}
