//! The server as its clients see it: rows SV1 to SV6, limits, deadlines, cancellation, drain.
#![allow(
    clippy::disallowed_methods,
    reason = "what a test waits for comes, or the test has failed"
)]

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::support::{
    PATIENCE, ask, call, certificates, client, eventually, serve, while_it_panics,
};
use edge_proto::rpc::edge_server_client::EdgeServerClient;
use edge_proto::rpc::{LambdaRequest, Outcome};
use edge_transport::tls::TlsFiles;
use edge_transport::{CallError, ClientOptions, Endpoint, Limits, Listener, control, pushback};
use tonic::Code;

fn shout(input: &str) -> LambdaRequest {
    LambdaRequest::new("shout", input)
}

#[test]
fn sv1_an_address_that_is_not_ours_or_taken_cannot_be_bound() {
    let error = Listener::bind(&"1.2.3.4:10000".parse().unwrap()).expect_err("not our address");
    assert_eq!(error.to_string(), "could not bind to 1.2.3.4:10000");

    let first = crate::support::localhost();
    let taken = Endpoint::from(first.local_addr());
    let error = Listener::bind(&taken).expect_err("one port, one server");
    let source = std::error::Error::source(&error)
        .expect("the cause is told")
        .to_string();
    assert!(source.contains("in use"), "{source}");
}

#[tokio::test]
async fn sv2_the_handler_answers() {
    let server = serve(|server| server);
    let answer = ask(
        &client(ClientOptions::default()),
        &server.endpoint(),
        &shout("Hello world!"),
    )
    .await;
    let answer = answer.expect("answered");
    assert_eq!(
        (answer.retcode.as_str(), answer.output.as_str()),
        ("OK", "HELLO WORLD!")
    );
}

#[tokio::test]
async fn sv3_an_unknown_lambda_gets_the_handlers_own_retcode() {
    let server = serve(|server| server);
    let request = LambdaRequest::new("unknown", "x");
    let answer = ask(
        &client(ClientOptions::default()),
        &server.endpoint(),
        &request,
    )
    .await;
    let answer = answer.expect("the status is OK");
    assert_eq!(
        (answer.retcode.as_str(), answer.output.as_str()),
        ("no lambda unknown", "")
    );
}

#[tokio::test]
async fn sv4_an_exception_in_the_handler_becomes_a_retcode() {
    let server = serve(|server| server);
    let request = LambdaRequest::new("my-bomb", "x");
    let answer = ask(&client(while_it_panics()), &server.endpoint(), &request).await;
    let answer = answer.expect("the status is OK");
    assert_eq!(
        answer.retcode,
        "invalid 'my-bomb' request: exception raised"
    );
    assert_eq!(answer.output, "");
}

#[tokio::test]
async fn sv5_the_same_holds_when_both_sides_are_secure() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificates(folder.path(), &["localhost"]);
    let server = serve(|server| server.with_tls(Some(files.server_config().unwrap())));
    let options = ClientOptions {
        tls: Some(files.client_config().unwrap()),
        ..while_it_panics()
    };
    let client = client(options);
    let answer = ask(&client, &server.endpoint(), &shout("Hello world!"))
        .await
        .expect("answered");
    assert_eq!(
        (answer.retcode.as_str(), answer.output.as_str()),
        ("OK", "HELLO WORLD!")
    );
    for (name, retcode) in [
        ("unknown", "no lambda unknown"),
        ("my-bomb", "invalid 'my-bomb' request: exception raised"),
    ] {
        let answer = ask(&client, &server.endpoint(), &LambdaRequest::new(name, "x")).await;
        assert_eq!(answer.expect("answered").retcode, retcode);
    }
}

