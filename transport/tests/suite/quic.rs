//! Lambdas over QUIC, natively: the behaviour of server and client that other transports have, too.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::support::{
    PATIENCE, Running, ask, call, certificates, client, eventually, serve_on, while_it_panics,
};
use edge_proto::rpc::LambdaRequest;
use edge_transport::quic::{Congestion, Options, Prefer};
use edge_transport::{
    CallError, ClientOptions, Endpoint, LambdaClient, Limits, Listener, Listens, Scheme, pushback,
};
use futures_util::future::join_all;
use tempfile::TempDir;
use tonic::Code;

/// A server with a UDP port, and what its clients need.
pub(super) struct Place {
    pub(super) folder: TempDir,
    pub(super) server: Running,
}

impl Place {
    pub(super) fn new(listens: Listens, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = certificates(folder.path(), &["localhost"]);
        let tls = files.server_config().unwrap();
        let listener = Listener::bind_for(&Endpoint::new("127.0.0.1", 0), listens).unwrap();
        let server = serve_on(listener, |server| {
            server
                .with_quic(Some(tls), Congestion::Cubic)
                .with_limits(limits)
        });
        Self { folder, server }
    }

    pub(super) fn options(&self) -> ClientOptions {
        let folder = self.folder.path().to_owned();
        let files = edge_transport::tls::TlsFiles::from_variables(|name| {
            (name == "CERT_DIR").then(|| folder.clone())
        });
        ClientOptions {
            quic: Options {
                tls: Some(files.unwrap().client_config().unwrap()),
                ..Options::default()
            },
            ..ClientOptions::default()
        }
    }

    fn client(&self) -> LambdaClient {
        client(self.options())
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        self.server.endpoint().with_scheme(Scheme::Quic)
    }
}

fn place() -> Place {
    Place::new(Listens::Udp, Limits::default())
}

#[tokio::test]
async fn a_lambda_is_answered() {
    let place = place();
    for congestion in [Congestion::Cubic, Congestion::Bbr] {
        let mut options = place.options();
        options.quic.congestion = congestion;
        let client = client(options);
        let request = LambdaRequest::new("shout", "hello");
        let answer = ask(&client, &place.endpoint(), &request).await.unwrap();
        assert_eq!(answer.output, "HELLO");
    }
    assert_eq!(place.server.handle.quic().connections(), 2);
}

#[tokio::test]
async fn a_thousand_calls_share_one_connection() {
    let place = place();
    let client = place.client();
    let endpoint = place.endpoint();
    let request = LambdaRequest::new("shout", "hello");
    let answers = join_all((0..1000).map(|_| ask(&client, &endpoint, &request))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(place.server.handle.quic().connections(), 1);
}

#[tokio::test]
async fn bodies_of_all_sizes_come_back_as_they_went() {
    let place = place();
    let client = place.client();
    for size in [0, 1, 1_000, 1_500, 2_049, 70_000, 4 << 20] {
        let request = LambdaRequest {
            datain: (0..size).map(|at: usize| (at % 251) as u8).collect(),
            ..LambdaRequest::new("shout", "")
        };
        let answer = ask(&client, &place.endpoint(), &request).await.unwrap();
        assert_eq!(answer.dataout, request.datain, "{size}");
    }
}

#[tokio::test]
async fn a_field_fits_behind_a_large_answer_in_its_place() {
    let place = place();
    let client = place.client();
    for scheme in [Scheme::Quic, Scheme::H3] {
        let endpoint = place.server.endpoint().with_scheme(scheme);
        for size in [1_500, 10_000, 70_000] {
            let request = call(&LambdaRequest::new("shout", "a".repeat(size)));
            let reply = client.call(&endpoint, &request).await.unwrap();
            let message = reply.message.try_into_mut().expect("nobody else holds it");
            let room = message.capacity() - message.len();
            assert!(room >= 64, "{room} bytes behind {size}, {scheme:?}");
        }
    }
}

#[tokio::test]
async fn the_trailers_of_the_handler_reach_the_caller() {
    let place = place();
    let request = call(&LambdaRequest::new("busy", ""));
    let reply = place
        .client()
        .call(&place.endpoint(), &request)
        .await
        .unwrap();
    let pause = Duration::from_millis(250);
    assert_eq!(
        pushback::get(&reply.trailers),
        Some(pushback::PushBack::After(pause))
    );
}

#[tokio::test]
async fn the_deadline_reaches_the_handler_and_ends_the_call() {
    let place = place();
    let client = place.client();
    let mut request = call(&LambdaRequest::new("deadline", ""));
    request.deadline = Instant::now() + Duration::from_secs(100);
    let reply = client.call(&place.endpoint(), &request).await.unwrap();
    let answer: edge_proto::rpc::LambdaResponse = prost::Message::decode(reply.message).unwrap();
    let left: u64 = answer.output.parse().unwrap();
    assert!((1..=100_000).contains(&left), "{left}");

    let mut request = call(&LambdaRequest::new("never", ""));
    request.deadline = Instant::now() + Duration::from_millis(100);
    let error = client.call(&place.endpoint(), &request).await.unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error}");
    // And what nobody waits for is not worked on.
    let waiting = place.server.waiting.clone();
    eventually("the handler is dropped", || {
        waiting.load(Ordering::SeqCst) == 0
    })
    .await;
}

