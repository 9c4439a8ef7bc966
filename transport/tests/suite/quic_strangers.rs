//! What a QUIC server and client stand: garbage, strangers, replays, bursts, peers that vanish.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::support::{PATIENCE, Relay, ask, certificates, client, eventually};
use edge_proto::rpc::{LambdaRequest, LambdaResponse};
use edge_transport::quic::{ALPN_NATIVE, Congestion, Options};
use edge_transport::tls::TlsFiles;
use edge_transport::{
    CallError, ClientOptions, Core, Cores, Endpoint, LambdaCall, LambdaReply, LambdaService,
    Limits, Listener, Listens, Peer, Scheme, Server, ServerHandle,
};
use futures_util::{StreamExt as _, stream};
use prost::Message as _;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, TransportConfig, VarInt};
use tempfile::TempDir;
use tonic::service::Routes;
use tonic::{Code, Status};

/// Handshakes in a burst, and of those under way at the same time.
const HANDSHAKES: usize = 10_000;
const AT_ONCE: usize = 500;

/// Gives an attempt up soon, but no connection.
fn impatient() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    let soon = VarInt::from_u32(2_000);
    config
        .max_idle_timeout(Some(soon.into()))
        .keep_alive_interval(Some(Duration::from_millis(500)));
    Arc::new(config)
}

/// Counts what it executes; `never` takes forever.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl LambdaService for Counting {
    async fn run(&self, _: &Core, _: Peer, call: LambdaCall) -> Result<LambdaReply, Status> {
        let request = LambdaRequest::decode(call.message)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.0.fetch_add(1, Ordering::SeqCst);
        if request.name == "never" {
            std::future::pending::<()>().await;
        }
        let response = LambdaResponse {
            retcode: "OK".into(),
            output: request.input,
            ..LambdaResponse::default()
        };
        Ok(LambdaReply {
            message: response.encode_to_vec().into(),
            ..LambdaReply::default()
        })
    }
}

struct Place {
    folder: TempDir,
    service: Arc<Counting>,
    server: ServerHandle,
    _cores: Arc<Cores>,
}

impl Place {
    fn new(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tls = certificates(folder.path(), &["localhost"]).server_config();
        let listener = Listener::bind_for(&Endpoint::new("127.0.0.1", 0), Listens::Udp).unwrap();
        let cores = crate::support::cores(2);
        let service = Arc::new(Counting::default());
        let server = Server::new(Routes::default())
            .with_lambda(service.clone())
            .with_quic(Some(tls.unwrap()), Congestion::Cubic)
            .with_limits(limits)
            .serve(listener, &cores);
        Self {
            folder,
            service,
            server,
            _cores: cores,
        }
    }

    fn executed(&self) -> usize {
        self.service.0.load(Ordering::SeqCst)
    }

    fn files(&self) -> TlsFiles {
        let folder = self.folder.path();
        TlsFiles::from_variables(|name| (name == "CERT_DIR").then(|| folder.to_owned())).unwrap()
    }

    fn options(&self) -> ClientOptions {
        ClientOptions {
            quic: Options {
                tls: Some(self.files().client_config().unwrap()),
                ..Options::default()
            },
            ..ClientOptions::default()
        }
    }

    /// A client that keeps to the rules still gets an answer.
    async fn is_well(&self) {
        let endpoint = at(self.server.local_addr());
        let request = LambdaRequest::new("echo", "hello");
        let answer = ask(&client(self.options()), &endpoint, &request).await;
        assert_eq!(answer.unwrap().output, "hello");
    }

    fn stranger(&self, alpn: &[u8], early: bool) -> quinn::ClientConfig {
        let mut tls = (*self.files().client_config().unwrap()).clone();
        tls.alpn_protocols = vec![alpn.to_vec()];
        tls.enable_early_data = early;
        let tls = QuicClientConfig::try_from(tls).unwrap();
        quinn::ClientConfig::new(Arc::new(tls))
    }

