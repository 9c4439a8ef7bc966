//! Connections: bytes are delayed and slowed down, and none of them is lost.
//!
//! A chunk of bytes stands for a packet. Where a datagram would be dropped, reading stops until
//! there is room, so that the sender slows down. Establishing a connection takes a round trip, as
//! it would on such a path.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edge_client::pacer::Pacer;
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;

use super::link::Fate;
use super::path::{Clock, Direction};

/// Connections at the same time; the next ones wait in the system's queue.
const MOST_CONNECTIONS: u64 = 256;
/// File descriptors of one: a socket to each end and, in each direction, a timer of whoever reads and one of
/// whoever writes.
const DESCRIPTORS: u64 = 6;
/// File descriptors of everything else.
const OTHER_DESCRIPTORS: u64 = 64;
/// What fits into a packet of 1500 bytes, with the options that Linux sends.
const CHUNK: usize = 1448;
/// Chunks of one connection under way; the link may hold fewer.
const MOST_CHUNKS: usize = 4096;
/// After a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(10);
/// For a connection to the target.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a connection needs to know.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub(super) target: SocketAddr,
    pub(super) up: Direction,
    pub(super) down: Direction,
    pub(super) clock: Clock,
    /// What a connection takes to be established.
    pub(super) round_trip: Duration,
}

/// Takes connections until it is dropped.
pub(super) async fn carry(listener: TcpListener, path: Path) {
    let room = Arc::new(Semaphore::new(room_within(descriptors())));
    let mut connections = JoinSet::new();
    loop {
        let permit = room.clone().acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        tokio::select! {
            accepted = listener.accept() => {
                // An error concerns the connection that was to be accepted, or all of them, for as long as
                // the process has no file descriptor left.
                let Ok((client, _)) = accepted else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let path = path.clone();
                connections.spawn(async move {
                    // How a connection fails is for its ends to see.
                    let _ended = connection(client, path).await;
                    drop(permit);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// How many file descriptors this process may have, which has raised its limit as far as it can.
fn descriptors() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Connections that so many descriptors are enough for; none is no limit.
fn room_within(descriptors: Option<u64>) -> usize {
    let room = descriptors.map_or(MOST_CONNECTIONS, |descriptors| {
        descriptors.saturating_sub(OTHER_DESCRIPTORS) / DESCRIPTORS
    });
    room.clamp(1, MOST_CONNECTIONS) as usize
}

async fn connection(client: TcpStream, path: Path) -> io::Result<()> {
    let established = path.clock.now() + path.round_trip;
    let target = connect(path.target).await?;
    client.set_nodelay(true)?;
    target.set_nodelay(true)?;
    Pacer::new()?.until(path.clock.instant(established)).await?;
    let (from_client, to_client) = client.into_split();
    let (from_target, to_target) = target.into_split();
    // An error in one direction ends both.
    tokio::try_join!(
        one_way(from_client, to_target, &path.up, path.clock),
        one_way(from_target, to_client, &path.down, path.clock),
    )?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is what bounds it, and there is no protocol to speak"
)]
async fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let connected = tokio::time::timeout(PATIENCE, TcpStream::connect(target)).await;
    connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn one_way(
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    link: &Direction,
    clock: Clock,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(MOST_CHUNKS);
    tokio::try_join!(read(from, sender, link, clock), write(to, receiver, clock))?;
    Ok(())
}

type Chunk = (Duration, Box<[u8]>);

async fn read(
    mut from: impl AsyncRead + Unpin,
    chunks: Sender<Chunk>,
    link: &Direction,
    clock: Clock,
) -> io::Result<()> {
    let pacer = Pacer::new()?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let arrives = loop {
            let now = clock.now();
            let room_at = {
                let mut link = link.lock();
                match link.room_at(now) {
                    Some(at) => at,
                    None => match link.offer(now, length) {
                        Fate::Arrives(at) => break at,
                        Fate::Lost | Fate::Dropped => {
                            unreachable!("there was room, and links of connections lose nothing")
                        }
                    },
                }
            };
            pacer.until(clock.instant(room_at)).await?;
        };
        if chunks
            .send((arrives, buffer[..length].into()))
            .await
            .is_err()
        {
            return Ok(());
        }
    }
}

async fn write(
    mut to: impl AsyncWrite + Unpin,
    mut chunks: Receiver<Chunk>,
    clock: Clock,
) -> io::Result<()> {
    let pacer = Pacer::new()?;
    while let Some((arrives, bytes)) = chunks.recv().await {
        pacer.until(clock.instant(arrives)).await?;
        to.write_all(&bytes).await?;
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_connections_than_descriptors_for_them() {
        assert_eq!(room_within(None), 256);
        assert_eq!(room_within(Some(64 + 6 * 256)), 256);
        assert_eq!(room_within(Some(1_000_000)), 256);
        assert_eq!(room_within(Some(1024)), 160);
        assert_eq!(room_within(Some(10)), 1, "whoever has hardly any tries");
    }
}
