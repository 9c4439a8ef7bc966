//! The door: announcements as they come over the wire, checked and typed.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use edge_proto::rpc::{ComputerInfo, RouterInfo, computer_info};
use edge_transport::{Endpoint, EndpointError};

use crate::names::{Address, LambdaName, MAX_NAME_BYTES, NameError};
use crate::registry::{ComputerAnnouncement, Container, RouterAnnouncement};

/// Most containers that one computer may have.
pub(crate) const MAX_CONTAINERS: usize = 10_000;
/// A shorter lease is taken for this one: renewals have to survive a hiccup.
const MIN_LEASE: Duration = Duration::from_secs(1);
/// A longer lease is taken for this one: the dead have to be noticed.
pub(crate) const MAX_LEASE: Duration = Duration::from_secs(60);

/// Why an announcement is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("{field}: {source}")]
    Endpoint {
        field: &'static str,
        source: EndpointError,
    },
    #[error("{field}: {problem}, got '{endpoint}'")]
    Unreachable {
        field: &'static str,
        endpoint: Endpoint,
        problem: &'static str,
    },
    #[error("{field} has {bytes} bytes, at most {MAX_NAME_BYTES} are allowed")]
    TooLong { field: &'static str, bytes: usize },
    #[error("more than {MAX_CONTAINERS} containers announced")]
    TooManyContainers,
    #[error("container {index}: lambda: {source}")]
    Lambda { index: usize, source: NameError },
    #[error("container {index}: {field} has {bytes} bytes, at most {MAX_NAME_BYTES} are allowed")]
    Name {
        index: usize,
        field: &'static str,
        bytes: usize,
    },
}

const COMPUTER: &str = "edgeServerEndpoint";
const TABLE: &str = "forwardingTableEndpoint";

/// Checks an announcement that came from `peer`, whose address stands in for
/// an end-point that means "all interfaces".
pub(crate) fn computer(
    info: ComputerInfo,
    peer: Option<SocketAddr>,
) -> Result<ComputerAnnouncement, Invalid> {
    let address = address(COMPUTER, &info.edge_server_endpoint, peer)?.into();
    if info.containers.len() > MAX_CONTAINERS {
        return Err(Invalid::TooManyContainers);
    }
    let containers = info.containers.into_iter().enumerate();
    Ok(ComputerAnnouncement {
        address,
        containers: containers.map(container).collect::<Result<_, _>>()?,
        lease: lease(info.lease_ms),
        generation: info.generation,
    })
}

/// Checks the good-bye of a computer: who it is, and which generation of it.
pub(crate) fn removal(
    info: &ComputerInfo,
    peer: Option<SocketAddr>,
) -> Result<(Address, u64), Invalid> {
    let address = address(COMPUTER, &info.edge_server_endpoint, peer)?;
    Ok((address.into(), info.generation))
}

/// As [`computer`], for a router.
pub(crate) fn router(
    info: &RouterInfo,
    peer: Option<SocketAddr>,
) -> Result<RouterAnnouncement, Invalid> {
    Ok(RouterAnnouncement {
        address: address(COMPUTER, &info.edge_server_endpoint, peer)?.into(),
        table: address(TABLE, &info.forwarding_table_endpoint, peer)?,
        lease: lease(info.lease_ms),
        generation: info.generation,
    })
}

fn address(field: &'static str, text: &str, peer: Option<SocketAddr>) -> Result<Endpoint, Invalid> {
    if text.len() > MAX_NAME_BYTES {
        let bytes = text.len();
        return Err(Invalid::TooLong { field, bytes });
    }
    let endpoint: Endpoint = text
        .parse()
        .map_err(|source| Invalid::Endpoint { field, source })?;
    let unreachable = |problem| Invalid::Unreachable {
        field,
        endpoint: endpoint.clone(),
        problem,
    };
    if endpoint.port() == 0 {
        return Err(unreachable("nothing can be reached at port 0"));
    }
    if !endpoint.is_unspecified() {
        return Ok(endpoint);
    }
    let peer = peer.ok_or_else(|| unreachable("announce an address that others can reach"))?;
    let host: IpAddr = peer.ip().to_canonical();
    Ok(Endpoint::new(host, endpoint.port()).with_scheme(endpoint.scheme()))
}

