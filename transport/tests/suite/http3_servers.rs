//! HTTP/3 servers that are not ours, called by our client.

use std::sync::Arc;
use std::time::Instant;

use super::support::{PATIENCE, ask, call, certificates, client};
use bytes::{Buf as _, Bytes};
use edge_proto::rpc::{LambdaRequest, LambdaResponse};
use edge_transport::quic::{ALPN_H3, Options};
use edge_transport::{CallError, ClientOptions, Endpoint, LambdaClient, Scheme};
use h3::error::Code;
use prost::Message as _;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, RecvStream, SendStream};
use tempfile::TempDir;

/// A socket of somebody else, and our client.
struct Place {
    socket: quinn::Endpoint,
    client: LambdaClient,
    endpoint: Endpoint,
    _folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = certificates(folder.path(), &["localhost"]);
        let mut tls = (*files.server_config().unwrap()).clone();
        tls.alpn_protocols = vec![ALPN_H3.to_vec()];
        let tls = QuicServerConfig::try_from(tls).unwrap();
        let config = quinn::ServerConfig::with_crypto(Arc::new(tls));
        let socket = quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
        let port = socket.local_addr().unwrap().port();
        Self {
            socket,
            client: client(ClientOptions {
                quic: Options {
                    tls: Some(files.client_config().unwrap()),
                    ..Options::default()
                },
                ..ClientOptions::default()
            }),
            endpoint: Endpoint::new("localhost", port).with_scheme(Scheme::H3),
            _folder: folder,
        }
    }

    async fn accepted(&self) -> Connection {
        self.socket.accept().await.unwrap().await.unwrap()
    }

    async fn ask(&self) -> Result<LambdaResponse, CallError> {
        let request = LambdaRequest::new("any", "hello");
        ask(&self.client, &self.endpoint, &request).await
    }

    /// A call that is answered byte by byte with these frames, if not more: on the stream, and on a
    /// control stream behind its settings.
    async fn answered(
        &self,
        answer: &[u8],
        control: &[u8],
    ) -> (Result<LambdaResponse, CallError>, Connection) {
        let serve = async {
            let connection = self.accepted().await;
            let mut ours = connection.open_uni().await.unwrap();
            ours.write_all(&[&[0, 4, 0][..], control].concat())
                .await
                .unwrap();
            let (mut send, _receive) = requested(&connection).await;
            send.write_all(answer).await.ok();
            send.finish().ok();
            // What ends as a whole is dropped as a whole.
            (connection, ours, send)
        };
        let (asked, (connection, ours, _send)) = tokio::join!(self.ask(), serve);
        std::mem::forget(ours);
        (asked, connection)
    }
}

/// A request that has come as a whole.
async fn requested(connection: &Connection) -> (SendStream, RecvStream) {
    let (send, mut receive) = connection.accept_bi().await.unwrap();
    receive.read_to_end(1 << 20).await.unwrap();
    (send, receive)
}

fn message() -> Vec<u8> {
    let answer = LambdaResponse {
        retcode: "OK".to_owned(),
        ..LambdaResponse::default()
    };
    let answer = answer.encode_to_vec();
    let length = u32::try_from(answer.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &answer].concat()
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, u8::try_from(payload.len()).unwrap()][..], payload].concat()
}

const STATUS_200: [u8; 3] = [0, 0, 0xc0 | 25];
const STATUS_103: [u8; 3] = [0, 0, 0xc0 | 24];

fn trailers(status: u8) -> Vec<u8> {
    frame(
        1,
        &[&[0, 0, 0x27, 4][..], b"grpc-status", &[1, status]].concat(),
    )
}

fn good() -> Vec<u8> {
    [frame(1, &STATUS_200), frame(0, &message()), trailers(b'0')].concat()
}

