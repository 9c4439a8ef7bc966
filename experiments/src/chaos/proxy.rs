//! A TCP proxy between router and computer, which mistreats connections as it is told.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use edge_transport::Endpoint;
use rand::{Rng as _, SeedableRng as _};
use rand_pcg::Pcg64;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Connections that the kernel accepts on its own while the proxy accepts them, too.
const BACKLOG: i32 = 1024;

/// Longest time until a computer has accepted a connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is done to connections, those that exist and those to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// What comes in goes out.
    Pass,
    /// Nothing is read or written; new connections are not accepted, and once the kernel's queue
    /// is full, which is at once, attempts get no answer at all.
    BlackHole,
    /// A few bytes per second are read from the router.
    Trickle,
    /// Reset.
    Reset,
    /// Closed in good order.
    Close,
    /// The router gets garbage, then the connection is closed.
    Garbage,
}

/// The treatment, and the connections that are forgotten: those opened before `remembered_from`
/// are neither read nor written nor closed any more.
#[derive(Debug, Clone, Copy)]
struct Orders {
    treatment: Treatment,
    remembered_from: u64,
}

/// A proxy; its connections end with it.
#[derive(Debug)]
pub(super) struct Proxy {
    endpoint: Endpoint,
    orders: watch::Sender<Orders>,
    accepted: Arc<AtomicU64>,
    /// Fill the queue of the kernel.
    fillers: Vec<TcpStream>,
    listener: Arc<TcpListener>,
    _accepting: AbortOnDropHandle<()>,
}

impl Proxy {
    /// A proxy at any port that leads to `target`.
    pub(super) async fn start(target: &Endpoint) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        SockRef::from(&listener).listen(BACKLOG)?;
        let listener = Arc::new(listener);
        let endpoint = Endpoint::from(listener.local_addr()?);
        let (orders, watched) = watch::channel(Orders {
            treatment: Treatment::Pass,
            remembered_from: 0,
        });
        let accepted = Arc::new(AtomicU64::new(0));
        let target = format!("{target}").parse().context("not an address")?;
        let accepting = accept(listener.clone(), target, watched, accepted.clone());
        Ok(Self {
            endpoint,
            orders,
            accepted,
            fillers: Vec::new(),
            listener,
            _accepting: AbortOnDropHandle::new(tokio::spawn(accepting)),
        })
    }

    /// Where routers find it.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Connections accepted so far.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Treats all connections so from now on.
    pub(super) async fn treat(&mut self, treatment: Treatment) -> anyhow::Result<()> {
        self.orders
            .send_modify(|orders| orders.treatment = treatment);
        self.fillers.clear();
        if treatment == Treatment::BlackHole {
            self.fill_queue().await?;
        } else {
            SockRef::from(&*self.listener).listen(BACKLOG)?;
        }
        Ok(())
    }

    /// Forgets all connections that there are; new ones are treated as before.
    pub(super) fn forget(&self) {
        let opened = self.accepted();
        self.orders
            .send_modify(|orders| orders.remembered_from = opened);
    }

    /// Lets the kernel drop what comes for a port with a full queue.
    async fn fill_queue(&mut self) -> anyhow::Result<()> {
        /// Longer than the loopback interface takes.
        const ANSWERED_WITHIN: Duration = Duration::from_millis(50);
        /// More than fit into the shortest queue.
        const MOST: usize = 8;
        SockRef::from(&*self.listener).listen(0)?;
        let address = self.listener.local_addr()?;
        for _ in 0..MOST {
            match connect(address, ANSWERED_WITHIN).await {
                Ok(filler) => self.fillers.push(filler),
                Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        anyhow::bail!("the queue of {address} does not fill up")
    }
}

async fn accept(
    listener: Arc<TcpListener>,
    target: SocketAddr,
    mut orders: watch::Receiver<Orders>,
    accepted: Arc<AtomicU64>,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        if orders.borrow_and_update().treatment == Treatment::BlackHole {
            if orders.changed().await.is_err() {
                return;
            }
            continue;
        }
        tokio::select! {
            changed = orders.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            incoming = listener.accept() => {
                // An error concerns the connection that was to be accepted.
                let Ok((stream, _)) = incoming else { continue };
                let number = accepted.fetch_add(1, Ordering::Relaxed);
                connections.spawn(connection(stream, target, orders.clone(), number));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(
    mut router: TcpStream,
    target: SocketAddr,
    orders: watch::Receiver<Orders>,
    number: u64,
) {
    let end = match connect(target, PATIENCE).await {
        Err(_) => End::Reset,
        Ok(mut computer) => {
            // Loopback sockets take this option.
            let _set = (router.set_nodelay(true), computer.set_nodelay(true));
            let (from_router, to_router) = router.split();
            let (from_computer, to_computer) = computer.split();
            tokio::select! {
                end = pump(from_router, to_computer, Way::ToComputer, orders.clone(), number) => end,
                end = pump(from_computer, to_router, Way::ToRouter, orders, number) => end,
            }
        }
    };
    if end == End::Reset {
        // Closing sends a reset then. Fails only if the connection is gone.
        let _set = SockRef::from(&router).set_linger(Some(Duration::ZERO));
    }
}

/// Connects to `address`, or fails with [`ErrorKind::TimedOut`].
#[expect(
    clippy::disallowed_methods,
    reason = "this is what bounds it, and there is no protocol to speak"
)]
pub(super) async fn connect(address: SocketAddr, within: Duration) -> std::io::Result<TcpStream> {
    let connected = tokio::time::timeout(within, TcpStream::connect(address)).await;
    connected.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToComputer,
    ToRouter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

/// Carries bytes one way until the connection ends.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: Way,
    mut orders: watch::Receiver<Orders>,
    number: u64,
) -> End {
    const TRICKLE_BYTES: usize = 4;
    const TRICKLE_EVERY: Duration = Duration::from_millis(500);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Orders {
            treatment,
            remembered_from,
        } = *orders.borrow_and_update();
        let forgotten = number < remembered_from;
        let trickle = treatment == Treatment::Trickle && way == Way::ToComputer;
        match treatment {
            Treatment::BlackHole => {
                if orders.changed().await.is_err() {
                    return End::Closed;
                }
                continue;
            }
            _ if forgotten => {
                if orders.changed().await.is_err() {
                    return End::Closed;
                }
                continue;
            }
            Treatment::Reset => return End::Reset,
            Treatment::Close => return End::Closed,
            Treatment::Garbage => {
                if way == Way::ToRouter {
                    // A peer that has hung up does not want it.
                    let _written = to.write_all(&garbage(number)).await;
                }
                return End::Closed;
            }
            Treatment::Pass | Treatment::Trickle => {}
        }
        let length = if trickle { TRICKLE_BYTES } else { buffer.len() };
        let read = tokio::select! {
            _ = orders.changed() => continue,
            read = from.read(&mut buffer[..length]) => read,
        };
        match read {
            Ok(0) => return End::Closed,
            Err(_) => return End::Reset,
            Ok(count) => {
                if to.write_all(&buffer[..count]).await.is_err() {
                    return End::Reset;
                }
            }
        }
        if trickle {
            tokio::select! {
                _ = orders.changed() => {}
                () = tokio::time::sleep(TRICKLE_EVERY) => {}
            }
        }
    }
}

/// Bytes that mean nothing; the seed decides.
pub(super) fn garbage(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    Pcg64::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}
