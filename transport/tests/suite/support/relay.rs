//! A path between a client and a server that may be cut, or slow.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Passes datagrams on between one client and a server, remembers those of the client, and may stop.
pub struct Relay {
    pub address: SocketAddr,
    pub of_client: Arc<Mutex<Vec<Vec<u8>>>>,
    pub is_cut: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
}

impl Relay {
    pub fn new(server: SocketAddr) -> Self {
        Self::slow(server, Duration::ZERO)
    }

    /// One that takes so long for each byte of the server.
    pub fn slow(server: SocketAddr, per_byte: Duration) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        let relay = Self {
            address: socket.local_addr().unwrap(),
            of_client: Arc::default(),
            is_cut: Arc::default(),
            is_over: Arc::default(),
        };
        let (of_client, is_cut) = (relay.of_client.clone(), relay.is_cut.clone());
        let is_over = relay.is_over.clone();
        std::thread::spawn(move || {
            let mut client = None;
            let mut datagram = vec![0; 65_536];
            while !is_over.load(Ordering::SeqCst) {
                let Ok((length, from)) = socket.recv_from(&mut datagram) else {
                    continue;
                };
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let to = if from == server {
                    std::thread::sleep(per_byte * u32::try_from(length).unwrap());
                    client
                } else {
                    of_client.lock().unwrap().push(datagram[..length].to_vec());
                    client = Some(from);
                    Some(server)
                };
                if let Some(to) = to {
                    socket.send_to(&datagram[..length], to).unwrap();
                }
            }
        });
        relay
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}
