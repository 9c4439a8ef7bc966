//! The client against peers that misbehave: absent, silent, frozen, refusing, leaving.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use super::support::{PATIENCE, ask, client};
use bytes::Bytes;
use edge_proto::rpc::edge_router_client::EdgeRouterClient;
use edge_proto::rpc::{EdgeRouterConf, LambdaRequest};
use edge_transport::{
    CallError, ClientOptions, Endpoint, LambdaCall, LambdaClient, Metadata, control,
};
use futures_util::future::{Either, select};
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use prost::Message as _;
use tokio::net::TcpListener;
use tonic::Code;

fn request() -> LambdaRequest {
    LambdaRequest::new("lambda", "input")
}

async fn listener() -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::from(listener.local_addr().unwrap());
    (listener, endpoint)
}

/// A peer that speaks HTTP/2 and does `misbehave` with its first request.
async fn peer(misbehave: impl FnOnce(SendResponse<Bytes>) + Send + 'static) -> Endpoint {
    let (listener, endpoint) = listener().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, respond) = connection.accept().await.unwrap().unwrap();
        misbehave(respond);
        poll_fn(|cx| connection.poll_closed(cx)).await.ok();
    });
    endpoint
}

#[tokio::test]
async fn a_status_with_details_that_are_no_base64_harms_nobody() {
    const STATUS: [(&str, &str); 3] = [
        ("grpc-status", "8"),
        ("grpc-message", "no%FFroom"),
        ("grpc-status-details-bin", "!"),
    ];
    let status = || {
        let fields = STATUS.map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        HeaderMap::from_iter(fields)
    };
    for behind in [false, true] {
        let broken = move |mut respond: SendResponse<Bytes>| {
            let mut head = http::Response::new(());
            let kind = HeaderValue::from_static("application/grpc");
            head.headers_mut().insert(header::CONTENT_TYPE, kind);
            if behind {
                let mut body = respond.send_response(head, false).unwrap();
                body.send_trailers(status()).unwrap();
            } else {
                head.headers_mut().extend(status());
                respond.send_response(head, true).unwrap();
            }
        };
        let client = client(ClientOptions::default());
        let error = ask(&client, &peer(broken).await, &request()).await;
        let error = error.expect_err("it refuses");
        assert!(error.to_string().contains("no\u{FFFD}room"), "{error}");
        let channel = control::channel(&peer(broken).await, None, PATIENCE);
        let asked = EdgeRouterClient::new(channel)
            .configure(EdgeRouterConf::default())
            .await;
        let error = asked.expect_err("it refuses");
        assert_eq!(error.code(), Code::ResourceExhausted);
        assert_eq!(error.message(), "no\u{FFFD}room");
    }
}

#[tokio::test]
async fn nobody_there_means_that_nothing_left() {
    let (listener, endpoint) = listener().await;
    drop(listener);
    let error = ask(&client(ClientOptions::default()), &endpoint, &request()).await;
    let error = error.expect_err("nobody listens");
    assert!(
        matches!(error, CallError::Connect(_)) && error.never_left(),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with(&format!("could not connect to {endpoint}: ")),
        "{error}"
    );
}

#[tokio::test]
async fn connections_leave_from_the_address_that_was_asked_for() {
    let (listener, endpoint) = listener().await;
    let source = IpAddr::from([127, 0, 0, 7]);
    let options = ClientOptions {
        source: Some(source),
        ..ClientOptions::default()
    };
    let (client, request) = (client(options), request());
    let ask = ask(&client, &endpoint, &request);
    let accepted = async {
        let (_stream, peer) = listener.accept().await.unwrap();
        peer.ip()
    };
    // Who connects is let go at once.
    let (peer, _) = tokio::join!(accepted, ask);
    assert_eq!(peer, source);
}

#[tokio::test]
async fn a_peer_that_accepts_but_never_speaks_gets_no_request() {
    let (_listener, endpoint) = listener().await;
    let options = ClientOptions {
        connect_timeout: Duration::from_millis(100),
        ..ClientOptions::default()
    };
    let client = client(options);
    let request = request();
    let (first, second) = tokio::join!(
        ask(&client, &endpoint, &request),
        ask(&client, &endpoint, &request)
    );
    for error in [first, second] {
        let error = error.expect_err("it never speaks");
        assert!(
            error.never_left() && error.to_string().contains("no answer within"),
            "{error}"
        );
    }
}