    async fn connected(&self) -> (quinn::Endpoint, Connection) {
        let socket = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let config = self.stranger(ALPN_NATIVE, false);
        let connecting = socket.connect_with(config, self.server.local_addr(), "localhost");
        (socket, connecting.unwrap().await.unwrap())
    }
}

fn at(address: SocketAddr) -> Endpoint {
    Endpoint::new("localhost", address.port()).with_scheme(Scheme::Quic)
}

/// What a server says to the bytes of one stream.
async fn said(connection: &Connection, bytes: &[u8], is_all: bool) -> Vec<u8> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    if is_all {
        send.finish().unwrap();
    }
    let said = tokio::time::timeout(PATIENCE, receive.read_to_end(10_000)).await;
    said.unwrap().unwrap()
}

#[tokio::test]
async fn garbage_does_no_harm() {
    let place = Place::new(Limits::default());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut byte = 1_u8;
    for size in [0, 1, 20, 1199, 1200, 1201, 9000, 60_000] {
        for first in [0x00, 0x40, 0x80, 0xc0, 0xff] {
            let mut datagram: Vec<u8> = (0..size)
                .map(|_| {
                    byte = byte.wrapping_mul(73).wrapping_add(41);
                    byte
                })
                .collect();
            if let Some(at) = datagram.first_mut() {
                *at = first;
            }
            socket
                .send_to(&datagram, place.server.local_addr())
                .unwrap();
        }
    }
    place.is_well().await;
}

#[tokio::test]
async fn an_unknown_version_is_answered_by_those_that_are_known() {
    let place = Place::new(Limits::default());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut datagram = vec![0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8];
    datagram.extend([1; 8]);
    datagram.push(8);
    datagram.extend([2; 8]);
    datagram.resize(1200, 0);
    socket
        .send_to(&datagram, place.server.local_addr())
        .unwrap();
    let mut answer = [0; 2000];
    let length = tokio::task::spawn_blocking(move || socket.recv(&mut answer).map(|n| (n, answer)));
    let (length, answer) = length.await.unwrap().unwrap();
    assert!(answer[0] & 0x80 != 0, "a long header");
    assert_eq!(
        answer[1..5],
        [0; 4],
        "version negotiation (RFC 9000, 17.2.1)"
    );
    assert!(length < datagram.len(), "it amplifies nothing");
    let offered: Vec<_> = answer[23..length].chunks(4).collect();
    // Quinn puts one that is reserved in front (RFC 9000, section 15), so that nobody relies on the list.
    let is_reserved = |version: &[u8]| version.iter().all(|byte| byte & 0xf == 0xa);
    let spoken: Vec<_> = offered.into_iter().filter(|v| !is_reserved(v)).collect();
    assert_eq!(spoken, [[0, 0, 0, 1]], "no drafts");
    place.is_well().await;
}

#[tokio::test]
async fn who_asks_for_another_protocol_is_told_that_there_is_none() {
    let place = Place::new(Limits::default());
    let socket = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = place.stranger(b"h2", false);
    let connecting = socket.connect_with(config, place.server.local_addr(), "localhost");
    let error = connecting.unwrap().await.unwrap_err();
    let ConnectionError::ConnectionClosed(closed) = &error else {
        panic!("{error}");
    };
    // TLS alert 120: no_application_protocol.
    assert_eq!(u64::from(closed.error_code), 0x100 + 120);
    place.is_well().await;
}

#[tokio::test]
async fn what_is_no_request_gets_a_status_and_the_connection_goes_on() {
    let place = Place::new(Limits::default());
    let (_socket, connection) = place.connected().await;
    for (bytes, code) in [
        (&[][..], Code::Internal),
        (&[1, 0], Code::Internal),
        (&[9, 0, 0, 0], Code::Unimplemented),
        // A megabyte of metadata is announced.
        (&[1, 0, 0, 0x80, 0x10, 0, 0], Code::ResourceExhausted),
        (&[1, 0, 0, 4, 1, b'A', 1, b'x'], Code::Internal),
    ] {
        let said = said(&connection, bytes, true).await;
        assert_eq!(
            said.first().map(|code| Code::from(i32::from(*code))),
            Some(code),
            "{bytes:?}"
        );
    }
    assert_eq!(
        said(&connection, &[1, 0, 0, 0], true).await[0],
        Code::Ok as u8
    );
}