#[tokio::test]
async fn sv6_secure_and_insecure_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificates(folder.path(), &["localhost"]);
    let secure = serve(|server| server.with_tls(Some(files.server_config().unwrap())));
    let insecure = serve(|server| server);
    let plain = client(ClientOptions::default());
    let error = ask(&plain, &secure.endpoint(), &shout("x"))
        .await
        .expect_err("refused");
    assert!(error.never_left(), "{error}");
    let options = ClientOptions {
        tls: Some(files.client_config().unwrap()),
        ..ClientOptions::default()
    };
    let error = ask(&client(options), &insecure.endpoint(), &shout("x")).await;
    let error = error.expect_err("refused");
    assert!(
        error.never_left() && error.to_string().contains("TLS handshake failed"),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_without_names_is_refused_and_the_error_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificates(folder.path(), &[]);
    let server = serve(|server| server.with_tls(Some(files.server_config().unwrap())));
    let options = ClientOptions {
        tls: Some(files.client_config().unwrap()),
        ..ClientOptions::default()
    };
    let error = ask(&client(options), &server.endpoint(), &shout("x")).await;
    let error = error.expect_err("refused").to_string();
    assert!(error.contains("no subject alternative name"), "{error}");
    assert!(error.contains("DNS:localhost"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_and_the_error_says_so() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let theirs = certificates(theirs.path(), &["localhost"]);
    let ours = certificates(ours.path(), &["localhost"]);
    let server = serve(|server| server.with_tls(Some(theirs.server_config().unwrap())));
    let options = ClientOptions {
        tls: Some(ours.client_config().unwrap()),
        ..ClientOptions::default()
    };
    let error = ask(&client(options), &server.endpoint(), &shout("x")).await;
    let error = error.expect_err("refused").to_string();
    assert!(error.contains("not signed by our CA"), "{error}");
}

#[tokio::test]
async fn a_client_whose_certificate_is_refused_is_told_so() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let theirs = certificates(theirs.path(), &["localhost"]);
    let stranger = TlsFiles {
        ca_certificate: theirs.ca_certificate.clone(),
        ..certificates(ours.path(), &["localhost"])
    };
    let server = serve(|server| server.with_tls(Some(theirs.server_config().unwrap())));
    let options = ClientOptions {
        tls: Some(stranger.client_config().unwrap()),
        ..ClientOptions::default()
    };
    let error = ask(&client(options), &server.endpoint(), &shout("x")).await;
    let error = error.expect_err("refused").to_string();
    assert!(
        error.contains("TLS handshake failed")
            && error.contains("the peer refuses our certificate"),
        "{error}"
    );
}

#[tokio::test]
async fn a_plain_client_of_a_secure_server_is_told_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificates(folder.path(), &["localhost"]);
    let server = serve(|server| server.with_tls(Some(files.server_config().unwrap())));
    let plain = client(ClientOptions::default());
    let error = ask(&plain, &server.endpoint(), &shout("x")).await;
    let error = error.expect_err("refused").to_string();
    assert!(
        error.contains("maybe it expects TLS, or speaks HTTP/1 only"),
        "{error}"
    );
}

#[test]
fn a_missing_key_is_named_with_the_variable_that_moves_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificates(folder.path(), &["localhost"]);
    std::fs::remove_file(folder.path().join("server.key")).unwrap();
    let error = files.server_config().expect_err("no key").to_string();
    assert!(
        error.contains("server.key") && error.contains("SERVER_KEY"),
        "{error}"
    );
}

#[tokio::test]
async fn a_thousand_calls_share_one_connection() {
    let server = serve(|server| server);
    let client = Arc::new(client(ClientOptions::default()));
    let endpoint = server.endpoint();
    let never = LambdaRequest::new("never", "");
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            let (client, endpoint, never) = (client.clone(), endpoint.clone(), never.clone());
            tokio::spawn(async move { ask(&client, &endpoint, &never).await })
        })
        .collect();
    eventually("all calls in flight", || {
        server.waiting.load(Ordering::SeqCst) == 1000
    })
    .await;
    let answer = ask(&client, &endpoint, &shout("still there?"))
        .await
        .expect("answered");
    assert_eq!(answer.output, "STILL THERE?");
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("all cancelled", || {
        server.waiting.load(Ordering::SeqCst) == 0
    })
    .await;
}

