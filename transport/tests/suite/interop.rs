//! Our side of HTTP/2 against others: `h2` as a client, tonic as a server.
#![allow(
    clippy::disallowed_methods,
    reason = "what a test waits for comes, or the test has failed"
)]

use std::sync::Arc;

use super::support::{PATIENCE, ask, certificates, client, serve};
use bytes::{BufMut as _, Bytes, BytesMut};
use edge_proto::rpc::edge_server_server::{EdgeServer, EdgeServerServer};
use edge_proto::rpc::{LambdaRequest, LambdaResponse};
use edge_transport::{ClientOptions, Endpoint, Limits, Server};
use h2::client::{ResponseFuture, SendRequest};
use prost::Message as _;
use tokio::time::timeout;
use tonic::{Request, Response, Status};

fn shout(size: usize) -> LambdaRequest {
    LambdaRequest {
        datain: (0..size)
            .map(|i| (i % 251) as u8)
            .collect::<Vec<_>>()
            .into(),
        ..LambdaRequest::new("shout", "x")
    }
}

/// Making messages of megabytes may keep a busy machine from everything else for seconds.
fn patient() -> ClientOptions {
    ClientOptions {
        connect_timeout: PATIENCE,
        ..ClientOptions::default()
    }
}

/// Whether stranger and ours understand each other with bodies of all sizes, many at a time.
async fn all_come_back(client: Arc<edge_transport::LambdaClient>, endpoint: &Endpoint) {
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..200 {
        let size = [0, 1, 100, 8_000, 20_000, 100_000, 1_000_000][number % 7];
        let (client, endpoint) = (client.clone(), endpoint.clone());
        calls.spawn(async move {
            let request = shout(size);
            let answer = ask(&client, &endpoint, &request).await.expect("answered");
            assert!(answer.dataout == request.datain, "{size} bytes");
        });
    }
    let all = async { while calls.join_next().await.transpose().unwrap().is_some() {} };
    timeout(PATIENCE, all).await.expect("nobody hangs");
}

struct Stranger;

#[tonic::async_trait]
impl EdgeServer for Stranger {
    async fn run_lambda(
        &self,
        request: Request<LambdaRequest>,
    ) -> Result<Response<LambdaResponse>, Status> {
        Ok(Response::new(LambdaResponse {
            retcode: "OK".to_owned(),
            dataout: request.into_inner().datain,
            ..LambdaResponse::default()
        }))
    }
}

#[tokio::test]
async fn a_server_of_another_make_answers_our_client() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::from(listener.local_addr().unwrap());
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let service = EdgeServerServer::new(Stranger)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX);
    let server = tonic::transport::Server::builder()
        .max_concurrent_streams(20)
        .add_service(service)
        .serve_with_incoming(incoming);
    let server = tokio::spawn(server);
    all_come_back(Arc::new(client(patient())), &endpoint).await;
    server.abort();
}

#[tokio::test]
async fn our_server_answers_our_client_in_the_clear_and_encrypted() {
    // Nor is this about how long handshakes may take.
    let limits = Limits {
        handshake_timeout: PATIENCE,
        ..Limits::default()
    };
    let patient_server = |server: Server<_>| server.with_limits(limits.clone());
    let server = serve(patient_server);
    let plain = Arc::new(client(patient()));
    all_come_back(plain, &server.endpoint()).await;
    let folder = tempfile::tempdir().unwrap();
    let files = certificates(folder.path(), &["localhost"]);
    let tls = Some(files.server_config().unwrap());
    let server = serve(|server| patient_server(server).with_tls(tls));
    let secure = Arc::new(client(ClientOptions {
        tls: Some(files.client_config().unwrap()),
        ..patient()
    }));
    all_come_back(secure, &server.endpoint()).await;
}

fn frame(request: &LambdaRequest) -> Bytes {
    let message = request.encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(&message);
    frame.freeze()
}

/// A connection of another make.
async fn stranger(address: std::net::SocketAddr) -> SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (requests, connection) = h2::client::Builder::new()
        .initial_connection_window_size(1 << 20)
        .handshake(stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    requests
}

async fn send(requests: &SendRequest<Bytes>, request: &LambdaRequest) -> ResponseFuture {
    let head = http::Request::post(format!("http://localhost{}", edge_proto::RUN_LAMBDA_PATH))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let mut ready = requests.clone().ready().await.unwrap();
    let (response, mut body) = ready.send_request(head, false).unwrap();
    body.send_data(frame(request), true).unwrap();
    response
}

/// The whole answer.
async fn read(response: ResponseFuture) -> (LambdaResponse, http::HeaderMap) {
    let mut body = response.await.unwrap().into_body();
    let mut bytes = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend_from_slice(&data);
    }
    let trailers = body.trailers().await.unwrap().unwrap_or_default();
    (LambdaResponse::decode(&bytes[5..]).unwrap(), trailers)
}

#[tokio::test]
async fn a_reader_that_stops_holds_up_its_own_stream_and_no_other() {
    let server = serve(|server| server);
    let requests = stranger(server.handle.local_addr()).await;
    // More than the window of a stream, less than that of the connection.
    let stopped = send(&requests, &shout(200_000)).await;
    let stopped = stopped.await.unwrap();
    for size in [10, 1000] {
        let answer = timeout(PATIENCE, read(send(&requests, &shout(size)).await));
        let (answer, trailers) = answer.await.expect("not held up");
        assert_eq!(answer.dataout.len(), size);
        assert_eq!(trailers["grpc-status"], "0");
    }
    drop(stopped);
}

#[tokio::test]
async fn a_client_of_another_make_is_answered_many_times_on_one_connection() {
    let server = serve(|server| server);
    let requests = stranger(server.handle.local_addr()).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..300 {
        let requests = requests.clone();
        let size = [0, 10, 1000, 30_000][number % 4];
        calls.spawn(async move {
            let (answer, trailers) = read(send(&requests, &shout(size)).await).await;
            assert_eq!(answer.dataout.len(), size);
            assert_eq!(trailers["grpc-status"], "0");
        });
    }
    let all = async { while calls.join_next().await.transpose().unwrap().is_some() {} };
    timeout(PATIENCE, all).await.expect("nobody hangs");
}
