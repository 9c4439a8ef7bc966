//! How long a server waits for peers that do not do their part, and what ends when it leaves.
#![allow(
    clippy::disallowed_methods,
    reason = "what a test waits for comes, or the test has failed"
)]

use std::io::Write as _;
use std::time::Duration;

use super::support::{PATIENCE, ask, client, cores, localhost, serve};
use bytes::Bytes;
use edge_proto::rpc::LambdaRequest;
use edge_transport::{ClientOptions, Limits, Server, control, services};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

fn checked(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[tokio::test]
async fn a_port_and_its_services_are_healthy_until_it_leaves() {
    let cores = cores(1);
    let (health, routes) = services::healthy(&["uiiit.rpc.EdgeServer"]).await;
    let server = Server::new(routes).serve(localhost(), &cores);
    let channel = control::channel(&server.local_addr().into(), None, PATIENCE);
    let mut asking = HealthClient::new(channel);
    for expected in [ServingStatus::Serving, ServingStatus::NotServing] {
        for service in ["", "uiiit.rpc.EdgeServer"] {
            let answer = asking.check(checked(service)).await.unwrap();
            assert_eq!(answer.into_inner().status(), expected, "'{service}'");
        }
        health.leave().await;
    }
    let status = asking.check(checked("uiiit.rpc.EdgeRouter")).await;
    assert_eq!(status.unwrap_err().code(), Code::NotFound);
    server.kill().await;
}

#[tokio::test]
async fn whoever_watches_learns_that_the_server_leaves_and_does_not_hold_it_up() {
    let cores = cores(1);
    let (health, routes) = services::healthy(&[]).await;
    let server = Server::new(routes).serve(localhost(), &cores);
    let channel = control::channel(&server.local_addr().into(), None, PATIENCE);
    let mut health_client = HealthClient::new(channel.clone());
    let watched = health_client.watch(checked("")).await.unwrap();
    let mut watched = watched.into_inner();
    let first = watched.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    // An explorer that keeps its stream open.
    let (_keep, questions) = tokio::sync::mpsc::channel::<ServerReflectionRequest>(1);
    let questions = tokio_stream::wrappers::ReceiverStream::new(questions);
    let mut explorer = ServerReflectionClient::new(channel);
    let explored = explorer.server_reflection_info(questions).await.unwrap();
    let mut explored = explored.into_inner();

    health.leave().await;
    assert!(server.drain(PATIENCE).await, "nothing was cut off");
    let last = watched.message().await.unwrap().unwrap();
    assert_eq!(last.status(), ServingStatus::NotServing);
    for end in [
        watched.message().await.unwrap_err(),
        explored.message().await.unwrap_err(),
    ] {
        assert_eq!(end.code(), Code::Unavailable);
        assert_eq!(end.message(), "the server is leaving");
    }
}

#[tokio::test]
async fn peers_that_are_frozen_with_nothing_in_flight_do_not_hold_up_a_drain() {
    let server = serve(|server| server);
    let address = server.handle.local_addr();
    let connect = || std::net::TcpStream::connect(address).unwrap();
    let _says_nothing = connect();
    let mut never_confirms = connect();
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    never_confirms.write_all(hello).unwrap();
    // Both have been accepted once a later connection has been served.
    let client = client(ClientOptions::default());
    let request = LambdaRequest::new("shout", "x");
    let answer = ask(&client, &server.endpoint(), &request).await.unwrap();
    assert_eq!(answer.output, "X");
    assert!(server.handle.drain(PATIENCE).await, "nothing was cut off");
}

#[tokio::test]
async fn connections_to_one_port_take_no_place_from_another_on_the_same_cores() {
    let cores = cores(1);
    let limits = Limits {
        max_connections: 1,
        ..Limits::default()
    };
    let (_, routes) = services::standard();
    let [full, free] = [routes.clone(), routes].map(|routes| {
        let server = Server::new(routes).with_limits(limits.clone());
        server.serve(localhost(), &cores)
    });
    let _only = std::net::TcpStream::connect(full.local_addr()).unwrap();
    let refused = control::channel(&full.local_addr().into(), None, PATIENCE);
    let refused = HealthClient::new(refused).check(checked("")).await;
    assert!(refused.is_err(), "{refused:?}");
    let served = control::channel(&free.local_addr().into(), None, PATIENCE);
    let served = HealthClient::new(served).check(checked("")).await;
    assert_eq!(
        served.unwrap().into_inner().status(),
        ServingStatus::Serving
    );
    tokio::join!(full.kill(), free.kill());
}

/// Sends the head of a request to `path` with this deadline, and leaves the rest to the caller.
async fn begin(
    address: std::net::SocketAddr,
    path: &str,
    grpc_timeout: &str,
) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", grpc_timeout)
        .body(())
        .unwrap();
    let mut ready = requests.ready().await.unwrap();
    ready.send_request(request, false).unwrap()
}

