//! Requests that leave with the first packet of a QUIC connection (0-RTT).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::quic::Place;
use super::support::{PATIENCE, ask, client, eventually, serve_on};
use edge_proto::rpc::LambdaRequest;
use edge_transport::quic::{Congestion, Counters, Prefer};
use edge_transport::{Endpoint, LambdaClient, Limits, Listener, Listens, Scheme};
use tokio::net::TcpSocket;

fn dry(name: &str, idempotent: bool) -> LambdaRequest {
    LambdaRequest {
        idempotent,
        ..LambdaRequest::new(name, "hello")
    }
}

/// A client that may send early data, and has been there once.
async fn acquainted(place: &Place) -> (LambdaClient, Arc<Counters>, Endpoint) {
    let mut options = place.options();
    options.quic.attempt_early_data = true;
    let counters = options.quic.counters.clone();
    let client = client(options);
    let endpoint = place.endpoint();
    ask(&client, &endpoint, &dry("shout", true)).await.unwrap();
    (client, counters, endpoint)
}

#[tokio::test]
async fn who_comes_back_is_answered_before_the_handshake_if_it_may_be_repeated() {
    let place = Place::new(Listens::Udp, Limits::default());
    let (client, counters, endpoint) = acquainted(&place).await;
    assert_eq!(
        counters.early_offered(),
        0,
        "nothing is known of the server"
    );
    let server = place.server.handle.quic();
    let mut rounds = 0;
    for (idempotent, taken) in [(true, 1), (false, 1), (true, 2)] {
        // A server that comes to read only after the handshake has nothing early to take.
        for attempt in 0.. {
            assert!(attempt < 200, "the server takes nothing early");
            client.hang_up();
            ask(&client, &endpoint, &dry("shout", idempotent))
                .await
                .unwrap();
            rounds += 1;
            assert_eq!(counters.early_offered(), rounds);
            eventually("the handshake ends", || counters.early_accepted() == rounds).await;
            if server.early_accepted() == taken {
                break;
            }
        }
    }
    assert_eq!(server.early_postponed(), 0, "the client has waited");
    assert_eq!(counters.early_rejected(), 0);
}

#[tokio::test]
async fn early_requests_that_the_server_does_not_take_are_sent_again() {
    let place = Place::new(Listens::Udp, Limits::default());
    let (client, counters, endpoint) = acquainted(&place).await;
    client.hang_up();
    // Another server at the same place, which knows of no tickets.
    let port = place.server.handle.local_addr().port();
    place.server.handle.kill().await;
    let files = edge_transport::tls::TlsFiles::from_variables(|name| {
        (name == "CERT_DIR").then(|| place.folder.path().to_owned())
    });
    let config = files.unwrap().server_config().unwrap();
    // The last words of the first server hold its port for a moment.
    let listener = bound(port, Listens::Udp).await;
    let second = serve_on(listener, |server| {
        server.with_quic(Some(config), Congestion::Cubic)
    });
    let answer = ask(&client, &endpoint, &dry("shout", true)).await.unwrap();
    assert_eq!(answer.output, "HELLO");
    assert_eq!(counters.early_rejected(), 1);
    assert_eq!(second.handle.quic().early_offered(), 0);
    assert_eq!(second.handle.quic().tickets_refused(), 1);
}

/// A listener on that port as soon as it is free.
async fn bound(port: u16, listens: Listens) -> Listener {
    let address = Endpoint::new("127.0.0.1", port);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Listener::bind_for(&address, listens) {
            Err(_) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            bound => return bound.unwrap(),
        }
    }
}

/// A place for QUIC, and a socket that keeps others from the TCP port of the same number, on which
/// nobody listens: the numbers are those that the system deals out to all tests.
fn place_without_tcp() -> (Place, TcpSocket) {
    const MOST: usize = 100;
    for _ in 0..MOST {
        let place = Place::new(Listens::Udp, Limits::default());
        let address = place.server.handle.local_addr();
        let socket = TcpSocket::new_v4().unwrap();
        if socket.bind(address).is_ok() {
            return (place, socket);
        }
    }
    panic!("all ports are in use");
}

#[tokio::test]
async fn who_comes_back_where_only_tcp_is_left_is_answered_over_tcp() {
    for idempotent in [false, true] {
        let (place, reserved) = place_without_tcp();
        let mut options = place.options();
        options.quic.attempt_early_data = true;
        options.quic.prefer = Prefer::Both;
        let counters = options.quic.counters.clone();
        let client = client(options);
        let endpoint = place.endpoint().with_scheme(Scheme::Unsaid);
        ask(&client, &endpoint, &dry("shout", true)).await.unwrap();
        client.hang_up();
        // Each time there are two more tickets, and one less.
        for _ in 0..4 {
            ask(&client, &endpoint, &dry("shout", true)).await.unwrap();
            client.hang_up();
        }
        let offered = counters.early_offered();
        let port = place.server.handle.local_addr().port();
        place.server.handle.kill().await;
        drop(reserved);
        let tcp = bound(port, Listens::Tcp).await;
        let _tcp = serve_on(tcp, |server| server);
        // The tickets are there, but nobody who would answer.
        for call in 0..3 {
            let answer = ask(&client, &endpoint, &dry("shout", idempotent)).await;
            assert_eq!(answer.unwrap().output, "HELLO", "call {call}");
            client.hang_up();
        }
        let more = counters.early_offered() - offered;
        assert!(more <= 1, "{more} times");
    }
}
