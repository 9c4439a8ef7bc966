//! More requests than there are workers: queues, refusals, cancellation, deadlines.

use std::time::Duration;

use edge_proto::rpc::{LambdaRequest, Outcome};

use crate::support::{
    PATIENCE, ask, call_of, client, computer, computer_of, eventually, shows, slow_in_flight,
    try_ask,
};

#[tokio::test]
async fn overload_is_distinct_and_names_lambda_and_queue() {
    let folder = tempfile::tempdir().unwrap();
    let platform = crate::support::platform(folder.path(), 1);
    let computer = computer_of(&format!("{platform}limits = {{max-pending = 0}}")).await;
    let caller = client();
    let slow = LambdaRequest::new("slow", "");
    let call = call_of(&slow, PATIENCE);
    let running = caller.call(computer.endpoint(), &call);
    tokio::select! {
        _ = running => panic!("slow lambdas take hours"),
        () = async {
            slow_in_flight(&computer, 1).await;
            let answer = ask(&computer, &slow).await;
            assert_eq!(answer.outcome(), Outcome::Overloaded);
            assert_eq!(answer.retcode, "the queue of lambda slow is full: 0 requests wait already");
            assert_eq!((answer.in_flight, answer.workers), (1, 1));
        } => {}
    }
}

#[tokio::test]
async fn a_request_that_would_wait_too_long_is_refused_at_once_and_never_executed() {
    let folder = tempfile::tempdir().unwrap();
    let platform = crate::support::platform(folder.path(), 1);
    let computer = computer_of(&platform).await;
    let caller = client();
    let slow = LambdaRequest::new("slow", "");
    let call = call_of(&slow, PATIENCE);
    let running = caller.call(computer.endpoint(), &call);
    let impatient = LambdaRequest {
        max_wait_us: 1_000_000,
        ..LambdaRequest::new("slow", "")
    };
    tokio::select! {
        _ = running => panic!("slow lambdas take hours"),
        () = async {
            slow_in_flight(&computer, 1).await;
            let answer = ask(&computer, &impatient).await;
            assert_eq!(answer.outcome(), Outcome::Refused);
            assert!(answer.retcode.starts_with("refused: lambda slow would wait"));
            assert_eq!((answer.in_flight, answer.workers), (1, 1));
            // Another lambda of the same processor has a free worker.
            let answer = ask(&computer, &LambdaRequest { name: "f0".to_owned(), ..impatient }).await;
            assert_eq!(answer.outcome(), Outcome::Ok);
            // One without a condition waits, and it alone.
            let patient = call_of(&slow, PATIENCE);
            tokio::select! {
                _ = caller.call(computer.endpoint(), &patient) => panic!("slow lambdas take hours"),
                () = slow_in_flight(&computer, 2) => {}
            }
        } => {}
    }
    slow_in_flight(&computer, 0).await;
    let refused = r#"edge_computer_requests_total{outcome="refused"} 1"#;
    assert!(shows(&computer, refused).await);
}

#[tokio::test]
async fn a_caller_that_goes_away_frees_its_worker() {
    let folder = tempfile::tempdir().unwrap();
    let computer = computer_of(&crate::support::platform(folder.path(), 1)).await;
    let caller = client();
    let call = call_of(&LambdaRequest::new("slow", ""), PATIENCE);
    let running = caller.call(computer.endpoint(), &call);
    tokio::select! {
        _ = running => panic!("slow lambdas take hours"),
        () = slow_in_flight(&computer, 1) => {}
    }
    slow_in_flight(&computer, 0).await;
    eventually("cancelled", || {
        shows(
            &computer,
            r#"edge_computer_requests_total{outcome="cancelled"} 1"#,
        )
    })
    .await;
}

#[tokio::test]
async fn a_deadline_that_passes_in_the_queue_cancels_the_request() {
    let computer = computer("").await;
    let call = call_of(&LambdaRequest::new("slow", ""), Duration::from_millis(50));
    let answered = client().call(computer.endpoint(), &call).await;
    // Either the answer or the caller's own clock comes first.
    if let Ok(reply) = answered {
        let answer: edge_proto::rpc::LambdaResponse =
            prost::Message::decode(reply.message).unwrap();
        assert_eq!(answer.outcome(), Outcome::Deadline);
    }
    slow_in_flight(&computer, 0).await;
}

#[tokio::test]
async fn a_thousand_requests_are_in_flight_whatever_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let computer = computer_of(&crate::support::platform(folder.path(), 1000)).await;
    let caller = client();
    let slow = LambdaRequest::new("slow", "x");
    let calls = (0..1000).map(|_| try_ask(&caller, computer.endpoint(), &slow));
    let all = futures_util::future::join_all(calls);
    let release = async {
        slow_in_flight(&computer, 1000).await;
        computer.set_speed_factor(1e9).unwrap();
    };
    let (answers, ()) = tokio::join!(all, release);
    for answer in answers {
        assert_eq!(answer.unwrap().outcome(), Outcome::Ok);
    }
}