#[tokio::test]
async fn a_server_of_another_make_answers_our_client() {
    let place = Place::new();
    let serve = async {
        let connection = place.accepted().await;
        let streams = h3_quinn::Connection::new(connection);
        let mut requests = h3::server::builder().build(streams).await.unwrap();
        while let Ok(Some(resolver)) = requests.accept().await {
            let (request, mut stream) = resolver.resolve_request().await.unwrap();
            assert_eq!(request.uri().path(), edge_proto::RUN_LAMBDA_PATH);
            assert_eq!(request.uri().host(), Some("localhost"));
            let field = |name| request.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(field("content-type"), "application/grpc");
            assert_eq!(field("te"), "trailers");
            assert!(field("grpc-timeout").ends_with('u'));
            let mut bytes = Vec::new();
            while let Some(mut data) = stream.recv_data().await.unwrap() {
                bytes.extend_from_slice(&data.copy_to_bytes(data.remaining()));
            }
            let asked = LambdaRequest::decode(&bytes[5..]).unwrap();
            let answer = LambdaResponse {
                retcode: "OK".to_owned(),
                output: request
                    .headers()
                    .get("traceparent")
                    .map_or(String::new(), |value| value.to_str().unwrap().to_owned()),
                dataout: asked.datain,
                ..LambdaResponse::default()
            };
            let answer = answer.encode_to_vec();
            let length = u32::try_from(answer.len()).unwrap().to_be_bytes();
            let response = http::Response::builder()
                .header("content-type", "application/grpc")
                .body(())
                .unwrap();
            stream.send_response(response).await.unwrap();
            let framed = [&[0][..], &length, &answer].concat();
            stream.send_data(Bytes::from(framed)).await.unwrap();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
            trailers.insert("more", http::HeaderValue::from_static("of it"));
            stream.send_trailers(trailers).await.unwrap();
            stream.finish().await.unwrap();
        }
    };
    let asking = async {
        for size in [0, 10, 3_000, 1 << 20] {
            let request = LambdaRequest {
                datain: vec![7; size].into(),
                ..LambdaRequest::new("any", "hello")
            };
            let mut call = call(&request);
            if size > 0 {
                let name = http::HeaderName::from_static("traceparent");
                let value = http::HeaderValue::from_static("00-1-2-01");
                call.metadata.insert(&name, &value);
            }
            let reply = place.client.call(&place.endpoint, &call).await.unwrap();
            assert_eq!(reply.trailers.text("more"), Some("of it"));
            assert!(!reply.trailers.contains_key("grpc-status"));
            let answer = LambdaResponse::decode(reply.message).unwrap();
            assert_eq!(answer.dataout, request.datain);
            assert_eq!(answer.output.is_empty(), size == 0);
        }
    };
    tokio::select! {
        () = serve => unreachable!("it goes on"),
        () = asking => {}
    }
}

#[tokio::test]
async fn answers_of_all_kinds_are_understood() {
    let unknown = frame(0x21, &[1, 2, 3]);
    let message = message();
    let (first, second) = message.split_at(7);
    let in_pieces = [
        frame(1, &STATUS_103),
        unknown.clone(),
        frame(1, &STATUS_200),
        frame(0, first),
        unknown.clone(),
        frame(0, &[]),
        frame(0, second),
        trailers(b'0'),
        unknown,
    ];
    for answer in [good(), in_pieces.concat()] {
        // Settings and a frame that nobody knows.
        let (asked, _) = Place::new().answered(&answer, &[0x21, 1, 9]).await;
        assert_eq!(asked.unwrap().retcode, "OK");
    }
}

