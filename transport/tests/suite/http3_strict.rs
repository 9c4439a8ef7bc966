//! HTTP/3 clients that break the rules, and those that use all of their freedom: byte by byte.

use std::time::Duration;

use super::http3_cancels::Place;
use super::support::PATIENCE;
use edge_proto::RUN_LAMBDA_PATH;
use edge_proto::rpc::{LambdaRequest, LambdaResponse};
use edge_transport::Limits;
use edge_transport::quic::ALPN_H3;
use futures_util::FutureExt as _;
use h3::error::Code;
use prost::Message as _;
use quinn::{Connection, ConnectionError, ReadError, ReadToEndError, TransportConfig};

/// Something that is no error.
const NONE: u64 = Code::H3_NO_ERROR.value();
/// Numbers of the static table of QPACK.
const POST: u8 = 0xc0 | 20;
const GET: u8 = 0xc0 | 17;
const HTTPS: u8 = 0xc0 | 23;
const JSON: u8 = 0xc0 | 46;

async fn connected(place: &Place) -> (quinn::Endpoint, Connection) {
    let to = place.server.handle.local_addr();
    place
        .connected(ALPN_H3, TransportConfig::default(), to)
        .await
}

/// A field with a literal name.
fn field(name: &str, value: &str) -> Vec<u8> {
    let name_length = u8::try_from(name.len()).unwrap();
    let mut field = match name_length.checked_sub(7) {
        None => vec![0x20 | name_length],
        Some(more) => vec![0x27, more],
    };
    field.extend(name.as_bytes());
    field.push(u8::try_from(value.len()).unwrap());
    field.extend(value.as_bytes());
    field
}

/// A field section as a frame.
fn headers(fields: &[&[u8]]) -> Vec<u8> {
    let section = [&[0, 0][..], &fields.concat()].concat();
    let length = u16::try_from(section.len()).unwrap() | 0x4000;
    [&[1][..], &length.to_be_bytes(), &section].concat()
}

/// The head of a call of a lambda, with more fields.
fn head(more: &[&[u8]]) -> Vec<u8> {
    let (authority, path) = (
        field(":authority", "localhost"),
        field(":path", RUN_LAMBDA_PATH),
    );
    let kind = field("content-type", "application/grpc");
    let mut fields: Vec<&[u8]> = vec![&[POST], &[HTTPS], &authority, &path, &kind];
    fields.extend(more);
    headers(&fields)
}

/// A message, framed for gRPC, and its length.
fn message(name: &str) -> Vec<u8> {
    let message = LambdaRequest::new(name, "hello").encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat()
}

fn data(bytes: &[u8]) -> Vec<u8> {
    [&[0, u8::try_from(bytes.len()).unwrap()][..], bytes].concat()
}

/// What a connection is closed with.
async fn closed(connection: &Connection) -> u64 {
    let closed = tokio::time::timeout(PATIENCE, connection.closed()).await;
    match closed.expect("it is closed") {
        ConnectionError::ApplicationClosed(closed) => closed.error_code.into_inner(),
        other => panic!("closed, but not by the server: {other}"),
    }
}

/// What the server says to `said`, or the code with which it resets the stream.
async fn answer(connection: &Connection, said: &[&[u8]]) -> Result<Vec<u8>, u64> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    for said in said {
        // It fails where the server wants no more.
        if send.write_all(said).await.is_err() {
            break;
        }
        // In datagrams of their own.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    send.finish().ok();
    match tokio::time::timeout(PATIENCE, receive.read_to_end(1 << 20)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(ReadToEndError::Read(ReadError::Reset(code)))) => Err(code.into_inner()),
        other => panic!("{other:?}"),
    }
}

/// Whether this is the answer to a good call.
fn is_good(answer: &[u8]) -> bool {
    let expected = LambdaResponse {
        retcode: "OK".to_owned(),
        output: "HELLO".to_owned(),
        outcome: 1,
        ..LambdaResponse::default()
    };
    let expected = expected.encode_to_vec();
    let status = field("grpc-status", "0");
    let has = |part: &[u8]| answer.windows(part.len()).any(|window| window == part);
    has(&expected[..expected.len() - 2]) && answer.ends_with(&status)
}