#[tokio::test]
async fn the_deadline_reaches_the_handler_and_ends_the_call() {
    let server = serve(|server| server);
    let client = client(ClientOptions::default());
    let mut asked = call(&LambdaRequest::new("deadline", ""));
    asked.deadline = Instant::now() + Duration::from_secs(100);
    let reply = client
        .call(&server.endpoint(), &asked)
        .await
        .expect("answered");
    let text = String::from_utf8_lossy(&reply.message).into_owned();
    let left: String = text.chars().filter(char::is_ascii_digit).collect();
    let left: u64 = left.parse().expect("a number of milliseconds");
    assert!((80_000..=100_000).contains(&left), "{left}");

    let mut asked = call(&LambdaRequest::new("never", ""));
    asked.deadline = Instant::now() + Duration::from_millis(300);
    let error = client
        .call(&server.endpoint(), &asked)
        .await
        .expect_err("it never answers");
    assert!(
        matches!(error, CallError::Deadline) && !error.never_left(),
        "{error}"
    );
    eventually("cancelled at the server", || {
        server.waiting.load(Ordering::SeqCst) == 0
    })
    .await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_with_the_limit() {
    let limits = Limits {
        max_message_bytes: 1000,
        ..Limits::default()
    };
    let server = serve(|server| server.with_limits(limits));
    let client = client(ClientOptions::default());
    for size in [1100, 5_000_000] {
        let error = ask(&client, &server.endpoint(), &shout(&"x".repeat(size))).await;
        match error.expect_err("too large") {
            CallError::Status { status, .. } => {
                assert_eq!(status.code(), Code::ResourceExhausted);
                assert!(status.message().contains("limit of 1000 bytes"), "{status}");
            }
            other => panic!("{other}"),
        }
    }
    let answer = ask(&client, &server.endpoint(), &shout("small"))
        .await
        .expect("answered");
    assert_eq!(answer.output, "SMALL");
}

#[tokio::test]
async fn bodies_of_all_sizes_come_back_as_they_went() {
    let server = serve(|server| server);
    let client = client(ClientOptions::default());
    for size in [0, 1, 5, 8_000, 8_192, 16_384, 100_000, 3_000_000] {
        let data: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let request = LambdaRequest {
            datain: data.clone().into(),
            ..shout("")
        };
        let answer = ask(&client, &server.endpoint(), &request)
            .await
            .expect("answered");
        assert!(answer.dataout == data, "{size} bytes");
    }
}

#[tokio::test]
async fn a_malformed_message_gets_a_retcode_that_says_so() {
    let server = serve(|server| server);
    let mut garbage = call(&shout(""));
    garbage.message = b"\x0a\xff".as_slice().into();
    let reply = client(ClientOptions::default())
        .call(&server.endpoint(), &garbage)
        .await;
    let reply = reply.expect("status OK").message;
    let view = edge_proto::view::ResponseView::parse(&reply).expect("valid");
    assert!(
        view.retcode.starts_with("malformed request: "),
        "{}",
        view.retcode
    );
    assert_eq!(view.outcome(), Outcome::ApplicationError);
}

#[tokio::test]
async fn a_request_with_more_names_than_anybody_needs_is_not_decoded() {
    let server = serve(|server| server);
    let mut many = shout("");
    many.chain = vec![String::new(); 100_001];
    let client = client(ClientOptions::default());
    let reply = client.call(&server.endpoint(), &call(&many)).await;
    let reply = reply.expect("status OK").message;
    let view = edge_proto::view::ResponseView::parse(&reply).expect("valid");
    assert!(
        view.retcode.contains("more than 100000"),
        "{}",
        view.retcode
    );
}

#[tokio::test]
async fn garbage_on_the_port_does_no_harm() {
    let server = serve(|server| server);
    let address = server.handle.local_addr();
    tokio::task::spawn_blocking(move || {
        for garbage in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &[0u8; 4096],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff",
        ] {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            // The server may close while we write or before we read: both are fine.
            let _written = stream.write_all(garbage);
            let _read = stream.read_to_end(&mut Vec::new());
        }
    })
    .await
    .unwrap();
    let client = client(ClientOptions::default());
    let answer = ask(&client, &server.endpoint(), &shout("x"))
        .await
        .expect("answered");
    assert_eq!(answer.output, "X");
}

