//! Servers that leave while answers are still on their way.

use std::time::Duration;

use super::http3_cancels::Place;
use super::support::Relay;
use bytes::Buf as _;
use edge_proto::rpc::LambdaRequest;
use edge_transport::quic::ALPN_NATIVE;
use prost::Message as _;
use quinn::{TransportConfig, VarInt};

/// Bytes of an answer: less than a client lets come at once, so that it leaves the server's hands.
const ANSWER: usize = 1 << 20;
/// Such an answer takes several times as long as a server waits for those who are gone.
const SLOW: Duration = Duration::from_micros(8);
/// Longer than any of that takes.
const DUE: Duration = Duration::from_secs(300);

fn request() -> Vec<u8> {
    let request = LambdaRequest {
        datain: vec![7; ANSWER].into(),
        ..LambdaRequest::new("shout", "hello")
    };
    request.encode_to_vec()
}

#[tokio::test]
async fn a_drain_waits_until_answers_have_arrived() {
    let place = Place::new();
    let relay = Relay::slow(place.server.handle.local_addr(), SLOW);
    let transport = TransportConfig::default();
    let (_socket, connection) = place.connected(ALPN_NATIVE, transport, relay.address).await;
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let asked = [&[1, 0, 0, 0][..], &request()].concat();
    send.write_all(&asked).await.unwrap();
    send.finish().unwrap();
    let mut first = [1];
    receive.read_exact(&mut first).await.unwrap();
    assert_eq!(first, [0], "it is answered");
    let handle = place.server.handle.clone();
    let drained = tokio::spawn(async move { handle.drain(DUE).await });
    let rest = receive.read_to_end(2 * ANSWER).await.unwrap();
    assert!(rest.len() > ANSWER);
    assert!(drained.await.unwrap(), "nothing was cut off");
}

#[tokio::test]
async fn a_drain_over_http3_waits_until_answers_have_arrived() {
    let place = Place::new();
    let relay = Relay::slow(place.server.handle.local_addr(), SLOW);
    let mut stranger = place.stranger_by(relay.address).await;
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
    let drained = tokio::spawn(async move { handle.drain(DUE).await });
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
    // Takes so little at once that the answer stays with the server.
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(VarInt::from_u32(64 << 10));
    let to = place.server.handle.local_addr();
    let (_socket, connection) = place.connected(ALPN_NATIVE, transport, to).await;
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let asked = [&[1, 0, 0, 0][..], &request()].concat();
    send.write_all(&asked).await.unwrap();
    send.finish().unwrap();
    receive.read_exact(&mut [0]).await.unwrap();
    let soon = Duration::from_secs(4);
    assert!(!place.server.handle.drain(soon).await);
    connection.closed().await;
}
