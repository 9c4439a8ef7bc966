//! A listening socket that nobody else has.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::Endpoint;

/// A bound port, not yet served: binding all ports of a process before
/// starting any of its servers lets it fail without side effects.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: TcpListener,
    address: SocketAddr,
}

/// Why a port could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("could not bind to {endpoint}")]
pub struct BindError {
    endpoint: Endpoint,
    source: std::io::Error,
}

impl Listener {
    /// Binds `endpoint` exclusively: unlike with `SO_REUSEPORT`, a second
    /// process on the same port fails at once instead of taking a share of
    /// the connections. Port 0 picks a free one.
    ///
    /// # Errors
    /// If the name cannot be resolved, or none of its addresses be bound.
    pub fn bind(endpoint: &Endpoint) -> Result<Self, BindError> {
        let error = |source| BindError {
            endpoint: endpoint.clone(),
            source,
        };
        let mut last = std::io::Error::other("the name has no address");
        for address in endpoint.to_socket_addrs().map_err(error)? {
            match listen(address) {
                Ok(socket) => {
                    let address = socket.local_addr().map_err(error)?;
                    return Ok(Self { socket, address });
                }
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
