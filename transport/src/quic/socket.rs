//! A UDP socket with room for bursts.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Once;

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
    if let Some(short) = make_room(&socket, ROOM) {
        static TOLD: Once = Once::new();
        tell(&TOLD, short);
    }
    Ok(socket.into())
}

/// A direction in which there is less room than wanted, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Short {
    direction: &'static str,
    given: usize,
    wanted: usize,
}

/// Asks the system for room in both directions, and returns where it does not give so much.
fn make_room(socket: &Socket, wanted: usize) -> Option<Short> {
    let asked = [
        (
            "receive",
            socket.set_recv_buffer_size(wanted),
            socket.recv_buffer_size(),
        ),
        (
            "send",
            socket.set_send_buffer_size(wanted),
            socket.send_buffer_size(),
        ),
    ];
    asked.into_iter().find_map(|(direction, set, given)| {
        let given = given.unwrap_or_default();
        (set.is_err() || given < wanted).then_some(Short {
            direction,
            given,
            wanted,
        })
    })
}

/// Told once per process: clients bind a socket per core.
fn tell(told: &Once, short: Short) {
    let Short {
        direction,
        given,
        wanted,
    } = short;
    told.call_once(|| {
        tracing::warn!(
            given,
            wanted,
            "the system gives a UDP socket little room to {direction}: bursts are going to be lost; \
             raise net.core.rmem_max and net.core.wmem_max"
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Seek as _;
    use std::sync::Arc;
    use tracing::subscriber::with_default;

    fn socket() -> Socket {
        Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap()
    }

    #[test]
    fn what_the_system_refuses_is_known() {
        assert_eq!(make_room(&socket(), 16_384), None);
        // More than any system allows.
        let wanted = 1 << 30;
        let short = make_room(&socket(), wanted).unwrap();
        assert_eq!((short.direction, short.wanted), ("receive", wanted));
        assert!((1..wanted).contains(&short.given), "{short:?}");
    }

    #[test]
    fn that_is_told_once_with_what_would_help() {
        let log = Arc::new(tempfile::tempfile().unwrap());
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(Arc::clone(&log))
            .finish();
        let short = Short {
            direction: "send",
            given: 425_984,
            wanted: ROOM,
        };
        let told = Once::new();
        with_default(subscriber, || (0..3).for_each(|_| tell(&told, short)));
        (&*log).rewind().unwrap();
        let text = std::io::read_to_string(&*log).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in ["WARN", "to send", "given=425984", "net.core.wmem_max"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