/// Calls that are less patient than the peer takes to begin leave their attempt to those who come
/// later: there is one, however many have given up.
#[tokio::test]
async fn calls_that_lose_patience_do_not_undo_the_attempt_to_connect() {
    let (listener, endpoint) = listener().await;
    let (begin, begun) = tokio::sync::oneshot::channel::<()>();
    let peer = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        begun.await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let others = async {
            listener.accept().await.unwrap();
            panic!("a second connection");
        };
        let requests = async {
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
            }
        };
        tokio::select! {
            () = requests => {}
            () = others => {}
        }
    });
    let client = client(ClientOptions {
        connect_timeout: Duration::from_secs(60),
        ..ClientOptions::default()
    });
    let call = |patience| {
        let message = Bytes::from(request().encode_to_vec());
        let deadline = Instant::now() + patience;
        let call = LambdaCall {
            message,
            metadata: Metadata::new(),
            deadline,
        };
        let (client, endpoint) = (&client, &endpoint);
        async move { client.call(endpoint, &call).await }
    };
    let patience = Duration::from_millis(20);
    for _ in 0..5 {
        let (first, second) = tokio::join!(call(patience), call(patience));
        for answer in [first, second] {
            assert!(matches!(answer, Err(CallError::Deadline)), "{answer:?}");
        }
    }
    begin.send(()).unwrap();
    let refused = call(PATIENCE).await.expect_err("refused");
    assert!(refused.to_string().contains("stream refused"), "{refused}");
    drop(client);
    peer.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_freezes_is_found_long_before_the_deadline() {
    let (listener, endpoint) = listener().await;
    let frozen = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake::<_>(stream).await.unwrap();
        let _first = connection.accept().await.unwrap().unwrap();
        // Keeps the connection, but reads no more.
        std::future::pending::<()>().await;
    });
    let error = ask(&client(ClientOptions::default()), &endpoint, &request()).await;
    let error = error.expect_err("frozen");
    assert!(
        matches!(error, CallError::Lost { .. }) && !error.never_left(),
        "{error}"
    );
    assert!(error.to_string().contains("PING"), "{error}");
    frozen.abort();
}

/// Refuses all requests of the next connection, and answers its PINGs, for as long as it is polled.
async fn refuse_all(listener: &TcpListener) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        respond.send_reset(h2::Reason::REFUSED_STREAM);
    }
}

#[tokio::test]
async fn a_connection_is_proven_by_whoever_reads_it_and_replaced_if_nobody_does() {
    let (listener, endpoint) = listener().await;
    let client = client(ClientOptions::default());
    let far = || Instant::now() + Duration::from_secs(60);
    let name = endpoint.to_string();
    client.prove(&name, far()).await.unwrap();
    let is_untouched = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(is_untouched.is_err(), "none is opened to be proven");

    let mut first = Box::pin(refuse_all(&listener));
    let refused = ask_beside(&client, &endpoint, &mut first).await;
    assert!(refused.to_string().contains("stream refused"), "{refused}");
    let proven = client.prove(&name, far());
    match select(&mut first, pin!(proven)).await {
        Either::Left(_) => panic!("the connection ended"),
        Either::Right((proven, _)) => proven.unwrap(),
    }
    // From here on nobody reads the first connection, which stays open.
    let in_time = client.prove(&name, Instant::now() + Duration::from_millis(1));
    assert!(matches!(in_time.await, Err(CallError::Deadline)));
    let error = client.prove(&name, far()).await.expect_err("frozen");
    assert!(
        error.never_left() && error.to_string().contains("no answer to a PING"),
        "{error}"
    );

    let mut second = Box::pin(refuse_all(&listener));
    let refused = ask_beside(&client, &endpoint, &mut second).await;
    assert!(refused.to_string().contains("stream refused"), "{refused}");
}

/// The error of a call while a peer is polled that goes on for ever.
async fn ask_beside(
    client: &LambdaClient,
    endpoint: &Endpoint,
    peer: &mut (impl Future<Output = ()> + Unpin),
) -> CallError {
    let request = request();
    match select(peer, pin!(ask(client, endpoint, &request))).await {
        Either::Left(_) => panic!("the connection ended"),
        Either::Right((answer, _)) => answer.expect_err("refused"),
    }
}

