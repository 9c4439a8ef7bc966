//! Datagrams: delayed, lost, reordered, dropped; a socket of its own towards the target for each
//! client, so that answers find their way.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use edge_client::pacer::Pacer;
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::line::Line;
use super::link::Fate;
use super::path::{Clock, Direction};

/// Clients with a socket of their own; a new one beyond that takes the place of the one that has
/// been silent for the longest time.
const MOST_CLIENTS: usize = 256;
/// Largest datagram of UDP.
const LARGEST: usize = 65_535;
/// So that bursts do not get lost before they come to the link; the system may give less.
const BUFFER: usize = 4 << 20;

/// Carries datagrams from `socket` to `target` and back until it is dropped or its socket fails.
pub(super) async fn carry(
    socket: UdpSocket,
    target: SocketAddr,
    up: Direction,
    down: Direction,
    clock: Clock,
) -> io::Result<()> {
    enlarge(&socket);
    let socket = Arc::new(socket);
    let mut clients = Clients {
        known: HashMap::new(),
        target,
        down,
        clock,
        listener: socket.clone(),
    };
    let pacer = Pacer::new()?;
    let mut line: Line<(Arc<UdpSocket>, Box<[u8]>)> = Line::new();
    let mut buffer = vec![0; LARGEST];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                // An error is an ICMP message about a client that is gone.
                let Ok((length, from)) = received else { continue };
                // Without a socket for it the datagram is lost, as at any host without resources.
                let Ok(towards) = clients.socket_of(from).await else { continue };
                if let Fate::Arrives(at) = up.lock().offer(clock.now(), length) {
                    line.push(at, (towards, buffer[..length].into()));
                }
            }
            arrived = wait(&pacer, &line, clock) => arrived?,
        }
        while let Some((_, (towards, datagram))) = line.pop(clock.now()) {
            // An error is an ICMP message about a datagram before it.
            let _sent = towards.send(&datagram).await;
        }
    }
}

/// Waits for the next arrival; for ever if nothing is under way.
async fn wait<T>(pacer: &Pacer, line: &Line<T>, clock: Clock) -> io::Result<()> {
    match line.next_arrival() {
        Some(at) => pacer.until(clock.instant(at)).await,
        None => std::future::pending().await,
    }
}

fn enlarge(socket: &UdpSocket) {
    let socket = SockRef::from(socket);
    let _given = (
        socket.set_recv_buffer_size(BUFFER),
        socket.set_send_buffer_size(BUFFER),
    );
}

#[derive(Debug)]
struct Clients {
    known: HashMap<SocketAddr, Client>,
    target: SocketAddr,
    down: Direction,
    clock: Clock,
    listener: Arc<UdpSocket>,
}

#[derive(Debug)]
struct Client {
    towards: Arc<UdpSocket>,
    heard: Instant,
    back: JoinHandle<io::Result<()>>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.back.abort();
    }
}

impl Clients {
    async fn socket_of(&mut self, client: SocketAddr) -> io::Result<Arc<UdpSocket>> {
        if let Some(known) = self.known.get_mut(&client) {
            known.heard = Instant::now();
            return Ok(known.towards.clone());
        }
        if self.known.len() >= MOST_CLIENTS {
            let silent = self.known.iter().min_by_key(|(_, client)| client.heard);
            if let Some(silent) = silent.map(|(address, _)| *address) {
                self.known.remove(&silent);
            }
        }
        let any: SocketAddr = match self.target {
            SocketAddr::V4(_) => ([0; 4], 0).into(),
            SocketAddr::V6(_) => ([0; 16], 0).into(),
        };
        let towards = UdpSocket::bind(any).await?;
        towards.connect(self.target).await?;
        enlarge(&towards);
        let towards = Arc::new(towards);
        let back = tokio::spawn(back(
            towards.clone(),
            self.listener.clone(),
            client,
            self.down.clone(),
            self.clock,
        ));
        let entry = Client {
            towards: towards.clone(),
            heard: Instant::now(),
            back,
        };
        self.known.insert(client, entry);
        Ok(towards)
    }
}

/// Carries answers to one client.
async fn back(
    from: Arc<UdpSocket>,
    listener: Arc<UdpSocket>,
    client: SocketAddr,
    down: Direction,
    clock: Clock,
) -> io::Result<()> {
    let pacer = Pacer::new()?;
    let mut line: Line<Box<[u8]>> = Line::new();
    let mut buffer = vec![0; LARGEST];
    loop {
        tokio::select! {
            received = from.recv(&mut buffer) => {
                // An error is an ICMP message: nobody listens there at the moment.
                let Ok(length) = received else { continue };
                if let Fate::Arrives(at) = down.lock().offer(clock.now(), length) {
                    line.push(at, buffer[..length].into());
                }
            }
            arrived = wait(&pacer, &line, clock) => arrived?,
        }
        while let Some((_, datagram)) = line.pop(clock.now()) {
            let _sent = listener.send_to(&datagram, client).await;
        }
    }
}
