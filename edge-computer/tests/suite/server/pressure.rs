//! More requests than there are workers: queues, refusals, cancellation, deadlines.

use std::time::Duration;

use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use edge_transport::{pushback, unexecuted};
use prost::Message as _;

use super::support::{
    FOREVER, ask, call_of, client, computer, computer_of, eventually, shows, slow_in_flight,
    try_ask,
};

#[tokio::test]
async fn overload_is_distinct_and_names_lambda_and_queue() {
    let folder = tempfile::tempdir().unwrap();
    let platform = super::support::platform(folder.path(), 1);
    let computer = computer_of(&format!("{platform}limits = {{max-pending = 0}}")).await;
    let caller = client();
    let slow = LambdaRequest::new("slow", "");
    let call = call_of(&slow, FOREVER);
    let running = caller.call(computer.endpoint(), &call);
    tokio::select! {
        _ = running => panic!("slow lambdas take hours"),
        () = async {
            slow_in_flight(&computer, 1).await;
            let reply = caller.call(computer.endpoint(), &call).await.unwrap();
            // The worker is busy for hours; no hint is longer than a minute.
            assert_eq!(reply.trailers.text(pushback::NAME), Some("60000"));
            let answer = LambdaResponse::decode(reply.message).unwrap();
            assert_eq!(answer.outcome(), Outcome::Overloaded);
            assert_eq!(answer.retcode, "the queue of lambda slow is full: 0 requests wait already");
            assert_eq!((answer.in_flight, answer.workers), (1, 1));
        } => {}
    }
}

#[tokio::test]
async fn a_request_that_would_wait_too_long_is_refused_at_once_and_never_executed() {
    let folder = tempfile::tempdir().unwrap();
    let platform = super::support::platform(folder.path(), 1);
    let computer = computer_of(&platform).await;
    let caller = client();
    let slow = LambdaRequest::new("slow", "");
    let call = call_of(&slow, FOREVER);
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
            let patient = call_of(&slow, FOREVER);
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
async fn a_wait_that_is_expected_to_be_too_long_is_an_overload_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let platform = super::support::platform(folder.path(), 1);
    let computer = computer_of(&format!("{platform}limits = {{max-wait = '1h'}}")).await;
    let caller = client();
    let call = call_of(&LambdaRequest::new("slow", ""), FOREVER);
    let running = caller.call(computer.endpoint(), &call);
    tokio::select! {
        _ = running => panic!("slow lambdas take hours"),
        () = async {
            slow_in_flight(&computer, 1).await;
            let answer = ask(&computer, &LambdaRequest::new("slow", "")).await;
            assert_eq!(answer.outcome(), Outcome::Overloaded);
            let text = "for a worker, this computer allows 3600s";
            assert!(answer.retcode.ends_with(text), "{}", answer.retcode);
            assert_eq!((answer.in_flight, answer.workers), (1, 1));
        } => {}
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_done_in_time_is_told_at_once_and_not_executed() {
    let computer = computer("").await;
    let call = call_of(&LambdaRequest::new("slow", ""), Duration::from_secs(3600));
    let reply = client().call(computer.endpoint(), &call).await.unwrap();
    assert!(!reply.trailers.contains_key(pushback::NAME));
    assert!(unexecuted::is_marked(&reply.trailers));
    let answer = LambdaResponse::decode(reply.message).unwrap();
    assert_eq!(answer.outcome(), Outcome::Deadline);
    let text = "deadline exceeded: lambda slow would be done in 25000";
    assert!(answer.retcode.starts_with(text), "{}", answer.retcode);
    assert!(
        answer.retcode.contains("the request has 3599"),
        "{}",
        answer.retcode
    );
    slow_in_flight(&computer, 0).await;
    assert!(
        shows(
            &computer,
            r#"edge_computer_requests_total{outcome="deadline"} 1"#
        )
        .await
    );
}

#[tokio::test]
async fn callers_that_go_away_leave_worker_and_queue_to_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let computer = computer_of(&super::support::platform(folder.path(), 1)).await;
    let caller = client();
    let slow = LambdaRequest::new("slow", "third");
    let call = call_of(&slow, FOREVER);
    let mut first = Box::pin(caller.call(computer.endpoint(), &call));
    let mut second = Box::pin(caller.call(computer.endpoint(), &call));
    let mut third = Box::pin(try_ask(&caller, computer.endpoint(), &slow));
    tokio::select! {
        _ = &mut first => panic!("slow lambdas take hours"),
        () = slow_in_flight(&computer, 1) => {}
    }
    tokio::select! {
        _ = &mut second => panic!("slow lambdas take hours"),
        () = slow_in_flight(&computer, 2) => {}
    }
    tokio::select! {
        _ = &mut third => panic!("slow lambdas take hours"),
        () = async {
            slow_in_flight(&computer, 3).await;
            drop(second);
            slow_in_flight(&computer, 2).await;
            drop(first);
            for line in [
                r#"edge_computer_running{lambda="slow"} 1.0"#,
                r#"edge_computer_queued{lambda="slow"} 0.0"#,
                r#"edge_computer_requests_total{outcome="cancelled"} 2"#,
                "edge_computer_in_flight 1",
            ] {
                eventually(line, || shows(&computer, line)).await;
            }
            computer.set_speed_factor(1e9).unwrap();
        } => {}
    }
    assert_eq!(third.await.unwrap().output, "third");
    let ok = r#"edge_computer_requests_total{outcome="ok"} 1"#;
    eventually(ok, || shows(&computer, ok)).await;
}

#[tokio::test]
async fn a_thousand_requests_are_in_flight_whatever_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let computer = computer_of(&super::support::platform(folder.path(), 1000)).await;
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
