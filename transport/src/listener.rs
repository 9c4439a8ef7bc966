//! Listening sockets that nobody else has.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{Endpoint, Scheme, quic};

/// A bound port, not yet served: binding all ports of a process before
/// starting any of its servers lets it fail without side effects.
#[derive(Debug)]
pub struct Listener {
    pub(crate) tcp: Option<TcpListener>,
    pub(crate) udp: Option<UdpSocket>,
    address: SocketAddr,
}

/// What a port is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listens {
    /// gRPC over TCP.
    #[default]
    #[serde(rename = "grpc")]
    Tcp,
    /// QUIC, natively and as HTTP/3.
    #[serde(rename = "quic")]
    Udp,
    /// Both, on the same number.
    Both,
}

impl Listens {
    /// How others reach the port that are not told anything else.
    pub fn scheme(self) -> Scheme {
        match self {
            Self::Tcp | Self::Both => Scheme::Unsaid,
            Self::Udp => Scheme::Quic,
        }
    }

    /// Whether TCP is served.
    pub fn on_tcp(self) -> bool {
        self != Self::Udp
    }

    /// Whether QUIC is served.
    pub fn on_udp(self) -> bool {
        self != Self::Tcp
    }
}

/// Why a port could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("could not bind to {endpoint}")]
pub struct BindError {
    endpoint: Endpoint,
    source: std::io::Error,
}

impl Listener {
    /// Binds the TCP port of `endpoint` exclusively: unlike with `SO_REUSEPORT`, a second
    /// process on the same port fails at once instead of taking a share of
    /// the connections. Port 0 picks a free one.
    ///
    /// # Errors
    /// If the name cannot be resolved, or none of its addresses be bound, or if it has a scheme, which
    /// nobody listens at.
    pub fn bind(endpoint: &Endpoint) -> Result<Self, BindError> {
        Self::bind_for(endpoint, Listens::Tcp)
    }

    /// As [`Self::bind`], of the ports that `listens` says. Port 0 picks one that is free for both.
    ///
    /// # Errors
    /// Those of [`Self::bind`].
    pub fn bind_for(endpoint: &Endpoint, listens: Listens) -> Result<Self, BindError> {
        let error = |source| BindError {
            endpoint: endpoint.clone(),
            source,
        };
        if endpoint.scheme() != Scheme::Unsaid {
            let text = "it says how others reach it; to listen there, write host:port";
            return Err(error(std::io::Error::other(text)));
        }
        let mut last = std::io::Error::other("the name has no address");
        for address in endpoint.to_socket_addrs().map_err(error)? {
            match ports(address, listens) {
                Ok(listener) => return Ok(listener),
                Err(source) => last = source,
            }
        }
        Err(error(last))
    }

    /// The address with the port that was picked.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

fn ports(mut address: SocketAddr, listens: Listens) -> std::io::Result<Listener> {
    /// Numbers that are tried where any would do, as somebody else may have the UDP port.
    const TRIES: usize = 16;
    let is_free_to_choose = address.port() == 0;
    for tries in 1.. {
        let tcp = match listens.on_tcp() {
            true => Some(listen(address)?),
            false => None,
        };
        if let Some(tcp) = &tcp {
            address = tcp.local_addr()?;
        }
        let udp = match listens.on_udp().then(|| quic::bind(address)) {
            None => None,
            Some(Ok(udp)) => Some(udp),
            Some(Err(_)) if is_free_to_choose && tcp.is_some() && tries < TRIES => {
                address.set_port(0);
                continue;
            }
            Some(Err(error)) => return Err(error),
        };
        if let Some(udp) = &udp {
            address = udp.local_addr()?;
        }
        return Ok(Listener { tcp, udp, address });
    }
    unreachable!("the last try returns")
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    const BACKLOG: i32 = 4096;
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Only lets a restarted process bind while old connections are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