#[tokio::test]
async fn a_refused_stream_never_left() {
    let endpoint = peer(|mut respond| respond.send_reset(h2::Reason::REFUSED_STREAM)).await;
    let error = ask(&client(ClientOptions::default()), &endpoint, &request()).await;
    let error = error.expect_err("refused");
    assert!(
        matches!(error, CallError::NotTaken { .. }) && error.never_left(),
        "{error}"
    );
}

#[tokio::test]
async fn a_cancelled_stream_may_have_been_acted_upon() {
    let endpoint = peer(|mut respond| respond.send_reset(h2::Reason::CANCEL)).await;
    let error = ask(&client(ClientOptions::default()), &endpoint, &request()).await;
    let error = error.expect_err("cancelled");
    assert!(!error.never_left(), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_no_grpc_is_invalid() {
    let endpoint = peer(|mut respond| {
        let response = http::Response::builder().status(503).body(()).unwrap();
        respond.send_response(response, true).unwrap();
    })
    .await;
    let error = ask(&client(ClientOptions::default()), &endpoint, &request()).await;
    let error = error.expect_err("503");
    assert!(matches!(error, CallError::Invalid { .. }), "{error}");
    assert!(error.to_string().contains("503"), "{error}");
}

/// Speaks just enough HTTP/2, frame by frame, to take the first of two
/// requests and to leave before the second.
async fn leaves_after_the_first_of_two(listener: TcpListener) -> std::io::Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    const SETTINGS_ACK: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";
    const PING_ACK: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0";
    const GOAWAY_LAST_1_NO_ERROR: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0";
    let (mut stream, _) = listener.accept().await?;
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await?;
    stream.write_all(SETTINGS).await?;
    let mut requests = 0;
    while requests < 2 {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await?;
        match (head[3], head[4]) {
            (1, _) => requests += 1,
            (4, 0) => stream.write_all(SETTINGS_ACK).await?,
            (6, 0) => stream.write_all(&[PING_ACK, &payload].concat()).await?,
            _ => {}
        }
    }
    stream.write_all(GOAWAY_LAST_1_NO_ERROR).await?;
    stream.shutdown().await
}

#[tokio::test]
async fn a_stream_beyond_the_last_one_of_a_goaway_never_left() {
    let (listener, endpoint) = listener().await;
    tokio::spawn(leaves_after_the_first_of_two(listener));
    let client = client(ClientOptions::default());
    let (request_1, request_2) = (request(), request());
    let (first, second) = tokio::join!(
        ask(&client, &endpoint, &request_1),
        ask(&client, &endpoint, &request_2)
    );
    let mut errors = [first, second].map(|answer| answer.expect_err("lost or not taken"));
    // Both waited for the connection; either may have been the first on it.
    errors.sort_by_key(CallError::never_left);
    let [first, second] = errors;
    assert!(
        matches!(first, CallError::Lost { .. }) && !first.never_left(),
        "{first:?}"
    );
    assert!(
        matches!(second, CallError::NotTaken { .. }) && second.never_left(),
        "{second:?}"
    );
}

#[tokio::test]
async fn a_peer_that_comes_back_is_found_again() {
    let (first, endpoint) = listener().await;
    drop(first);
    let client = client(ClientOptions::default());
    ask(&client, &endpoint, &request())
        .await
        .expect_err("nobody listens yet");
    let port = endpoint.port();
    let cores = crate::support::cores(1);
    let listener =
        edge_transport::Listener::bind(&Endpoint::new("127.0.0.1", port)).expect("still free");
    let service = std::sync::Arc::new(edge_transport::Typed(crate::support::Shouter::default()));
    let server = edge_transport::Server::new(tonic::service::Routes::default())
        .with_lambda(service)
        .serve(listener, &cores);
    let shout = LambdaRequest::new("shout", "back");
    assert_eq!(
        ask(&client, &endpoint, &shout).await.expect("there").output,
        "BACK"
    );
    server.kill().await;
    ask(&client, &endpoint, &shout)
        .await
        .expect_err("gone again");
}
