//! Servers that leave while answers are still on their way to peers that take their time.

use std::time::Duration;

use super::http3_cancels::Place;
use super::support::PATIENCE;
use bytes::Buf as _;
use edge_proto::rpc::LambdaRequest;
use edge_transport::quic::ALPN_NATIVE;
use prost::Message as _;
use quinn::{Connection, TransportConfig, VarInt};

/// Bytes of an answer that does not fit into the window of its reader, but into what servers keep.
const ANSWER: usize = 1 << 20;
/// What a server waits for those who do not listen, several times.
const LONG: Duration = Duration::from_secs(4);

/// Takes so little at once that an answer stays with the server.
fn slow() -> TransportConfig {
    let mut config = TransportConfig::default();
    let window = VarInt::from_u32(64 << 10);
    config.stream_receive_window(window).receive_window(window);
    config
}

fn request() -> Vec<u8> {
    let request = LambdaRequest {
        datain: vec![7; ANSWER].into(),
        ..LambdaRequest::new("shout", "hello")
    };
    request.encode_to_vec()
}

/// The server is leaving, and waits.
async fn is_waited_for(connection: &Connection) {
    let closed = tokio::time::timeout(LONG, connection.closed()).await;
    assert!(closed.is_err(), "cut off: {closed:?}");
}

#[tokio::test]
async fn a_drain_waits_until_answers_have_arrived() {
    let place = Place::new();
    let (_socket, connection) = place.connected(ALPN_NATIVE, slow()).await;
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let asked = [&[1, 0, 0, 0][..], &request()].concat();
    send.write_all(&asked).await.unwrap();
    send.finish().unwrap();
    let mut first = [1];
    receive.read_exact(&mut first).await.unwrap();
    assert_eq!(first, [0], "it is answered");
    let handle = place.server.handle.clone();
    let drained = tokio::spawn(async move { handle.drain(PATIENCE).await });
    is_waited_for(&connection).await;
    let rest = receive.read_to_end(2 * ANSWER).await.unwrap();
    assert!(rest.len() > ANSWER);
    assert!(drained.await.unwrap(), "nothing was cut off");
}

#[tokio::test]
async fn a_drain_over_http3_waits_until_answers_have_arrived() {
    let place = Place::new();
    let mut stranger = place.stranger_with(slow()).await;
    let uri = format!("https://localhost{}", edge_proto::RUN_LAMBDA_PATH);
    let asked = http::Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let mut stream = stranger.requests.send_request(asked).await.unwrap();
    let message = request();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let framed = [&[0][..], &length, &message].concat();
    stream.send_data(framed.into()).await.unwrap();
    stream.finish().await.unwrap();
    let response = stream.recv_response().await.unwrap();
    assert_eq!(response.status(), 200);
    let handle = place.server.handle.clone();
    let drained = tokio::spawn(async move { handle.drain(PATIENCE).await });
    is_waited_for(&stranger.connection).await;
    let mut read = 0;
    while let Some(data) = stream.recv_data().await.unwrap() {
        read += data.remaining();
    }
    assert!(read > ANSWER);
    assert!(stream.recv_trailers().await.unwrap().is_some());
    assert!(drained.await.unwrap(), "nothing was cut off");
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_when_the_drain_is_over() {
    let place = Place::new();
    let (_socket, connection) = place.connected(ALPN_NATIVE, slow()).await;
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let asked = [&[1, 0, 0, 0][..], &request()].concat();
    send.write_all(&asked).await.unwrap();
    send.finish().unwrap();
    receive.read_exact(&mut [0]).await.unwrap();
    assert!(!place.server.handle.drain(LONG).await);
    connection.closed().await;
}
