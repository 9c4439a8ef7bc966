//! What QUIC runs on: tokio, with a socket that is read in fewer calls and wakes nobody in vain.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use quinn::udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncTimer, AsyncUdpSocket, TokioRuntime, UdpPoller};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::timer::Timer;

/// Bytes of datagrams that leave at once, with which a frame has less than 64 KiB (14 bytes of Ethernet, 40 of
/// IPv6, 8 of UDP). More of them Linux cuts up for its loopback and most network cards, and they arrive one by
/// one; more than 65,507 it refuses, which would look like loss.
const AT_ONCE: usize = 65_473;
/// Datagrams, or trains of them, that are asked for at the least, as long as no more arrive: room is
/// described for each that is asked for.
const FEW: usize = 4;

/// Tokio.
#[derive(Debug)]
pub(super) struct Runtime;

impl quinn::Runtime for Runtime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(Timer::new(at))
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        TokioRuntime.spawn(future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(Socket {
            state: UdpSocketState::new((&socket).into())?,
            io: watch(socket, Interest::READABLE)?,
            is_full: AtomicBool::new(false),
            asked_for: AtomicUsize::new(FEW),
        }))
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

/// Waits for what `interest` says of a socket.
#[expect(
    deprecated,
    reason = "what is to come in its place is unsafe, as it takes anything that has a number; a socket that \
              is owned is what it says it is"
)]
fn watch(socket: UdpSocket, interest: Interest) -> io::Result<AsyncFd<UdpSocket>> {
    AsyncFd::with_interest(socket, interest)
}

/// A socket that is not asked again where it has just said that there is no more: it gives fewer
/// datagrams than there is room for.
///
/// It is watched for datagrams only. A UDP socket tells of room for each datagram that its peer takes,
/// however much there has been before: one wake-up for each that leaves, while there is nothing to do.
#[derive(Debug)]
struct Socket {
    io: AsyncFd<UdpSocket>,
    state: UdpSocketState,
    /// It took nothing when it was asked last.
    is_full: AtomicBool,
    /// How many datagrams it is asked for.
    asked_for: AtomicUsize,
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable {
            socket: self,
            waiting: None,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let sent = self.send(transmit);
        let is_full = matches!(&sent, Err(error) if error.kind() == ErrorKind::WouldBlock);
        if is_full || self.is_full.load(Ordering::Relaxed) {
            self.is_full.store(is_full, Ordering::Relaxed);
        }
        sent
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut readable = ready!(self.io.poll_read_ready(cx))?;
            let asked_for = self.asked_for.load(Ordering::Relaxed);
            let most = buffers.len().min(asked_for);
            let buffers = &mut buffers[..most];
            let received = self.state.recv(self.io.get_ref().into(), buffers, metas);
            // It fails where nothing has arrived, or by what a peer's computer said of an earlier
            // datagram, which concerns nobody.
            match received {
                Ok(count) => {
                    if count < most {
                        // What arrives from now on is told anew: tokio forgets only what it knew before.
                        readable.clear_ready();
                    }
                    if let Some(other) = asked_for_next(asked_for, count) {
                        self.asked_for.store(other, Ordering::Relaxed);
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => readable.clear_ready(),
                Err(_) => {}
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }
}

impl Socket {
    /// Sends datagrams in as few calls as the system allows.
    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let socket = || self.io.get_ref().into();
        let Some(size) = transmit
            .segment_size
            .filter(|_| transmit.contents.len() > AT_ONCE)
        else {
            return self.state.send(socket(), transmit);
        };
        // Where there is no room for all, those that have left do so again, which does no harm.
        transmit
            .contents
            .chunks((AT_ONCE / size).max(1) * size)
            .try_for_each(|contents| {
                self.state.send(
                    socket(),
                    &Transmit {
                        contents,
                        destination: transmit.destination,
                        ecn: transmit.ecn,
                        segment_size: Some(size),
                        src_ip: transmit.src_ip,
                    },
                )
            })
    }
}

/// How many datagrams to ask for after so many were, and came; none: as many.
fn asked_for_next(asked_for: usize, came: usize) -> Option<usize> {
    if came == asked_for && asked_for < BATCH_SIZE {
        return Some((2 * asked_for).min(BATCH_SIZE));
    }
    (came < asked_for / 4 && asked_for > FEW).then(|| (asked_for / 2).max(FEW))
}

type Waiting = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

/// Tells one connection when the socket takes more.
struct Writable {
    socket: Arc<Socket>,
    waiting: Option<Waiting>,
}

impl fmt::Debug for Writable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Writable").field(&self.socket).finish()
    }
}