#[tokio::test]
async fn who_drops_a_call_cancels_it_at_the_server() {
    let place = place();
    let client = Arc::new(place.client());
    let (asking, endpoint) = (client.clone(), place.endpoint());
    let asked =
        tokio::spawn(
            async move { ask(&asking, &endpoint, &LambdaRequest::new("never", "")).await },
        );
    let waiting = place.server.waiting.clone();
    eventually("it waits", || waiting.load(Ordering::SeqCst) == 1).await;
    asked.abort();
    eventually("it is dropped", || waiting.load(Ordering::SeqCst) == 0).await;
    // The connection is none the worse for it.
    let request = LambdaRequest::new("shout", "hello");
    ask(&client, &place.endpoint(), &request).await.unwrap();
    assert_eq!(place.server.handle.quic().connections(), 1);
}

async fn who_waits_for_a_place_tells_the_server_what_is_left_then(scheme: Scheme) {
    let place = Place::new(
        Listens::Udp,
        Limits {
            max_concurrent_streams: 1,
            ..Limits::default()
        },
    );
    let client = Arc::new(place.client());
    let endpoint = place.endpoint().with_scheme(scheme);
    let (asking, to) = (client.clone(), endpoint.clone());
    let first =
        tokio::spawn(async move { ask(&asking, &to, &LambdaRequest::new("never", "")).await });
    let waiting = place.server.waiting.clone();
    eventually("it waits", || waiting.load(Ordering::SeqCst) == 1).await;
    let request = call(&LambdaRequest::new("deadline", ""));
    let second = client.clone();
    let deadline = request.deadline;
    let second = tokio::spawn(async move { second.call(&endpoint, &request).await });
    // There is no place for the second one until the first is given up.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let most = deadline - Instant::now();
    first.abort();
    let reply = second.await.unwrap().unwrap();
    let answer: edge_proto::rpc::LambdaResponse = prost::Message::decode(reply.message).unwrap();
    let left: u128 = answer.output.parse().unwrap();
    assert!(left <= most.as_millis(), "{left} of {most:?}");
}

#[tokio::test]
async fn who_waits_for_a_place_tells_the_server_what_is_left_then_natively() {
    who_waits_for_a_place_tells_the_server_what_is_left_then(Scheme::Quic).await;
}

#[tokio::test]
async fn who_waits_for_a_place_tells_the_server_what_is_left_then_over_http3() {
    who_waits_for_a_place_tells_the_server_what_is_left_then(Scheme::H3).await;
}