#[tokio::test]
async fn a_client_of_another_make_is_served() {
    let server = serve(|server| server);
    let channel = control::channel(&server.endpoint(), None, PATIENCE);
    let mut stranger = EdgeServerClient::new(channel);
    let answer = stranger.run_lambda(shout("Hello")).await.expect("answered");
    assert!(control::is_ours(&answer), "our servers sign their answers");
    assert_eq!(answer.into_inner().output, "HELLO");
}

#[tokio::test]
async fn a_message_that_never_arrives_is_not_waited_for_beyond_the_deadline() {
    let server = serve(|server| server);
    let stream = tokio::net::TcpStream::connect(server.handle.local_addr())
        .await
        .unwrap();
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post("http://localhost/uiiit.rpc.EdgeServer/RunLambda")
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "100m")
        .body(())
        .unwrap();
    let (response, mut body) = requests
        .ready()
        .await
        .unwrap()
        .send_request(request, false)
        .unwrap();
    body.send_data(bytes::Bytes::from_static(b"\0\0\0\0\x09half"), false)
        .unwrap();
    let status = tonic::Status::from_header_map(response.await.unwrap().headers()).unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let server = serve(|server| server);
    let channel = control::channel(&server.endpoint(), None, PATIENCE);
    let mut stranger = edge_proto::rpc::edge_router_client::EdgeRouterClient::new(channel);
    let status = stranger
        .get_num_tables(edge_proto::rpc::Void {})
        .await
        .expect_err("not here");
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(
        status.message(),
        "nobody serves /uiiit.rpc.EdgeRouter/GetNumTables here"
    );
}

#[tokio::test]
async fn draining_finishes_what_is_in_flight_and_takes_nothing_new() {
    let server = serve(|server| server);
    let endpoint = server.endpoint();
    let client = Arc::new(client(ClientOptions::default()));
    let waiting = server.waiting.clone();
    let in_flight = {
        let (client, endpoint) = (client.clone(), endpoint.clone());
        tokio::spawn(async move { ask(&client, &endpoint, &LambdaRequest::new("held", "")).await })
    };
    eventually("in flight", || waiting.load(Ordering::SeqCst) == 1).await;
    let handle = server.handle.clone();
    let drained = tokio::spawn(async move { handle.drain(PATIENCE).await });
    eventually("new calls find nobody", || {
        std::net::TcpStream::connect(server.handle.local_addr()).is_err()
    })
    .await;
    let error = ask(&client, &endpoint, &shout("x"))
        .await
        .expect_err("draining");
    assert!(error.never_left(), "{error}");
    assert!(!drained.is_finished(), "it waits");
    server.release.notify_one();
    let answer = in_flight.await.unwrap().expect("not cut off");
    assert_eq!(answer.retcode, "OK");
    assert!(drained.await.unwrap(), "nothing was cut off");
}

#[tokio::test]
async fn a_killed_server_resets_its_connections() {
    let server = serve(|server| server);
    let endpoint = server.endpoint();
    let waiting = server.waiting.clone();
    let in_flight = tokio::spawn(async move {
        let client = client(ClientOptions::default());
        ask(&client, &endpoint, &LambdaRequest::new("never", "")).await
    });
    eventually("in flight", || waiting.load(Ordering::SeqCst) == 1).await;
    server.handle.kill().await;
    let error = in_flight.await.unwrap().expect_err("lost");
    assert!(
        matches!(error, CallError::Lost { .. }) && !error.never_left(),
        "{error}"
    );
    assert!(error.to_string().contains("reset"), "{error}");
}

#[tokio::test]
async fn the_trailers_of_the_handler_reach_the_caller() {
    let server = serve(|server| server);
    let client = client(ClientOptions::default());
    let busy = call(&LambdaRequest::new("busy", ""));
    let reply = client.call(&server.endpoint(), &busy).await;
    let trailers = reply.expect("answered").trailers;
    assert_eq!(trailers.text(pushback::NAME), Some("250"));
}