fn container((index, container): (usize, computer_info::Container)) -> Result<Container, Invalid> {
    let lambda = LambdaName::try_from(container.lambda.as_str())
        .map_err(|source| Invalid::Lambda { index, source })?;
    for (field, text) in [
        ("name", &container.name),
        ("processor", &container.processor),
    ] {
        let bytes = text.len();
        if bytes > MAX_NAME_BYTES {
            return Err(Invalid::Name {
                index,
                field,
                bytes,
            });
        }
    }
    Ok(Container {
        name: container.name,
        processor: container.processor,
        lambda,
        workers: container.num_workers,
    })
}

fn lease(lease_ms: u32) -> Option<Duration> {
    let lease = Duration::from_millis(lease_ms.into());
    (lease_ms > 0).then(|| lease.clamp(MIN_LEASE, MAX_LEASE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "192.0.2.7:40000";

    fn info(endpoint: &str, lambdas: &[&str]) -> ComputerInfo {
        let container = |lambda: &&str| computer_info::Container {
            name: "cont".to_owned(),
            processor: "cpu".to_owned(),
            lambda: (*lambda).to_owned(),
            num_workers: 2,
        };
        ComputerInfo {
            edge_server_endpoint: endpoint.to_owned(),
            containers: lambdas.iter().map(container).collect(),
            ..ComputerInfo::default()
        }
    }

    fn refusal(info: ComputerInfo) -> String {
        computer(info, PEER.parse().ok()).unwrap_err().to_string()
    }

    #[test]
    fn an_end_point_that_means_all_interfaces_is_replaced_by_the_peers_address() {
        for (announced, peer, expected) in [
            ("0.0.0.0:6473", PEER, "192.0.2.7:6473"),
            ("[::]:6473", PEER, "192.0.2.7:6473"),
            ("0.0.0.0:6473", "[::ffff:192.0.2.7]:1", "192.0.2.7:6473"),
            ("0.0.0.0:6473", "[2001:db8::1]:1", "[2001:db8::1]:6473"),
            ("edge-1.example:6473", PEER, "edge-1.example:6473"),
        ] {
            let announcement = computer(info(announced, &[]), peer.parse().ok()).unwrap();
            assert_eq!(announcement.address.as_str(), expected);
        }
        let error = computer(info("0.0.0.0:1", &[]), None).unwrap_err();
        let text = "edgeServerEndpoint: announce an address that others can reach, got '0.0.0.0:1'";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn refusals_say_what_was_wrong_and_where() {
        for (refused, expected) in [
            (
                info("nowhere", &[]),
                "edgeServerEndpoint: invalid end-point 'nowhere': the port is missing",
            ),
            (info("h:0", &[]), "nothing can be reached at port 0"),
            (
                info("a%b:1", &[]),
                "the host has a character that no host name has",
            ),
            (
                info(&format!("{}:1", "h".repeat(300)), &[]),
                "edgeServerEndpoint has 302 bytes",
            ),
            (info("h:1", &["l0", ""]), "container 1: lambda: it is empty"),
            (
                info("h:1", &["x".repeat(256).as_str()]),
                "container 0: lambda: it has 256 bytes, at most 255",
            ),
            (
                info("h:1", &["l"; 10_001]),
                "more than 10000 containers announced",
            ),
        ] {
            let text = refusal(refused);
            assert!(text.contains(expected), "{text}");
        }
        let mut long = info("h:1", &["l0"]);
        long.containers[0].processor = "x".repeat(256);
        let text = refusal(long);
        assert!(
            text.contains("container 0: processor has 256 bytes"),
            "{text}"
        );

        let mut info = RouterInfo {
            edge_server_endpoint: "r:1".to_owned(),
            ..RouterInfo::default()
        };
        let error = router(&info, None).unwrap_err().to_string();
        assert!(
            error.contains("forwardingTableEndpoint: invalid end-point ''"),
            "{error}"
        );
        info.forwarding_table_endpoint = "0.0.0.0:2".to_owned();
        let announcement = router(&info, PEER.parse().ok()).unwrap();
        assert_eq!(announcement.table.to_string(), "192.0.2.7:2");
    }

    #[test]
    fn leases_are_kept_within_bounds_and_none_stays_none() {
        let seconds = |s| Some(Duration::from_secs(s));
        for (lease_ms, expected) in [
            (0, None),
            (1, seconds(1)),
            (10_000, seconds(10)),
            (u32::MAX, seconds(60)),
        ] {
            assert_eq!(lease(lease_ms), expected);
        }
    }
}
