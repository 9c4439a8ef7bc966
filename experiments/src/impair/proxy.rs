//! A proxy: its sockets, its tasks, what it has counted.

use std::net::SocketAddr;

use anyhow::Context as _;
use serde::Serialize;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use super::link::{Counters, Link};
use super::path::{Clock, Direction};
use super::quality::Quality;
use super::{Carries, tcp, udp};

/// What a proxy is to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Where clients come in.
    pub(crate) listen: SocketAddr,
    /// Where they want to go.
    pub(crate) target: SocketAddr,
    pub(crate) carries: Carries,
    /// From client to target.
    pub(crate) up: Quality,
    /// From target to client.
    pub(crate) down: Quality,
    pub(crate) seed: u64,
}

/// Carries until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    directions: Vec<(&'static str, &'static str, Direction)>,
    tasks: JoinSet<()>,
}

/// What was counted in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Counted {
    pub(crate) protocol: &'static str,
    /// `up`: from client to target.
    pub(crate) direction: &'static str,
    #[serde(flatten)]
    pub(crate) counters: Counters,
}

impl Proxy {
    /// Listens.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub(crate) async fn start(plan: &Plan) -> anyhow::Result<Self> {
        let clock = Clock::start();
        let mut proxy = Self {
            address: plan.listen,
            directions: Vec::new(),
            tasks: JoinSet::new(),
        };
        let (listener, socket) = sockets(plan).await?;
        if let Some(listener) = listener {
            proxy.address = listener.local_addr()?;
            let [up, down] = proxy.links("tcp", [plan.up, plan.down].map(lossless), plan.seed);
            let path = tcp::Path {
                target: plan.target,
                up,
                down,
                clock,
                round_trip: plan.up.delay + plan.down.delay,
            };
            proxy.tasks.spawn(tcp::carry(listener, path));
        }
        if let Some(socket) = socket {
            proxy.address = socket.local_addr()?;
            let [up, down] = proxy.links("udp", [plan.up, plan.down], plan.seed);
            let target = plan.target;
            proxy.tasks.spawn(async move {
                if let Err(error) = udp::carry(socket, target, up, down, clock).await {
                    eprintln!("warning: datagrams are not carried any more: {error}");
                }
            });
        }
        Ok(proxy)
    }

    /// Where clients come in.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// So far, by protocol and direction.
    pub(crate) fn counters(&self) -> Vec<Counted> {
        let counted =
            |(protocol, direction, link): &(&'static str, &'static str, Direction)| Counted {
                protocol,
                direction,
                counters: link.lock().counters(),
            };
        self.directions.iter().map(counted).collect()
    }

    fn links(&mut self, protocol: &'static str, of: [Quality; 2], seed: u64) -> [Direction; 2] {
        let [up, down] = of;
        // Directions lose independently.
        let seeds = seed.wrapping_mul(2);
        let up = Direction::new(Link::new(up, seeds));
        let down = Direction::new(Link::new(down, seeds.wrapping_add(1)));
        self.directions.push((protocol, "up", up.clone()));
        self.directions.push((protocol, "down", down.clone()));
        [up, down]
    }
}

fn lossless(quality: Quality) -> Quality {
    Quality {
        loss: 0.0,
        reorder: 0.0,
        ..quality
    }
}

