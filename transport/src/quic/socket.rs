//! A UDP socket with room for bursts.

use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Room for datagrams in each direction, in bytes: 20 ms at a gigabit per second.
const ROOM: usize = 4 << 20;

/// Binds a UDP socket exclusively.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    // Less room means more loss under load, and no more than that.
    let asked = [
        (socket.set_recv_buffer_size(ROOM), socket.recv_buffer_size()),
        (socket.set_send_buffer_size(ROOM), socket.send_buffer_size()),
    ];
    for (direction, (set, given)) in ["receive", "send"].into_iter().zip(asked) {
        let given = given.unwrap_or_default();
        if set.is_err() || given < ROOM {
            tell(direction, given);
        }
    }
    Ok(socket.into())
}

/// Told once per process: clients bind a socket per core.
fn tell(direction: &str, given: usize) {
    static TOLD: std::sync::Once = std::sync::Once::new();
    TOLD.call_once(|| {
        tracing::warn!(
            given,
            wanted = ROOM,
            "the system gives a UDP socket little room to {direction}: bursts are going to be lost; \
             raise net.core.rmem_max and net.core.wmem_max"
        );
    });
}