#[tokio::test]
async fn a_panic_of_a_handler_and_an_unknown_lambda_are_answers() {
    let place = place();
    let client = client(ClientOptions {
        quic: place.options().quic,
        ..while_it_panics()
    });
    for (name, expected) in [
        ("my-bomb", "exception raised"),
        ("other", "no lambda other"),
    ] {
        let request = LambdaRequest::new(name, "");
        let answer = ask(&client, &place.endpoint(), &request).await.unwrap();
        assert!(answer.retcode.contains(expected), "{}", answer.retcode);
    }
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_with_the_limit() {
    let limits = Limits {
        max_message_bytes: 100_000,
        ..Limits::default()
    };
    let place = Place::new(Listens::Udp, limits);
    let client = place.client();
    let request = LambdaRequest::new("shout", "x".repeat(3 << 20));
    let error = ask(&client, &place.endpoint(), &request).await.unwrap_err();
    let CallError::Status { status, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("100000"), "{status}");
    let request = LambdaRequest::new("shout", "hello");
    ask(&client, &place.endpoint(), &request).await.unwrap();
}

#[tokio::test]
async fn draining_finishes_what_is_in_flight_and_sends_the_rest_elsewhere() {
    let place = place();
    let client = Arc::new(place.client());
    let endpoint = place.endpoint();
    let slow = {
        let (client, endpoint) = (client.clone(), endpoint.clone());
        tokio::spawn(async move { ask(&client, &endpoint, &LambdaRequest::new("held", "")).await })
    };
    let waiting = place.server.waiting.clone();
    eventually("it waits", || waiting.load(Ordering::SeqCst) == 1).await;
    let handle = place.server.handle.clone();
    let drained = tokio::spawn(async move { handle.drain(PATIENCE).await });
    // Until the client has been told, requests are still taken; then there is nobody any more.
    let late = LambdaRequest::new("shout", "hello");
    let refused = loop {
        match ask(&client, &endpoint, &late).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(refused.never_left(), "{refused}");
    assert!(!drained.is_finished(), "it waits");
    place.server.release.notify_one();
    let answer = slow.await.unwrap().expect("not cut off");
    assert_eq!(answer.retcode, "OK");
    assert!(drained.await.unwrap(), "nothing was cut off");
}

#[tokio::test]
async fn a_server_that_is_killed_loses_what_is_in_flight() {
    let place = place();
    let client = Arc::new(place.client());
    let endpoint = place.endpoint();
    let asking = client.clone();
    let asked =
        tokio::spawn(
            async move { ask(&asking, &endpoint, &LambdaRequest::new("never", "")).await },
        );
    let waiting = place.server.waiting.clone();
    eventually("it waits", || waiting.load(Ordering::SeqCst) == 1).await;
    place.server.handle.kill().await;
    let error = asked.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Lost { .. }), "{error}");
}

#[tokio::test]
async fn a_client_that_changes_its_address_goes_on() {
    let place = place();
    let client = Arc::new(place.client());
    let endpoint = place.endpoint();
    let request = LambdaRequest::new("shout", "hello");
    // Before the handshake is confirmed nobody may change its address (RFC 9000, section 9).
    ask(&client, &endpoint, &request).await.unwrap();
    for _ in 0..5 {
        let before = join_all((0..20).map(|_| ask(&client, &endpoint, &request)));
        let (answers, rebound) = tokio::join!(before, async {
            tokio::task::yield_now().await;
            client.rebind()
        });
        rebound.unwrap();
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        ask(&client, &endpoint, &request).await.unwrap();
    }
    let counters = place.server.handle.quic();
    assert_eq!(counters.connections(), 1);
    assert!(counters.migrations() > 0, "it was noticed");
}

#[tokio::test]
async fn both_ports_have_one_number_and_serve_the_same() {
    let place = Place::new(Listens::Both, Limits::default());
    let client = place.client();
    let request = LambdaRequest::new("shout", "hello");
    for scheme in [Scheme::Unsaid, Scheme::Quic] {
        let endpoint = place.endpoint().with_scheme(scheme);
        ask(&client, &endpoint, &request).await.unwrap();
    }
    assert_eq!(place.server.handle.quic().connections(), 1);
}