/// Those that are asked for, at the same port.
async fn sockets(plan: &Plan) -> anyhow::Result<(Option<TcpListener>, Option<UdpSocket>)> {
    /// A free port of TCP may be taken for UDP.
    const ATTEMPTS: usize = 16;
    let listen = async |address: SocketAddr| {
        let listener = TcpListener::bind(address).await;
        listener.with_context(|| format!("cannot listen on {address}"))
    };
    let bind = async |address: SocketAddr| {
        let socket = UdpSocket::bind(address).await;
        socket.with_context(|| format!("cannot receive datagrams at {address}"))
    };
    match plan.carries {
        Carries::Tcp => Ok((Some(listen(plan.listen).await?), None)),
        Carries::Udp => Ok((None, Some(bind(plan.listen).await?))),
        Carries::Both => {
            let mut attempts = 1;
            loop {
                let listener = listen(plan.listen).await?;
                match bind(listener.local_addr()?).await {
                    Ok(socket) => return Ok((Some(listener), Some(socket))),
                    Err(_) if plan.listen.port() == 0 && attempts < ATTEMPTS => attempts += 1,
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    /// Long enough for anything that is going to happen.
    const PATIENCE: Duration = Duration::from_secs(30);

    async fn within<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(PATIENCE, what)
            .await
            .expect("it hangs")
    }

    async fn proxy(target: SocketAddr, carries: Carries, up: &str, down: &str) -> Proxy {
        let plan = Plan {
            listen: ([127, 0, 0, 1], 0).into(),
            target,
            carries,
            up: up.parse().unwrap(),
            down: down.parse().unwrap(),
            seed: 3,
        };
        Proxy::start(&plan).await.unwrap()
    }

    fn of(proxy: &Proxy, protocol: &str, direction: &str) -> Counters {
        let counted = proxy.counters();
        let found = counted
            .iter()
            .find(|c| c.protocol == protocol && c.direction == direction);
        found.unwrap().counters
    }

    #[expect(clippy::disallowed_methods, reason = "the test bounds it")]
    async fn connect(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.unwrap()
    }

    #[tokio::test]
    async fn bytes_of_a_connection_arrive_unchanged_and_in_order_both_ways() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let echo = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await.unwrap();
        };
        // A queue that is too short for it: TCP waits, and loses nothing even where it is asked to.
        let quality = "delay=2ms,rate=80Mbit,queue=8,loss=50%";
        let proxy = proxy(target, Carries::Tcp, quality, quality).await;
        let sent: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
        let exchange = async {
            let (mut from, mut to) = connect(proxy.address()).await.into_split();
            let write = async {
                to.write_all(&sent).await.unwrap();
                to.shutdown().await.unwrap();
            };
            let mut back = Vec::new();
            let read = async {
                let mut buffer = [0; 4096];
                loop {
                    match from.read(&mut buffer).await.unwrap() {
                        0 => return,
                        length => back.extend_from_slice(&buffer[..length]),
                    }
                }
            };
            tokio::join!(write, read);
            back
        };
        let (back, ()) = within(async { tokio::join!(exchange, echo) }).await;
        assert!(back == sent, "{} of {} bytes", back.len(), sent.len());
        for direction in ["up", "down"] {
            let counters = of(&proxy, "tcp", direction);
            assert_eq!(counters.bytes, sent.len() as u64);
            assert_eq!((counters.lost, counters.dropped), (0, 0));
        }
    }

    #[tokio::test]
    async fn datagrams_are_lost_and_counted_each_direction_on_its_own() {
        const COUNT: u64 = 2000;
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let target = server.local_addr().unwrap();
        let proxy = proxy(target, Carries::Udp, "loss=20%", "loss=5%").await;
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(proxy.address()).await.unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 64];
            loop {
                let (length, from) = server.recv_from(&mut buffer).await.unwrap();
                server.send_to(&buffer[..length], from).await.unwrap();
            }
        });
        within(async {
            let mut buffer = [0; 64];
            for number in 0..COUNT {
                let (up, down) = (of(&proxy, "udp", "up"), of(&proxy, "udp", "down"));
                client.send(&number.to_be_bytes()).await.unwrap();
                // Its fate is known when the counters say so.
                loop {
                    let lost_up = of(&proxy, "udp", "up").since(&up).lost;
                    let lost_down = of(&proxy, "udp", "down").since(&down).lost;
                    if lost_up + lost_down == 1 {
                        break;
                    }
                    if let Ok(length) = client.try_recv(&mut buffer) {
                        assert_eq!(buffer[..length], number.to_be_bytes());
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
        })
        .await;
        let (up, down) = (of(&proxy, "udp", "up"), of(&proxy, "udp", "down"));
        assert_eq!(up.packets + up.lost, COUNT);
        assert_eq!(down.packets + down.lost, up.packets);
        assert_eq!(up.bytes, up.packets * 8);
        let within_3_sigma = |lost: u64, of: u64, probability: f64| {
            let mean = of as f64 * probability;
            (lost as f64 - mean).abs() < 3.0 * (mean * (1.0 - probability)).sqrt()
        };
        assert!(within_3_sigma(up.lost, COUNT, 0.2), "{up:?}");
        assert!(within_3_sigma(down.lost, up.packets, 0.05), "{down:?}");
    }

    #[tokio::test]
    async fn answers_go_to_the_client_that_asked() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let target = server.local_addr().unwrap();
        let proxy = proxy(target, Carries::Both, "delay=1ms", "delay=1ms").await;
        let mut clients = Vec::new();
        for name in [b"one", b"two"] {
            let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            client.send_to(name, proxy.address()).await.unwrap();
            clients.push((client, name));
        }
        within(async {
            let mut buffer = [0; 16];
            for _ in 0..2 {
                let (length, from) = server.recv_from(&mut buffer).await.unwrap();
                server.send_to(&buffer[..length], from).await.unwrap();
            }
            for (client, name) in &clients {
                let (length, _) = client.recv_from(&mut buffer).await.unwrap();
                assert_eq!(&buffer[..length], *name);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_target_that_is_not_there_ends_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        drop(listener);
        let proxy = proxy(target, Carries::Tcp, "", "").await;
        within(async {
            let mut stream = connect(proxy.address()).await;
            // The end of the stream, or a reset.
            assert!(matches!(stream.read(&mut [0; 8]).await, Ok(0) | Err(_)));
        })
        .await;
    }
}