#[tokio::test]
async fn streams_in_one_direction_that_break_the_rules_end_the_connection() {
    let place = Place::new();
    for (streams, is_finished, code) in [
        (
            &[&[0, 4, 0, 0, 0][..]][..],
            false,
            Code::H3_FRAME_UNEXPECTED,
        ),
        (&[&[0, 4, 0, 1, 0]], false, Code::H3_FRAME_UNEXPECTED),
        (&[&[0, 4, 0, 4, 0]], false, Code::H3_FRAME_UNEXPECTED),
        (&[&[0, 4, 0, 6, 0]], false, Code::H3_FRAME_UNEXPECTED),
        (&[&[0, 7, 1, 0]], false, Code::H3_MISSING_SETTINGS),
        (&[&[0, 0x21, 0]], false, Code::H3_MISSING_SETTINGS),
        (&[&[0, 4, 0]], true, Code::H3_CLOSED_CRITICAL_STREAM),
        (&[&[0, 4, 2, 2, 0]], false, Code::H3_SETTINGS_ERROR),
        (&[&[0, 4, 4, 6, 1, 6, 1]], false, Code::H3_SETTINGS_ERROR),
        (&[&[0, 4, 1, 6]], false, Code::H3_FRAME_ERROR),
        (&[&[0, 4, 0, 7, 2, 1, 1]], false, Code::H3_FRAME_ERROR),
        (&[&[0, 4, 0, 3, 1, 0]], false, Code::H3_ID_ERROR),
        (
            &[&[0, 4, 0, 0x0d, 1, 9, 0x0d, 1, 8]],
            false,
            Code::H3_ID_ERROR,
        ),
        (
            &[&[0, 4, 0], &[0, 4, 0]],
            false,
            Code::H3_STREAM_CREATION_ERROR,
        ),
        (&[&[2], &[2]], false, Code::H3_STREAM_CREATION_ERROR),
        (&[&[1, 0]], false, Code::H3_STREAM_CREATION_ERROR),
        (
            &[&[2, 0x41, b'a', 0]],
            false,
            Code::QPACK_ENCODER_STREAM_ERROR,
        ),
        (&[&[2, 0x3f, 1]], false, Code::QPACK_ENCODER_STREAM_ERROR),
        (&[&[3, 0x80]], false, Code::QPACK_DECODER_STREAM_ERROR),
        (&[&[3, 0x01]], false, Code::QPACK_DECODER_STREAM_ERROR),
        (&[&[3]], true, Code::H3_CLOSED_CRITICAL_STREAM),
    ] {
        let (_socket, connection) = connected(&place).await;
        let mut kept = Vec::new();
        for bytes in streams {
            let mut stream = connection.open_uni().await.unwrap();
            stream.write_all(bytes).await.unwrap();
            if is_finished {
                stream.finish().unwrap();
            }
            kept.push(stream);
        }
        assert_eq!(closed(&connection).await, code.value(), "{streams:?}");
    }
}

#[tokio::test]
async fn a_server_whose_control_stream_is_not_wanted_ends_the_connection() {
    let place = Place::new();
    let (_socket, connection) = connected(&place).await;
    let mut control = connection.accept_uni().await.unwrap();
    control.stop(0_u32.into()).unwrap();
    let code = Code::H3_CLOSED_CRITICAL_STREAM.value();
    assert_eq!(closed(&connection).await, code);
}

#[tokio::test]
async fn who_leaves_no_room_for_a_control_stream_breaks_a_rule() {
    let place = Place::with(Limits {
        handshake_timeout: Duration::from_secs(1),
        ..Limits::default()
    });
    let mut transport = TransportConfig::default();
    transport.max_concurrent_uni_streams(0_u32.into());
    let to = place.server.handle.local_addr();
    let (_socket, connection) = place.connected(ALPN_H3, transport, to).await;
    let code = Code::H3_GENERAL_PROTOCOL_ERROR.value();
    assert_eq!(closed(&connection).await, code);
}