#[tokio::test]
async fn a_peer_that_is_able_to_is_asked_to_acknowledge_sooner() {
    let place = Place::new(Limits::default());
    let (_socket, connection) = place.connected().await;
    said(&connection, &[1, 0, 0, 0], true).await;
    let asked = || connection.stats().frame_rx.ack_frequency == 1;
    eventually("asked to acknowledge sooner", asked).await;
}

#[tokio::test]
async fn a_request_that_never_ends_is_not_waited_for_beyond_its_deadline() {
    let place = Place::new(Limits::default());
    let (_socket, connection) = place.connected().await;
    // 100 ms in microseconds.
    let said = said(
        &connection,
        &[1, 0, 0x80, 0x01, 0x86, 0xa0, 0, 10, 1],
        false,
    )
    .await;
    assert_eq!(said[0], Code::DeadlineExceeded as u8);
    assert_eq!(place.executed(), 0);
}

#[tokio::test]
async fn a_burst_of_handshakes_is_held_off_and_others_are_served() {
    let limits = Limits {
        max_connections: 1200,
        ..Limits::default()
    };
    let place = Place::new(limits);
    // Somebody who was there before.
    let (_own, before) = place.connected().await;
    let socket = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut config = place.stranger(ALPN_NATIVE, false);
    config.transport_config(impatient());
    let address = place.server.local_addr();
    let attempt = |_| {
        let connecting = socket.connect_with(config.clone(), address, "localhost");
        async move { connecting.unwrap().await }
    };
    let burst = stream::iter(0..HANDSHAKES)
        .map(attempt)
        .buffer_unordered(AT_ONCE)
        .filter_map(|shaken| std::future::ready(shaken.ok()))
        .collect::<Vec<_>>();
    let undisturbed = async {
        let mut served = 0;
        loop {
            assert_eq!(said(&before, &[1, 0, 0, 0], true).await[0], Code::Ok as u8);
            served += 1;
            if served == 50 {
                return std::future::pending::<()>().await;
            }
        }
    };
    let connections = tokio::select! {
        connections = burst => connections,
        () = undisturbed => unreachable!("it waits for the burst"),
    };
    // Who was too slow is told later.
    let held = || {
        let open = connections.iter().filter(|c| c.close_reason().is_none());
        open.count()
    };
    eventually("there are no more than allowed", || held() < 1200).await;
    assert!(held() > 0, "nobody got in");
    let counters = place.server.quic();
    assert!(counters.retries() > 0, "addresses had to be proven");
    // The most that may be kept for handshakes (`docs/bounds.md`).
    assert!(
        counters.most_shaking() <= 1000,
        "{}",
        counters.most_shaking()
    );
    eventually("no handshake is left behind", || counters.shaking() == 0).await;
    drop(connections);
    socket.close(0_u32.into(), b"");
    socket.wait_idle().await;
    place.is_well().await;
}

#[tokio::test]
async fn a_server_that_vanishes_is_found_long_before_the_deadline() {
    let place = Place::new(Limits::default());
    let relay = Relay::new(place.server.local_addr());
    let client = Arc::new(client(place.options()));
    let endpoint = at(relay.address);
    let asking = client.clone();
    let asked =
        tokio::spawn(
            async move { ask(&asking, &endpoint, &LambdaRequest::new("never", "")).await },
        );
    eventually("it is executed", || place.executed() == 1).await;
    relay.is_cut.store(true, Ordering::SeqCst);
    let error = asked.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Lost { .. }), "{error}");
    assert!(error.to_string().contains("no sign of life"), "{error}");
}

