//! A client of several end-points.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use edge_client::{ErrorKind, MultiClient, MultiClientError, NONE_RESPONDED};
use edge_proto::rpc::{LambdaRequest, Outcome};
use edge_transport::Endpoint;

use crate::support::{Computer, PATIENCE, echo, nobody, transport};

fn client(endpoints: impl IntoIterator<Item = Endpoint>, persistence: f64) -> MultiClient {
    MultiClient::new(transport(), endpoints, persistence, 1).unwrap()
}

fn request(lambda: &str, dry: bool) -> LambdaRequest {
    LambdaRequest {
        dry,
        ..LambdaRequest::new(lambda, "hello")
    }
}

/// Polls `condition` between turns of the runtime.
async fn eventually(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
}

#[tokio::test]
async fn mc1_an_empty_set_of_end_points_is_an_error() {
    let error = MultiClient::new(transport(), [], 0.5, 0).unwrap_err();
    assert_eq!(error, MultiClientError::NoEndpoints);
    for persistence in [-0.1, 1.1, f64::NAN] {
        let error = MultiClient::new(transport(), [nobody()], persistence, 0).unwrap_err();
        assert!(matches!(error, MultiClientError::Persistence(_)), "{error}");
    }
}

#[tokio::test]
async fn mc2_a_server_that_is_not_up_yet_is_a_retcode_and_serves_once_it_is() {
    let endpoint = nobody();
    let client = client([endpoint.clone()], 0.5);
    for dry in [false, true] {
        let error = client.call(&request("clambda0", dry), PATIENCE).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Retcode(Outcome::Unavailable));
        assert!(error.to_string().starts_with(NONE_RESPONDED), "{error}");
    }
    let _computer = Computer::start_at(&endpoint, |request| async move { echo(&request) });
    for dry in [false, true] {
        let answer = client.call(&request("clambda0", dry), PATIENCE).await;
        assert_eq!(answer.unwrap().response.responder, endpoint.to_string());
    }
}

#[tokio::test]
async fn mc3_an_unknown_lambda_is_a_retcode() {
    let computers = [
        Computer::echo(Duration::ZERO),
        Computer::echo(Duration::ZERO),
    ];
    let client = client(computers.iter().map(Computer::endpoint), 1.0);
    let primary = client.primary().clone();
    let error = client
        .call(&request("other", false), PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retcode(Outcome::NotFound));
    assert_eq!(client.primary(), &primary, "it answered, if not well");
}

#[tokio::test]
async fn mc4_only_the_fast_computers_win_and_both_do() {
    // Each is the faster one from time to time.
    let fast = || {
        let calls = AtomicUsize::new(0);
        Computer::start(move |request| {
            let odd = calls.fetch_add(1, Ordering::SeqCst) % 2 == 1;
            let delay = Duration::from_millis(if odd { 30 } else { 10 });
            async move {
                tokio::time::sleep(delay).await;
                echo(&request)
            }
        })
    };
    let (first, second) = (fast(), fast());
    // Its address is the last in order: a slow primary would win at first. It answers when the others
    // have had time enough on any machine.
    let slow = Computer::start_at(&Endpoint::new("127.0.0.2", 0), |request| async move {
        tokio::time::sleep(PATIENCE / 2).await;
        echo(&request)
    });
    let client = client([&first, &second, &slow].map(Computer::endpoint), 0.5);
    let mut wins: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..100 {
        let answer = client.call(&request("clambda0", false), PATIENCE).await;
        *wins.entry(answer.unwrap().response.responder).or_default() += 1;
    }
    let mut expected = [first.endpoint().to_string(), second.endpoint().to_string()];
    expected.sort();
    assert_eq!(wins.into_keys().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn an_answer_that_names_its_responder_keeps_it() {
    let router = Computer::start(|request| async move {
        let mut response = echo(&request);
        response.responder = "computer:1".to_owned();
        response
    });
    let client = client([router.endpoint()], 0.0);
    let answer = client.call(&request("clambda0", false), PATIENCE).await;
    assert_eq!(answer.unwrap().response.responder, "computer:1");
}

#[tokio::test]
async fn a_silent_end_point_delays_nothing_and_gathers_no_requests() {
    let (fast, silent) = (Computer::echo(Duration::ZERO), Computer::silent());
    let client = client([fast.endpoint(), silent.endpoint()], 1.0);
    let responder = fast.endpoint().to_string();
    for _ in 0..20 {
        let call = request("clambda0", false);
        let answer = tokio::time::timeout(PATIENCE, client.call(&call, PATIENCE * 2)).await;
        assert_eq!(answer.unwrap().unwrap().response.responder, responder);
    }
    eventually(|| silent.running() <= 1 && !silent.seen().is_empty()).await;
}

#[tokio::test]
async fn copies_that_lost_are_cancelled_at_end_points_that_are_known_to_answer() {
    let fast = Computer::echo(Duration::ZERO);
    let stuck = Arc::new(AtomicBool::new(false));
    let behaviour = stuck.clone();
    let other = Computer::start(move |request| {
        let stuck = behaviour.clone();
        async move {
            if stuck.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            echo(&request)
        }
    });
    let client = client([fast.endpoint(), other.endpoint()], 1.0);
    let call = async || {
        client
            .call(&request("clambda0", false), PATIENCE)
            .await
            .unwrap()
    };
    call().await;
    // Its copy has been answered, in the race or behind it.
    eventually(|| other.seen().len() == 1 && other.running() == 0).await;
    for _ in 0..5 {
        call().await;
    }
    eventually(|| other.running() == 0).await;
    stuck.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        call().await;
    }
    eventually(|| other.running() == 0).await;
}

#[tokio::test]
async fn a_primary_that_cannot_be_reached_hands_over() {
    let computer = Computer::echo(Duration::ZERO);
    let nobody = nobody();
    let client = client([computer.endpoint(), nobody], 0.0);
    // One of both is the first in order; the other one is tried next.
    let first = client.call(&request("clambda0", false), PATIENCE).await;
    let second = client.call(&request("clambda0", false), PATIENCE).await;
    assert!(first.is_ok() || second.is_ok(), "{first:?}, {second:?}");
    assert_eq!(client.primary(), &computer.endpoint());
}

#[tokio::test]
async fn calls_can_be_concurrent() {
    let barrier = Arc::new(tokio::sync::Barrier::new(8));
    let computer = Computer::start(move |request| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            echo(&request)
        }
    });
    let client = client([computer.endpoint()], 0.5);
    let calls = (0..8).map(|_| async {
        let call = request("clambda0", false);
        client.call(&call, PATIENCE).await
    });
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok));
}
