//! Large messages over QUIC that wait for their answers: bounded in bytes, as over TCP.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::quic::Place;
use super::support::{ask, client, eventually};
use edge_proto::rpc::LambdaRequest;
use edge_transport::{CallError, LambdaClient, Limits, Listens, Scheme};
use tonic::Code;

/// A message: four of them are about as much as a connection may have us hold.
const LARGE: usize = 100_000;

fn request(name: &str, size: usize) -> LambdaRequest {
    LambdaRequest::new(name, "x".repeat(size))
}

async fn large_messages_count_until_they_are_answered(scheme: Scheme) {
    let limits = Limits {
        max_message_bytes: LARGE + 1_000,
        ..Limits::default()
    };
    let place = Place::new(Listens::Udp, limits);
    let client: Arc<LambdaClient> = Arc::new(client(place.options()));
    let endpoint = place.endpoint().with_scheme(scheme);
    let waiting = place.server.waiting.clone();
    let never = || {
        let (client, endpoint) = (client.clone(), endpoint.clone());
        tokio::spawn(async move { ask(&client, &endpoint, &request("never", LARGE)).await })
    };
    let held: Vec<_> = (0..4).map(|_| never()).collect();
    eventually("all wait", || waiting.load(Ordering::SeqCst) == 4).await;

    let error = ask(&client, &endpoint, &request("shout", LARGE))
        .await
        .unwrap_err();
    let CallError::Status { status, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let small = request("shout", 10_000);
    ask(&client, &endpoint, &small).await.unwrap();

    held.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("none waits", || waiting.load(Ordering::SeqCst) == 0).await;
    for _ in 0..5 {
        let answered = ask(&client, &endpoint, &request("shout", LARGE)).await;
        answered.unwrap();
    }
}

#[tokio::test]
async fn large_messages_count_until_they_are_answered_natively() {
    large_messages_count_until_they_are_answered(Scheme::Quic).await;
}

#[tokio::test]
async fn large_messages_count_until_they_are_answered_over_http3() {
    large_messages_count_until_they_are_answered(Scheme::H3).await;
}