#[tokio::test]
async fn a_status_that_is_not_ok_is_the_answer() {
    let both = [frame(1, &STATUS_200), frame(0, &message()), trailers(b'8')];
    let only = [0, 0, 0xc0 | 25, 0x27, 4];
    let only = frame(1, &[&only[..], b"grpc-status", &[1, b'8']].concat());
    for answer in [both.concat(), only] {
        let (asked, _) = Place::new().answered(&answer, &[]).await;
        let error = asked.unwrap_err();
        let CallError::Status { status, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    }
}

#[tokio::test]
async fn a_server_may_answer_before_it_has_the_whole_request() {
    let place = Place::new();
    let serve = async {
        let connection = place.accepted().await;
        let (mut send, receive) = connection.accept_bi().await.unwrap();
        send.write_all(&good()).await.unwrap();
        send.finish().unwrap();
        // It neither reads the request nor says that it does not want it.
        (connection, send, receive)
    };
    // More than may be under way.
    let request = LambdaRequest {
        datain: vec![7; 8 << 20].into(),
        ..LambdaRequest::new("any", "hello")
    };
    let mut asking = call(&request);
    asking.deadline = Instant::now() + PATIENCE;
    let asked = place.client.call(&place.endpoint, &asking);
    let (asked, _kept) = tokio::join!(asked, serve);
    let answer = LambdaResponse::decode(asked.unwrap().message).unwrap();
    assert_eq!(answer.retcode, "OK");
}

#[tokio::test]
async fn answers_that_are_none_fail_and_the_connection_stays() {
    for answer in [
        Vec::new(),
        // Without a message, a status, a grpc-status; with a length that is not kept, in upper case.
        [frame(1, &STATUS_200), trailers(b'0')].concat(),
        frame(1, &[0, 0]),
        [
            frame(1, &STATUS_200),
            frame(0, &message()),
            frame(1, &[0, 0]),
        ]
        .concat(),
        [
            frame(1, &[0, 0, 0xc0 | 25, 0xc0 | 4]),
            frame(0, &message()),
            trailers(b'0'),
        ]
        .concat(),
        frame(1, &[0, 0, 0xc0 | 25, 0x21, b'A', 0]),
        // Not found; a request.
        frame(1, &[0, 0, 0xc0 | 27]),
        frame(1, &[0, 0, 0xc0 | 25, 0xc0 | 20]),
        // Compressed.
        [
            frame(1, &STATUS_200),
            frame(0, &[1, 0, 0, 0, 0]),
            trailers(b'0'),
        ]
        .concat(),
    ] {
        let (asked, connection) = Place::new().answered(&answer, &[]).await;
        asked.unwrap_err();
        assert!(connection.close_reason().is_none(), "{answer:x?}");
    }
}

#[tokio::test]
async fn servers_that_break_the_rules_lose_the_connection() {
    for (answer, control, code) in [
        (frame(0, &message()), &[][..], Code::H3_FRAME_UNEXPECTED),
        (frame(5, &[0]), &[], Code::H3_FRAME_UNEXPECTED),
        (
            frame(1, &[0, 0, 0x80]),
            &[],
            Code::QPACK_DECOMPRESSION_FAILED,
        ),
        (vec![1, 9, 0], &[], Code::H3_FRAME_ERROR),
        (
            [frame(1, &STATUS_103), frame(0, &message())].concat(),
            &[],
            Code::H3_FRAME_UNEXPECTED,
        ),
        (Vec::new(), &[7, 1, 3], Code::H3_ID_ERROR),
        (Vec::new(), &[0x0d, 1, 0], Code::H3_FRAME_UNEXPECTED),
        (Vec::new(), &[4, 0], Code::H3_FRAME_UNEXPECTED),
    ] {
        let (asked, connection) = Place::new().answered(&answer, control).await;
        asked.unwrap_err();
        let closed = tokio::time::timeout(PATIENCE, connection.closed()).await;
        let Ok(quinn::ConnectionError::ApplicationClosed(closed)) = closed else {
            panic!("{closed:?}");
        };
        assert_eq!(closed.error_code.into_inner(), code.value(), "{answer:x?}");
    }
}

#[tokio::test]
async fn a_server_that_takes_its_time_is_asked_for_a_sign_of_life_as_http3_allows() {
    let place = Place::new();
    let serve = async {
        let connection = place.accepted().await;
        let mut control = connection.accept_uni().await.unwrap();
        let (mut send, _receive) = requested(&connection).await;
        let mut said = Vec::new();
        // Behind the settings comes a frame that nobody knows, and no datagram, which would mean
        // something.
        while !said.ends_with(&[0x21, 0]) {
            tokio::select! {
                datagram = connection.read_datagram() => panic!("{datagram:?}"),
                chunk = control.read_chunk(usize::MAX, true) => {
                    said.extend(chunk.unwrap().expect("it stays open").bytes);
                }
            }
        }
        send.write_all(&good()).await.unwrap();
        send.finish().unwrap();
        (connection, control, send)
    };
    let (asked, _kept) = tokio::join!(place.ask(), serve);
    assert_eq!(asked.unwrap().retcode, "OK");
}

#[tokio::test]
async fn what_a_server_rejects_has_not_been_taken() {
    let place = Place::new();
    let serve = async {
        let connection = place.accepted().await;
        let (mut send, receive) = requested(&connection).await;
        let code = quinn::VarInt::from_u64(Code::H3_REQUEST_REJECTED.value()).unwrap();
        send.reset(code).unwrap();
        (connection, receive)
    };
    let (asked, _kept) = tokio::join!(place.ask(), serve);
    let error = asked.unwrap_err();
    assert!(error.never_left(), "{error}");
}

#[tokio::test]
async fn a_server_that_leaves_answers_what_it_has_taken_and_is_not_asked_again() {
    let place = Place::new();
    let rejected = quinn::VarInt::from_u64(Code::H3_REQUEST_REJECTED.value()).unwrap();
    let serve = async {
        let first = place.accepted().await;
        let mut ours = first.open_uni().await.unwrap();
        ours.write_all(&[0, 4, 0]).await.unwrap();
        let (mut send, _receive) = requested(&first).await;
        // Good-bye: what comes from stream 4 on is not taken.
        ours.write_all(&[7, 1, 4]).await.unwrap();
        send.write_all(&good()).await.unwrap();
        send.finish().unwrap();
        let second = loop {
            tokio::select! {
                incoming = place.socket.accept() => break incoming.unwrap().await.unwrap(),
                Ok((mut late, _)) = first.accept_bi() => late.reset(rejected).unwrap(),
            }
        };
        let mut more = second.open_uni().await.unwrap();
        more.write_all(&[0, 4, 0]).await.unwrap();
        let (mut send, _receive) = requested(&second).await;
        send.write_all(&good()).await.unwrap();
        send.finish().unwrap();
        // Nothing is under way on the first one any more.
        let closed = tokio::time::timeout(PATIENCE, first.closed()).await;
        closed.expect("the client closes it");
        (second, ours, more, send)
    };
    let ask = async {
        place.ask().await.unwrap();
        // The good-bye may be read later than the answer.
        while let Err(error) = place.ask().await {
            assert!(error.never_left(), "{error}");
        }
    };
    let ((), _kept) = tokio::join!(ask, serve);
}

#[tokio::test]
async fn more_metadata_than_a_server_takes_is_not_sent() {
    let place = Place::new();
    let serve = async {
        let connection = place.accepted().await;
        let mut ours = connection.open_uni().await.unwrap();
        // It takes 1,000 bytes of fields.
        ours.write_all(&[0, 4, 3, 6, 0x43, 0xe8]).await.unwrap();
        loop {
            let (mut send, _receive) = requested(&connection).await;
            send.write_all(&good()).await.unwrap();
            send.finish().unwrap();
        }
    };
    let ask = async {
        place.ask().await.unwrap();
        let mut large = call(&LambdaRequest::new("any", ""));
        let name = http::HeaderName::from_static("much");
        let value = http::HeaderValue::from_str(&"x".repeat(600)).unwrap();
        large.metadata.insert(&name, &value);
        // The settings may come later than the first answer.
        let deadline = Instant::now() + PATIENCE;
        loop {
            large.deadline = Instant::now() + PATIENCE;
            match place.client.call(&place.endpoint, &large).await {
                Ok(_) => assert!(Instant::now() < deadline),
                Err(error) => break error,
            }
        }
    };
    let asked = tokio::select! {
        _ = serve => unreachable!("it goes on"),
        asked = ask => asked,
    };
    assert!(asked.to_string().contains("metadata"), "{asked}");
}