#[tokio::test]
async fn who_may_use_both_takes_what_there_is() {
    let request = LambdaRequest::new("shout", "hello");
    let by_a_newcomer = async |place: &Place| {
        let mut options = place.options();
        options.quic.prefer = Prefer::Both;
        let client = client(options);
        let endpoint = place.endpoint().with_scheme(Scheme::Unsaid);
        for _ in 0..2 {
            ask(&client, &endpoint, &request).await.unwrap();
        }
        place.server.handle.quic().connections()
    };
    for (listens, over_quic) in [(Listens::Tcp, 0), (Listens::Udp, 1)] {
        let place = Place::new(listens, Limits::default());
        assert_eq!(by_a_newcomer(&place).await, over_quic, "{listens:?}");
    }
    // QUIC has a head start, which a slow machine may use up.
    let place = Place::new(Listens::Both, Limits::default());
    let deadline = Instant::now() + PATIENCE;
    while by_a_newcomer(&place).await == 0 {
        assert!(Instant::now() < deadline, "nobody comes by QUIC");
    }
}

#[tokio::test]
async fn without_certificates_there_is_no_quic_and_the_error_says_so() {
    let place = place();
    let client = client(ClientOptions::default());
    let request = LambdaRequest::new("shout", "hello");
    let error = ask(&client, &place.endpoint(), &request).await.unwrap_err();
    assert!(error.never_left());
    assert!(
        error.to_string().contains("QUIC needs certificates"),
        "{error}"
    );
}

#[tokio::test]
async fn certificates_are_verified_on_both_sides() {
    let place = place();
    let strangers = Place::new(Listens::Udp, Limits::default());
    let client = strangers.client();
    let request = LambdaRequest::new("shout", "hello");
    let error = ask(&client, &place.endpoint(), &request).await.unwrap_err();
    assert!(error.never_left());
    assert!(
        error.to_string().contains("TLS handshake failed"),
        "{error}"
    );
}

#[tokio::test]
async fn http3_serves_and_asks_for_the_same() {
    let place = Place::new(Listens::Both, Limits::default());
    let client = Arc::new(place.client());
    let endpoint = place.endpoint().with_scheme(Scheme::H3);
    for size in [0, 10, 3_000, 4 << 20] {
        let request = LambdaRequest {
            datain: vec![7; size].into(),
            ..LambdaRequest::new("shout", "hello")
        };
        let answer = ask(&client, &endpoint, &request).await.unwrap();
        assert_eq!(answer.output, "HELLO");
        assert_eq!(answer.dataout.len(), size);
    }
    let busy = call(&LambdaRequest::new("busy", ""));
    let reply = client.call(&endpoint, &busy).await.unwrap();
    assert!(pushback::get(&reply.trailers).is_some());
    let mut never = call(&LambdaRequest::new("never", ""));
    never.deadline = Instant::now() + Duration::from_millis(100);
    let error = client.call(&endpoint, &never).await.unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error}");
    let many = LambdaRequest::new("shout", "hello");
    let answers = join_all((0..200).map(|_| ask(&client, &endpoint, &many))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(place.server.handle.quic().connections(), 1);
}

#[tokio::test]
async fn http3_refuses_what_is_too_large_with_a_status() {
    let limits = Limits {
        max_message_bytes: 100_000,
        ..Limits::default()
    };
    let place = Place::new(Listens::Udp, limits);
    let endpoint = place.endpoint().with_scheme(Scheme::H3);
    let request = LambdaRequest::new("shout", "x".repeat(200_000));
    let error = ask(&place.client(), &endpoint, &request).await.unwrap_err();
    let CallError::Status { status, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(status.code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn http3_drains() {
    let place = place();
    let client = place.client();
    let endpoint = place.endpoint().with_scheme(Scheme::H3);
    let request = LambdaRequest::new("shout", "hello");
    ask(&client, &endpoint, &request).await.unwrap();
    assert!(place.server.handle.drain(PATIENCE).await);
    let error = ask(&client, &endpoint, &request).await.unwrap_err();
    assert!(error.never_left(), "{error}");
}
