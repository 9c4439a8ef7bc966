//! Many requests that are given up at the same time, as when deadlines pass under overload: the
//! others on the same connection must not suffer.

use std::io::{Read, Write as _};
use std::sync::Arc;

use super::support::{PATIENCE, ask, client, serve};
use edge_proto::rpc::LambdaRequest;
use edge_transport::{ClientOptions, Endpoint};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA_OF_PING: [u8; 8] = *b"our ping";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// Reason of a RST_STREAM.
const CANCEL: u32 = 8;

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Length, kind, flags and stream of a frame.
fn head(bytes: [u8; 9]) -> (usize, u8, u8, u32) {
    let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
    let stream = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
    (length as usize, bytes[3], bytes[4], stream)
}

/// The header block of a lambda request (RFC 7541, without Huffman codes).
fn request_headers() -> Vec<u8> {
    let text = |text: &str| {
        let mut bytes = vec![u8::try_from(text.len()).unwrap()];
        bytes.extend(text.as_bytes());
        bytes
    };
    // POST, http, and literals for path, authority and content type.
    [
        vec![0x83, 0x86, 0x04],
        text(edge_proto::RUN_LAMBDA_PATH),
        vec![0x01],
        text("somewhere"),
        vec![0x0f, 0x10],
        text("application/grpc"),
    ]
    .concat()
}

#[tokio::test]
async fn a_server_stands_requests_that_are_given_up_before_it_has_looked_at_them() {
    const COUNT: u32 = 1000;
    let server = serve(|server| server);
    let address = server.handle.local_addr();
    let said = tokio::task::spawn_blocking(move || {
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        for number in 0..COUNT {
            let stream = 2 * number + 1;
            bytes.extend(frame(HEADERS, END_HEADERS, stream, &request_headers()));
            bytes.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
        }
        bytes.extend(frame(PING, 0, 0, &DATA_OF_PING));
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&bytes).unwrap();
        first_word(&mut stream)
    });
    assert_eq!(said.await.unwrap(), "alive");
    let shout = LambdaRequest::new("shout", "x");
    let (client, endpoint) = (client(ClientOptions::default()), server.endpoint());
    let answer = ask(&client, &endpoint, &shout);
    assert_eq!(answer.await.unwrap().output, "X");
}

/// Whether the peer answers our PING or says good-bye.
fn first_word(stream: &mut impl Read) -> String {
    loop {
        let mut bytes = [0; 9];
        stream.read_exact(&mut bytes).unwrap();
        let (length, kind, flags, _) = head(bytes);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).unwrap();
        match (kind, flags) {
            (PING, ACK) if payload == DATA_OF_PING => return "alive".to_owned(),
            (GOAWAY, _) => return String::from_utf8_lossy(&payload[8..]).into_owned(),
            _ => {}
        }
    }
}

/// Answers requests only after they have been given up, which is too late: `count` of them. Tells
/// when all have come, and then whether the client answers a PING or says good-bye.
async fn too_late(listener: TcpListener, count: usize, all_came: Arc<Notify>) -> String {
    /// Status 200.
    const OK: &[u8] = &[0x88];
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface).await.unwrap();
    let say = async |stream: &mut TcpStream, frame: Vec<u8>| stream.write_all(&frame).await;
    say(&mut stream, frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let (mut came, mut given_up) = (0, 0);
    loop {
        let mut bytes = [0; 9];
        stream.read_exact(&mut bytes).await.unwrap();
        let (length, kind, flags, id) = head(bytes);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        let answer = match (kind, flags) {
            (SETTINGS, 0) => frame(SETTINGS, ACK, 0, &[]),
            (PING, ACK) if payload == DATA_OF_PING => return "alive".to_owned(),
            (PING, 0) => frame(PING, ACK, 0, &payload),
            (GOAWAY, _) => return String::from_utf8_lossy(&payload[8..]).into_owned(),
            (HEADERS, _) => {
                came += 1;
                if came == count {
                    all_came.notify_one();
                }
                continue;
            }
            (RST_STREAM, _) if payload == CANCEL.to_be_bytes() => {
                given_up += 1;
                frame(HEADERS, END_HEADERS, id, OK)
            }
            _ => continue,
        };
        say(&mut stream, answer).await.unwrap();
        if kind == RST_STREAM && given_up == count {
            let ping = frame(PING, 0, 0, &DATA_OF_PING);
            say(&mut stream, ping).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_client_stands_answers_that_come_too_late() {
    const COUNT: usize = 1500;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::from(listener.local_addr().unwrap());
    let all_came = Arc::new(Notify::new());
    let peer = tokio::spawn(too_late(listener, COUNT, all_came.clone()));
    let client = Arc::new(client(ClientOptions::default()));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..COUNT {
        let (client, endpoint) = (client.clone(), endpoint.clone());
        calls.spawn(async move { ask(&client, &endpoint, &LambdaRequest::new("f", "")).await });
    }
    tokio::time::timeout(PATIENCE, all_came.notified())
        .await
        .unwrap();
    calls.shutdown().await;
    let said = tokio::time::timeout(PATIENCE, peer).await.unwrap();
    assert_eq!(said.unwrap(), "alive");
}
