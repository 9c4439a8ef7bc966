//! Asking whether anybody serves QUIC, with certificates of nobody.

use std::net::UdpSocket;
use std::time::Duration;

use super::support::{PATIENCE, ask, certificates, client, serve_on};
use edge_proto::rpc::LambdaRequest;
use edge_transport::quic::{self, Congestion, NoAnswer, Options};
use edge_transport::{ClientOptions, Endpoint, Listener, Listens, Scheme};

#[tokio::test]
async fn who_serves_quic_answers_and_is_none_the_worse_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificates(folder.path(), &["localhost"]);
    let tls = files.server_config().unwrap();
    let listener = Listener::bind_for(&Endpoint::new("127.0.0.1", 0), Listens::Udp).unwrap();
    let server = serve_on(listener, |server| {
        server.with_quic(Some(tls), Congestion::Cubic)
    });
    let endpoint = server.endpoint().with_scheme(Scheme::Quic);
    for _ in 0..100 {
        quic::probe(&endpoint, PATIENCE).await.unwrap();
    }
    let counters = server.handle.quic();
    assert_eq!((counters.most_shaking(), counters.no_handshake()), (0, 0));
    let client = client(ClientOptions {
        quic: Options {
            tls: Some(files.client_config().unwrap()),
            ..Options::default()
        },
        ..ClientOptions::default()
    });
    let request = LambdaRequest::new("shout", "hello");
    ask(&client, &endpoint, &request).await.unwrap();
    server.handle.kill().await;
    // Its last words hold the port for a moment.
    let gone = async {
        while quic::probe(&endpoint, Duration::from_millis(100))
            .await
            .is_ok()
        {}
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn who_only_has_the_port_does_not_count() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::from(silent.local_addr().unwrap()).with_scheme(Scheme::H3);
    let error = quic::probe(&endpoint, Duration::from_millis(100)).await;
    let error = error.unwrap_err();
    assert!(matches!(error, NoAnswer::Silence(_)), "{error}");

    let nowhere: Endpoint = "quic://name.invalid:1".parse().unwrap();
    quic::probe(&nowhere, PATIENCE).await.unwrap_err();
}
