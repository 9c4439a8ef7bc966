//! Platforms that list their actions and do not execute them: left alone for longer each time, and
//! never listed in a tight loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use edge_computer::executor::Executor as _;
use edge_proto::rpc::Outcome;
use serde_json::json;

use super::support::{Stub, activation, ask, computer, eventually, serves};

/// Nothing but what happens to calls asks for listings.
const RARELY: &str = "interval = '1h'";

/// The section in front of `stub`, which is listed once an hour.
fn rarely_listed(stub: &Stub, more: &str) -> String {
    stub.fronting(more).replace("interval = '50ms'", RARELY)
}

/// At the most as many as one per second since `start`, and the first one; what a slow machine
/// adds to the time, it may add to the number.
fn one_per_second(start: Instant) -> usize {
    usize::try_from(start.elapsed().as_secs()).unwrap() + 2
}

#[tokio::test]
async fn one_that_lists_well_and_executes_nothing_is_not_called_again_and_again() {
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = broken.clone();
    let stub = Stub::start(move |_| {
        if is_broken.load(Ordering::Relaxed) {
            Some((503, [].into(), String::new()))
        } else {
            Some((200, [].into(), activation(&json!({ "n": 1 }))))
        }
    })
    .await;
    let start = Instant::now();
    let computer = computer(&rarely_listed(&stub, "max-failures = 3")).await;
    serves(&computer, "f").await;
    for _ in 0..100 {
        let answer = ask(&computer, "f", "").await;
        assert_eq!(answer.outcome(), Outcome::Unavailable, "{answer:?}");
    }
    // Three take it out of service, and each listing that brings it back lets one more through.
    let calls = stub.calls.lock().unwrap().len();
    let listings = stub.listings.load(Ordering::Relaxed);
    assert!(calls <= 2 + one_per_second(start), "{calls} calls");
    assert!(listings <= one_per_second(start), "{listings} listings");
    broken.store(false, Ordering::Relaxed);
    let mut changes = computer.executor().changes();
    while computer.executor().containers().is_empty() {
        changes.changed().await.unwrap();
    }
    assert!(ask(&computer, "f", "").await.is_ok());
    eventually("the faults are forgotten", || {
        computer.executor().snapshot().backends[0].failures == 0
    })
    .await;
}

#[tokio::test]
async fn calls_of_what_is_not_there_do_not_have_it_listed_again_and_again() {
    let gone = r#"{"error":"gone","code":"1"}"#;
    let stub = Stub::start(move |_| Some((404, [].into(), gone.to_owned()))).await;
    let start = Instant::now();
    let computer = computer(&rarely_listed(&stub, "")).await;
    serves(&computer, "f").await;
    for _ in 0..100 {
        let answer = ask(&computer, "f", "").await;
        assert_eq!(answer.outcome(), Outcome::NotFound, "{answer:?}");
    }
    let listings = stub.listings.load(Ordering::Relaxed);
    assert!(listings <= one_per_second(start), "{listings} listings");
    eventually("it is listed again all the same", || {
        stub.listings.load(Ordering::Relaxed) > 1
    })
    .await;
}
