//! HTTP/3 frames that are said to be huge: nobody keeps what has no end.

use super::http3_cancels::Place;
use super::support::PATIENCE;
use edge_transport::Limits;
use edge_transport::quic::ALPN_H3;
use h3::error::Code;
use quinn::{Connection, ConnectionError, ReadError, ReadToEndError, SendStream, TransportConfig};

/// 2^40, as QUIC writes numbers.
const HUGE: [u8; 8] = [0xc0, 0, 1, 0, 0, 0, 0, 0];

async fn connected(place: &Place) -> (quinn::Endpoint, Connection) {
    let to = place.server.handle.local_addr();
    place
        .connected(ALPN_H3, TransportConfig::default(), to)
        .await
}

/// Sends `head`, and goes on for as long as the server takes it; how much that was.
async fn taken(stream: &mut SendStream, head: &[u8]) -> usize {
    let more = [0; 8 << 10];
    let mut taken = 0;
    let mut next = head;
    while taken < 64 << 20 {
        match tokio::time::timeout(PATIENCE, stream.write(next)).await {
            Ok(Ok(written)) => taken += written,
            Ok(Err(_)) => break,
            Err(_) => panic!("the connection is left open"),
        }
        next = &more;
    }
    taken
}

async fn is_refused(connection: &Connection, taken: usize) {
    let window = Limits::default().stream_window_bytes as usize;
    assert!(taken <= window, "{taken} bytes were taken");
    let ConnectionError::ApplicationClosed(closed) = connection.closed().await else {
        panic!("closed, but not by the server");
    };
    let code = Code::H3_EXCESSIVE_LOAD.value();
    assert_eq!(u64::from(closed.error_code), code, "{closed}");
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let place = Place::new();
    let (_socket, connection) = connected(&place).await;
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    let taken = taken(&mut send, &[&[1][..], &HUGE].concat()).await;
    is_refused(&connection, taken).await;
}

#[tokio::test]
async fn header_fields_that_do_not_come_as_a_whole_are_bounded_together() {
    // As much as 40,000 bytes are held for a connection.
    let place = Place::with(Limits {
        max_message_bytes: 10_000,
        ..Limits::default()
    });
    let (_socket, connection) = connected(&place).await;
    // A frame of 30,000 bytes, and nearly all of it.
    let half = [&[1, 0x80, 0, 0x75, 0x30][..], &[0; 29_000]].concat();
    let begun = async || {
        let (mut send, receive) = connection.open_bi().await.unwrap();
        send.write_all(&half).await.unwrap();
        (send, receive)
    };
    let (mut first, mut second) = (begun().await, begun().await);
    let refused = async {
        tokio::select! {
            read = first.1.read_to_end(1) => read,
            read = second.1.read_to_end(1) => read,
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await;
    let Ok(Err(ReadToEndError::Read(ReadError::Reset(code)))) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(code.into_inner(), Code::H3_EXCESSIVE_LOAD.value());
    assert!(connection.close_reason().is_none());
}

#[tokio::test]
async fn a_frame_without_end_on_the_control_stream_is_refused() {
    let place = Place::new();
    let (_socket, connection) = connected(&place).await;
    let mut send = connection.open_uni().await.unwrap();
    // A control stream, no settings, and a frame that nobody knows.
    let taken = taken(&mut send, &[&[0, 4, 0, 0x21][..], &HUGE].concat()).await;
    is_refused(&connection, taken).await;
}

#[tokio::test]
async fn headers_that_are_a_bit_too_large_are_answered_with_a_status() {
    for (kind, expected) in [
        ("application/grpc", (200, Some("8"))),
        ("text/plain", (431, None)),
    ] {
        let place = Place::new();
        let mut stranger = place.stranger().await;
        let request = http::Request::post("https://localhost/nothing")
            .header("content-type", kind)
            .header(
                "much",
                "x".repeat(Limits::default().max_header_bytes as usize),
            )
            .body(())
            .unwrap();
        // The other library would not send them once it knows the limit.
        if let Ok(mut stream) = stranger.requests.send_request(request).await {
            let response = stream.recv_response().await.unwrap();
            let status = response.headers().get("grpc-status");
            let status = status.map(|status| status.to_str().unwrap());
            assert_eq!((response.status().as_u16(), status), expected);
        }
        assert!(stranger.connection.close_reason().is_none());
    }
}