#[tokio::test]
async fn a_message_to_any_method_is_not_waited_for_beyond_the_deadline() {
    let cores = cores(1);
    let (_, routes) = services::standard();
    let server = Server::new(routes).serve(localhost(), &cores);
    let (response, mut body) =
        begin(server.local_addr(), "/grpc.health.v1.Health/Check", "100m").await;
    body.send_data(Bytes::from_static(b"\0\0\0\0\x09half"), false)
        .unwrap();
    let status = tonic::Status::from_header_map(response.await.unwrap().headers()).unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    server.kill().await;
}

#[tokio::test]
async fn a_large_answer_that_nobody_reads_is_given_up_at_its_deadline() {
    let server = serve(|server| server);
    let path = edge_proto::RUN_LAMBDA_PATH;
    // Time enough for the request to arrive.
    let (response, mut body) = begin(server.handle.local_addr(), path, "3S").await;
    let request = LambdaRequest {
        datain: vec![7; 1 << 20].into(),
        ..LambdaRequest::new("shout", "x")
    };
    let message = request.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    body.send_data(frame.into(), true).unwrap();
    let mut answer = response.await.unwrap().into_body();
    // Never makes room for more than the first window.
    let error = loop {
        match answer.data().await.expect("not the end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{error}");
}

#[tokio::test]
async fn a_request_without_a_deadline_gets_one() {
    use edge_proto::rpc::edge_server_client::EdgeServerClient;
    let server = serve(|server| server);
    let channel = control::streaming_channel(&server.endpoint(), None);
    let mut stranger = EdgeServerClient::new(channel);
    let answer = stranger.run_lambda(LambdaRequest::new("deadline", ""));
    let left_ms: u64 = answer.await.unwrap().into_inner().output.parse().unwrap();
    assert!((30_000..=60_000).contains(&left_ms), "{left_ms}");
}

/// A connection to `address` by which little comes at a time.
async fn slow_link(address: std::net::SocketAddr) -> tokio::io::DuplexStream {
    const ROOM: usize = 64 << 10;
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (near, far) = tokio::io::duplex(ROOM);
    let (mut from_server, mut to_server) = stream.into_split();
    let (mut from_client, mut to_client) = tokio::io::split(far);
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    tokio::spawn(async move {
        let mut part = vec![0; ROOM];
        while let Ok(count @ 1..) = from_server.read(&mut part).await {
            if to_client.write_all(&part[..count]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    });
    near
}

#[tokio::test]
async fn a_drain_waits_until_large_answers_have_come_to_who_reads_slowly() {
    const REQUESTS: usize = 10;
    const BYTES: usize = 400_000;
    let server = serve(|server| server);
    let link = slow_link(server.handle.local_addr()).await;
    let (requests, connection) = h2::client::Builder::new()
        .initial_window_size(1 << 24)
        .initial_connection_window_size(1 << 24)
        .handshake::<_, Bytes>(link)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut requests = requests.ready().await.unwrap();
    let message = LambdaRequest {
        datain: vec![7; BYTES].into(),
        ..LambdaRequest::new("shout", "x")
    }
    .encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = Bytes::from([&[0][..], &length, &message].concat());
    let mut responses = Vec::new();
    for _ in 0..REQUESTS {
        let path = edge_proto::RUN_LAMBDA_PATH;
        let request = http::Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        let (response, mut sending) = requests.send_request(request, false).unwrap();
        sending.send_data(body.clone(), true).unwrap();
        responses.push(response);
    }
    // All heads are there: so are the requests, and most of the answers are not.
    let mut answers = Vec::new();
    for response in responses {
        answers.push(response.await.unwrap().into_body());
    }
    let reading = async {
        for mut answer in answers {
            let mut bytes = 0;
            while let Some(part) = answer.data().await {
                bytes += part.expect("nothing is cut off").len();
            }
            assert!(bytes > BYTES, "{bytes}");
            assert!(answer.trailers().await.unwrap().is_some());
        }
    };
    let (drained, ()) = tokio::join!(server.handle.drain(3 * PATIENCE), reading);
    assert!(drained, "nothing was cut off");
}