impl UdpPoller for Writable {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.is_none() {
            if !self.socket.is_full.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
            // Seldom: only for as long as there is no room.
            let socket = watch(self.socket.io.get_ref().try_clone()?, Interest::WRITABLE)?;
            self.waiting = Some(Box::pin(async move { socket.writable().await.map(drop) }));
        }
        let waiting = self.waiting.as_mut().expect("it has just been made");
        let ready = ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(ready)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    fn socket() -> Arc<Socket> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Arc::new(Socket {
            state: UdpSocketState::new((&socket).into()).unwrap(),
            io: watch(socket, Interest::READABLE).unwrap(),
            is_full: AtomicBool::new(false),
            asked_for: AtomicUsize::new(FEW),
        })
    }

    #[test]
    fn as_many_datagrams_are_asked_for_as_arrive() {
        let mut asked_for = FEW;
        let next = |came: usize| {
            asked_for = asked_for_next(asked_for, came.min(asked_for)).unwrap_or(asked_for);
            asked_for
        };
        let many = [1, 4, 8, 1000, 1000, 20, 8, 3, 3, 0, 0].map(next);
        assert_eq!(many, [4, 8, 16, 32, 32, 32, 32, 16, 8, 4, 4]);
    }

    #[tokio::test]
    async fn who_found_no_room_is_told_when_there_is_some() {
        let socket = socket();
        socket.is_full.store(true, Ordering::Relaxed);
        let mut poller = socket.clone().create_io_poller();
        poll_fn(|cx| poller.as_mut().poll_writable(cx))
            .await
            .unwrap();
        let transmit = Transmit {
            destination: socket.local_addr().unwrap(),
            ecn: None,
            contents: b"x",
            segment_size: None,
            src_ip: None,
        };
        socket.try_send(&transmit).unwrap();
        assert!(!socket.is_full.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn as_many_datagrams_as_leave_at_once_arrive_at_once() {
        const SIZE: usize = super::super::LARGEST_DATAGRAM as usize;
        let (from, to) = (socket(), socket());
        let many = AT_ONCE / SIZE;
        if from.max_transmit_segments() < many || to.max_receive_segments() < many {
            return;
        }
        let transmit = Transmit {
            destination: to.local_addr().unwrap(),
            ecn: None,
            contents: &vec![7; many * SIZE],
            segment_size: Some(SIZE),
            src_ip: None,
        };
        from.try_send(&transmit).unwrap();
        let mut room = vec![0; 1 << 16];
        let mut metas = [RecvMeta::default()];
        let mut buffers = [IoSliceMut::new(&mut room)];
        let count = poll_fn(|cx| to.poll_recv(cx, &mut buffers, &mut metas)).await;
        let [RecvMeta { len, stride, .. }] = metas;
        assert_eq!((count.unwrap(), len, stride), (1, many * SIZE, SIZE));
    }

    #[tokio::test]
    async fn datagrams_that_are_more_than_a_system_takes_at_once_all_leave() {
        const SIZE: usize = 10_000;
        let (from, to) = (socket(), UdpSocket::bind("127.0.0.1:0").unwrap());
        if from.max_transmit_segments() < 6 {
            return;
        }
        let contents = vec![7; 6 * SIZE + 6_000];
        let transmit = Transmit {
            destination: to.local_addr().unwrap(),
            ecn: None,
            contents: &contents,
            segment_size: Some(SIZE),
            src_ip: None,
        };
        from.try_send(&transmit).unwrap();
        to.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut room = vec![0; 2 * SIZE];
        let sizes = (0..7).map(|_| to.recv(&mut room).unwrap());
        assert_eq!(
            sizes.collect::<Vec<_>>(),
            [vec![SIZE; 6], vec![6_000]].concat()
        );
    }
}
