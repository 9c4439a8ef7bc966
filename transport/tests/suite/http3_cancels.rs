//! HTTP/3 callers that lose interest, ours and others: nobody works for them any more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::support::{Running, ask, call, certificates, client, eventually, serve_on};
use bytes::Bytes;
use edge_proto::rpc::LambdaRequest;
use edge_transport::quic::{ALPN_H3, Congestion, Options};
use edge_transport::tls::TlsFiles;
use edge_transport::{ClientOptions, Endpoint, LambdaClient, Limits, Listener, Listens, Scheme};
use h3::client::{RequestStream, SendRequest};
use h3::error::Code;
use prost::Message as _;
use quinn::TransportConfig;
use quinn::crypto::rustls::QuicClientConfig;
use tempfile::TempDir;

/// Longer than any test waits.
const DUE: Duration = Duration::from_secs(600);

pub(super) struct Place {
    files: TlsFiles,
    pub(super) server: Running,
    _folder: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = certificates(folder.path(), &["localhost"]);
        let tls = files.server_config().unwrap();
        let listener = Listener::bind_for(&Endpoint::new("127.0.0.1", 0), Listens::Udp).unwrap();
        let server = serve_on(listener, |server| {
            server
                .with_quic(Some(tls), Congestion::Cubic)
                .with_limits(limits)
        });
        Self {
            files,
            server,
            _folder: folder,
        }
    }

    fn endpoint(&self) -> Endpoint {
        self.server.endpoint().with_scheme(Scheme::H3)
    }

    fn client(&self) -> Arc<LambdaClient> {
        Arc::new(client(ClientOptions {
            quic: Options {
                tls: Some(self.files.client_config().unwrap()),
                ..Options::default()
            },
            ..ClientOptions::default()
        }))
    }

    pub(super) async fn waits_for(&self, requests: usize) {
        let waiting = &self.server.waiting;
        eventually("so many requests are worked on", || {
            waiting.load(Ordering::SeqCst) == requests
        })
        .await;
    }

    /// A connection to `to`, that is not ours.
    pub(super) async fn connected(
        &self,
        alpn: &[u8],
        transport: TransportConfig,
        to: SocketAddr,
    ) -> (quinn::Endpoint, quinn::Connection) {
        let mut tls = (*self.files.client_config().unwrap()).clone();
        tls.alpn_protocols = vec![alpn.to_vec()];
        let tls = QuicClientConfig::try_from(tls).unwrap();
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(transport));
        let socket = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let connecting = socket.connect_with(config, to, "localhost").unwrap();
        (socket, connecting.await.unwrap())
    }

    /// A client that is not ours.
    pub(super) async fn stranger(&self) -> Stranger {
        self.stranger_by(self.server.handle.local_addr()).await
    }

    /// A client that reaches the server at `to`.
    pub(super) async fn stranger_by(&self, to: SocketAddr) -> Stranger {
        let transport = TransportConfig::default();
        let (socket, connection) = self.connected(ALPN_H3, transport, to).await;
        let streams = h3_quinn::Connection::new(connection.clone());
        let (mut driver, requests) = h3::client::new(streams).await.unwrap();
        tokio::spawn(async move { driver.wait_idle().await });
        Stranger {
            _socket: socket,
            connection,
            requests,
        }
    }
}

pub(super) struct Stranger {
    _socket: quinn::Endpoint,
    pub(super) connection: quinn::Connection,
    pub(super) requests: SendRequest<h3_quinn::OpenStreams, Bytes>,
}

impl Stranger {
    /// Begins with a request for what takes forever, which is said to have one byte more.
    async fn begins(&mut self, more: u8) -> RequestStream<h3_quinn::BidiStream<Bytes>, Bytes> {
        let uri = format!("https://localhost{}", edge_proto::RUN_LAMBDA_PATH);
        let request = http::Request::post(uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let mut stream = self.requests.send_request(request).await.unwrap();
        let message = LambdaRequest::new("never", "").encode_to_vec();
        let length = u8::try_from(message.len()).unwrap() + more;
        let framed = [&[0, 0, 0, 0, length][..], &message].concat();
        stream.send_data(framed.into()).await.unwrap();
        stream
    }

    async fn asks(&mut self) -> RequestStream<h3_quinn::BidiStream<Bytes>, Bytes> {
        let mut stream = self.begins(0).await;
        stream.finish().await.unwrap();
        stream
    }
}

#[tokio::test]
async fn who_drops_a_call_cancels_it_at_once() {
    let place = Place::new();
    let client = place.client();
    for _ in 0..3 {
        let (asking, endpoint) = (client.clone(), place.endpoint());
        let mut never = call(&LambdaRequest::new("never", ""));
        never.deadline = Instant::now() + DUE;
        let asked = tokio::spawn(async move { asking.call(&endpoint, &never).await });
        place.waits_for(1).await;
        asked.abort();
        place.waits_for(0).await;
    }
    // The connection is none the worse for it.
    let request = LambdaRequest::new("shout", "hello");
    ask(&client, &place.endpoint(), &request).await.unwrap();
    assert_eq!(place.server.handle.quic().connections(), 1);
}

#[tokio::test]
async fn who_wants_no_answer_any_more_is_not_worked_for() {
    let place = Place::new();
    let mut stranger = place.stranger().await;
    let mut first = stranger.asks().await;
    let _second = stranger.asks().await;
    place.waits_for(2).await;
    first.stop_sending(Code::H3_REQUEST_CANCELLED);
    place.waits_for(1).await;
}

#[tokio::test]
async fn who_gives_up_halfway_is_forgotten() {
    let place = Place::new();
    let mut stranger = place.stranger().await;
    let mut half = stranger.begins(1).await;
    half.stop_stream(Code::H3_REQUEST_CANCELLED);
    half.stop_sending(Code::H3_REQUEST_CANCELLED);
    let _whole = stranger.asks().await;
    place.waits_for(1).await;
}

#[tokio::test]
async fn nobody_is_worked_for_whose_connection_has_ended() {
    let place = Place::new();
    let mut stranger = place.stranger().await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(stranger.asks().await);
    }
    place.waits_for(5).await;
    stranger.connection.close(0_u32.into(), b"");
    place.waits_for(0).await;
}

#[tokio::test]
async fn what_is_in_flight_ends_with_a_server_that_is_killed() {
    let place = Place::new();
    let mut stranger = place.stranger().await;
    let mut asked = stranger.asks().await;
    place.waits_for(1).await;
    place.server.handle.kill().await;
    place.waits_for(0).await;
    asked.recv_response().await.unwrap_err();
    let quinn::ConnectionError::ApplicationClosed(closed) = stranger.connection.closed().await
    else {
        panic!("closed, but not by the server");
    };
    let code = Code::H3_INTERNAL_ERROR.value();
    assert_eq!(closed.error_code.into_inner(), code, "{closed}");
}

#[tokio::test]
async fn requests_are_not_taken_for_connections() {
    let place = Place::with(Limits {
        max_connections: 2,
        ..Limits::default()
    });
    let mut first = place.stranger().await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(first.asks().await);
    }
    place.waits_for(5).await;
    let mut second = place.stranger().await;
    let _asked = second.asks().await;
    place.waits_for(6).await;
}