#[tokio::test]
async fn recorded_early_requests_are_executed_once_at_most_however_often_they_are_sent() {
    for idempotent in [false, true] {
        let place = Place::new(Limits::default());
        let relay = Relay::new(place.server.local_addr());
        let request = LambdaRequest {
            idempotent,
            ..LambdaRequest::new("echo", "hello")
        };
        // A client that breaks the rule: it marks what may not be repeated, and sends it early.
        let bytes = [&[1, 1, 0, 0][..], &request.encode_to_vec()].concat();
        let config = place.stranger(ALPN_NATIVE, true);
        let socket = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let first = socket.connect_with(config.clone(), relay.address, "localhost");
        let first = first.unwrap().await.unwrap();
        said(&first, &bytes, true).await;
        first.close(0_u32.into(), b"");
        relay.of_client.lock().unwrap().clear();

        let second = socket
            .connect_with(config, relay.address, "localhost")
            .unwrap();
        let (second, accepted) = second.into_0rtt().expect("there is a ticket");
        said(&second, &bytes, true).await;
        assert!(accepted.await);
        assert_eq!(place.executed(), 2);
        let counters = place.server.quic();
        assert_eq!(counters.early_offered(), 1);
        assert_eq!(counters.early_postponed(), u64::from(!idempotent));
        second.close(0_u32.into(), b"");

        let recorded = relay.of_client.lock().unwrap().clone();
        let thief = UdpSocket::bind("127.0.0.1:0").unwrap();
        // For as long as the server remembers the connection, it takes them for parts of it.
        eventually("they are taken for a new connection", || {
            for datagram in &recorded {
                thief.send_to(datagram, place.server.local_addr()).unwrap();
            }
            counters.tickets_refused() > 0
        })
        .await;
        // Whoever is served after them is served after they were looked at.
        place.is_well().await;
        place.is_well().await;
        assert_eq!(place.executed(), 4, "twice by the client, twice by us");
    }
}

#[tokio::test]
async fn a_client_that_vanishes_does_not_hold_up_a_drain() {
    let place = Place::new(Limits::default());
    let relay = Relay::new(place.server.local_addr());
    let client = client(place.options());
    let request = LambdaRequest::new("echo", "hello");
    ask(&client, &at(relay.address), &request).await.unwrap();
    relay.is_cut.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    assert!(place.server.drain(PATIENCE).await);
    assert!(begun.elapsed() < PATIENCE);
}

#[tokio::test]
async fn where_the_path_carries_more_datagrams_grow_and_arrive_however_many_leave_at_once() {
    const LARGEST: u16 = 60_000;
    let place = Place::new(Limits::default());
    let mut takes = quinn::EndpointConfig::default();
    takes.max_udp_payload_size(LARGEST).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let runtime = Arc::new(quinn::TokioRuntime);
    let endpoint = quinn::Endpoint::new(takes, None, socket, runtime).unwrap();
    let config = place.stranger(ALPN_NATIVE, false);
    let connecting = endpoint.connect_with(config, place.server.local_addr(), "localhost");
    let connection = connecting.unwrap().await.unwrap();
    let mut request = vec![1, 0, 0, 0];
    let body = "x".repeat(9_000);
    LambdaRequest::new("echo", &body)
        .encode(&mut request)
        .unwrap();
    // One after the other until the server knows what the path carries, then many at once.
    for _ in 0..100 {
        said(&connection, &request, true).await;
    }
    let before = connection.stats().udp_rx;
    for _ in 0..10 {
        let all = (0..100).map(|_| said(&connection, &request, true));
        for answer in futures_util::future::join_all(all).await {
            assert!(answer.len() > body.len(), "{} bytes", answer.len());
        }
    }
    let after = connection.stats().udp_rx;
    let mean = (after.bytes - before.bytes) / (after.datagrams - before.datagrams);
    assert!(mean > 2_000, "{mean} bytes per datagram");
}