#[tokio::test]
async fn frames_where_they_do_not_belong_end_the_connection() {
    let place = Place::new();
    let whole = [&head(&[])[..], &data(&message("shout"))].concat();
    let trailers = headers(&[&field("a", "b")]);
    for (said, code) in [
        (vec![0, 1, 7], Code::H3_FRAME_UNEXPECTED),
        (vec![4, 0], Code::H3_FRAME_UNEXPECTED),
        (vec![5, 0], Code::H3_FRAME_UNEXPECTED),
        (vec![8, 0], Code::H3_FRAME_UNEXPECTED),
        (
            [&whole[..], &trailers, &[0, 1, 7]].concat(),
            Code::H3_FRAME_UNEXPECTED,
        ),
        (
            [&whole[..], &trailers, &trailers].concat(),
            Code::H3_FRAME_UNEXPECTED,
        ),
        (vec![1, 5, 0], Code::H3_FRAME_ERROR),
        ([&head(&[])[..], &[0, 9, 0]].concat(), Code::H3_FRAME_ERROR),
        (vec![1, 0], Code::QPACK_DECOMPRESSION_FAILED),
        (
            headers(&[&[0xff, 99 - 63]]),
            Code::QPACK_DECOMPRESSION_FAILED,
        ),
        (headers(&[&[0x80]]), Code::QPACK_DECOMPRESSION_FAILED),
        (vec![1, 3, 1, 0, 0x80], Code::QPACK_DECOMPRESSION_FAILED),
    ] {
        let (_socket, connection) = connected(&place).await;
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(&said).await.unwrap();
        send.finish().unwrap();
        assert_eq!(closed(&connection).await, code.value(), "{said:x?}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_by_itself() {
    let place = Place::new();
    let (_socket, connection) = connected(&place).await;
    let body = message("shout");
    let length = body.len().to_string();
    let (authority, path) = (
        field(":authority", "localhost"),
        field(":path", RUN_LAMBDA_PATH),
    );
    let malformed = Code::H3_MESSAGE_ERROR.value();
    for (said, code) in [
        (Vec::new(), Code::H3_REQUEST_INCOMPLETE.value()),
        (vec![0x21, 1, 7], Code::H3_REQUEST_INCOMPLETE.value()),
        // Nowhere, nothing, by no method, without a scheme.
        (headers(&[&[POST], &[HTTPS], &path]), malformed),
        (headers(&[&[POST], &[HTTPS], &authority]), malformed),
        (headers(&[&[HTTPS], &authority, &path]), malformed),
        (headers(&[&[POST], &authority, &path]), malformed),
        // Addressed to two hosts; an answer; what only HTTP/1 has; upper case; out of order; twice.
        (head(&[&field("host", "elsewhere")]), malformed),
        (head(&[&[0xc0 | 25]]), malformed),
        (head(&[&field("connection", "close")]), malformed),
        (head(&[&field("Upper", "case")]), malformed),
        (head(&[&field(":unknown", "x")]), malformed),
        (
            headers(&[&[POST], &[POST], &[HTTPS], &authority, &path]),
            malformed,
        ),
        (head(&[&field("te", "gzip")]), malformed),
        // Lengths that are none, or are not kept.
        (head(&[&field("content-length", "1x")]), malformed),
        (
            [
                &head(&[
                    &field("content-length", &length),
                    &field("content-length", "9"),
                ])[..],
                &data(&body),
            ]
            .concat(),
            malformed,
        ),
        (
            [&head(&[&field("content-length", "9")])[..], &data(&body)].concat(),
            malformed,
        ),
        (
            [&head(&[&field("content-length", "99")])[..], &data(&body)].concat(),
            malformed,
        ),
        // Trailers that are none.
        (
            [&head(&[])[..], &data(&body), &headers(&[&[POST]])].concat(),
            malformed,
        ),
    ] {
        assert_eq!(answer(&connection, &[&said]).await, Err(code), "{said:x?}");
    }
    let announced = head(&[&field("content-length", &length)]);
    let good = answer(&connection, &[&announced, &data(&body)]).await;
    assert!(is_good(&good.unwrap()), "others are none the worse for it");
}

#[tokio::test]
async fn what_no_lambda_can_be_asked_with_has_a_status() {
    let place = Place::new();
    let (_socket, connection) = connected(&place).await;
    let (authority, path) = (
        field(":authority", "localhost"),
        field(":path", RUN_LAMBDA_PATH),
    );
    for (method, kind, status) in [(GET, JSON, "405"), (POST, JSON, "415")] {
        let head = headers(&[&[method], &[HTTPS], &authority, &path, &[kind]]);
        let answer = answer(&connection, &[&head]).await.unwrap();
        // The name of number 24, and a value.
        let expected = [&[1, 8, 0, 0, 0x5f, 24 - 15, 3][..], status.as_bytes()].concat();
        assert_eq!(answer, expected, "{status}");
    }
}

#[tokio::test]
async fn what_means_nothing_is_left_out_and_pieces_are_put_together() {
    let place = Place::new();
    let (_socket, connection) = connected(&place).await;
    // Settings and frames that nobody knows, a table without room, streams that are given up, and one
    // for nothing.
    let mut kept = Vec::new();
    for bytes in [
        &[0, 4, 5, 0x40, 0x42, 1, 0x21, 9, 0x21, 1, 7, 0x0d, 1, 4][..],
        &[2, 0x20],
        &[3, 0x41, 0x7f, 0x80, 1],
    ] {
        let mut stream = connection.open_uni().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        kept.push(stream);
    }
    let mut nothing = connection.open_uni().await.unwrap();
    nothing.write_all(&[0x40, 0x42, 1, 2, 3]).await.unwrap();
    nothing.stopped().await.unwrap();

    let body = message("shout");
    let (first, second) = body.split_at(3);
    let (nobody, empty) = ([0x40, 0x42, 3, 1, 2, 3], [0, 0]);
    let trailers = headers(&[&field("a", "b")]);
    let head = head(&[]);
    let said: [&[u8]; 8] = [
        &nobody,
        &head,
        &nobody,
        &data(first),
        &empty,
        &data(second),
        &trailers,
        &nobody,
    ];
    assert!(is_good(&answer(&connection, &said).await.unwrap()));
    let all = said.concat();
    assert!(is_good(&answer(&connection, &[&all]).await.unwrap()));
    let bytes: Vec<&[u8]> = all.chunks(7).collect();
    assert!(is_good(&answer(&connection, &bytes).await.unwrap()));
    assert!(connection.close_reason().is_none());
}

#[tokio::test]
async fn a_server_that_leaves_says_what_it_takes_and_rejects_the_rest() {
    let place = Place::new();
    let (_socket, connection) = connected(&place).await;
    let mut control = connection.accept_uni().await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let asked = [&head(&[])[..], &data(&message("never"))].concat();
    send.write_all(&asked).await.unwrap();
    send.finish().unwrap();
    place.waits_for(1).await;
    let handle = place.server.handle.clone();
    let drained = tokio::spawn(async move { handle.drain(PATIENCE).await });
    let mut said = Vec::new();
    while !said.ends_with(&[7, 1, 4]) {
        let chunk = control.read_chunk(usize::MAX, true).await.unwrap();
        said.extend(chunk.expect("it says good-bye before it ends").bytes);
    }
    assert_eq!(said[..2], [0, 4], "settings come first");
    let late = answer(&connection, &[&head(&[])]).await;
    assert_eq!(late, Err(Code::H3_REQUEST_REJECTED.value()));
    // The one that it has taken is given up by its client, and nothing is left to be done.
    receive.stop(0_u32.into()).unwrap();
    assert_eq!(closed(&connection).await, NONE);
    assert!(drained.await.unwrap());
}

#[tokio::test]
async fn a_client_may_open_more_requests_as_it_uses_them() {
    let place = Place::new();
    let (_socket, connection) = connected(&place).await;
    let mut streams = Vec::new();
    while let Some(stream) = connection.open_bi().now_or_never() {
        streams.push(stream.unwrap());
    }
    assert_eq!(streams.len(), 256);
    let asked = [&head(&[])[..], &data(&message("never"))].concat();
    for (send, _receive) in &mut streams[..33] {
        send.write_all(&asked).await.unwrap();
        send.finish().unwrap();
    }
    place.waits_for(33).await;
    let more = tokio::time::timeout(PATIENCE, connection.open_bi()).await;
    streams.push(more.expect("there is room").unwrap());
}
