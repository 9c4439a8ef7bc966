//! Of platforms that have the same action the weights decide, too.

use edge_computer::executor::Executor as _;
use edge_proto::rpc::Outcome;
use serde_json::json;

use super::support::{Stub, activation, ask, computer, eventually};

/// A platform whose executions take that long, as it says.
async fn taking(ms: u32) -> Stub {
    let record = activation(&json!({ "took": ms }));
    let record = record.replace(r#""duration":7"#, &format!(r#""duration":{ms}"#));
    Stub::start(move |_| Some((200, [].into(), record.clone()))).await
}

/// Which of two platforms, whose executions take 7 and 14 ms, answers each of six requests in turn if
/// the times of the first one are multiplied with `weight`.
async fn answered_by(weight: f64) -> Vec<u32> {
    let (quick, slow) = (taking(7).await, taking(14).await);
    let first = quick.fronting(&format!("name = 'quick'\nweight = {weight:?}"));
    let second = slow.fronting("name = 'slow'");
    let computer = computer(&(first + &second).replace("[wsk]", "[[backend]]")).await;
    eventually("both are listed", || {
        computer.executor().snapshot().containers.len() == 2
    })
    .await;
    let mut by = Vec::new();
    for _ in 0..6 {
        let answer = ask(&computer, "f", "").await;
        assert_eq!(answer.outcome(), Outcome::Ok, "{answer:?}");
        let output: serde_json::Value = serde_json::from_str(&answer.output).unwrap();
        by.push(output["took"].as_u64().unwrap() as u32);
    }
    by
}

#[tokio::test]
async fn times_are_compared_once_they_are_multiplied_with_the_weight() {
    // Each is tried once, the one with the lower weight first.
    assert_eq!(answered_by(1.0).await, [7, 14, 7, 7, 7, 7]);
    assert_eq!(answered_by(1.5).await, [14, 7, 7, 7, 7, 7]);
    assert_eq!(answered_by(3.0).await, [14, 7, 14, 14, 14, 14]);
}
