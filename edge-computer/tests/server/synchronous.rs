//! Requests that are answered at once, or after their execution.

use std::time::Duration;

use edge_computer::sim::Requirements;
use edge_proto::rpc::{LambdaRequest, Outcome};
use edge_transport::Endpoint;

use crate::support::{
    PATIENCE, ask, call_of, client, computer, computer_of, eventually, page, shows, slow_in_flight,
    try_ask, two_states,
};

#[tokio::test]
async fn tx1_an_answer_carries_what_brokers_learn_from() {
    let computer =
        computer_of("platform = {type = 'intel-server', num-containers = 1, num-workers = 3}")
            .await;
    let request = LambdaRequest {
        states: two_states(),
        hops: 1,
        ..LambdaRequest::new("clambda0", "A".repeat(100))
    };
    let answer = ask(&computer, &request).await;
    assert_eq!(
        (answer.retcode.as_str(), answer.outcome()),
        ("OK", Outcome::Ok)
    );
    assert_eq!(answer.output, request.input);
    assert_eq!(answer.states, request.states);
    assert_eq!((answer.hops, answer.uuid), (2, request.uuid));
    assert!(answer.responder.is_empty() && answer.dataout.is_empty() && !answer.asynchronous);
    assert_eq!((answer.workers, answer.in_flight), (3, 0));
    // 1.04e8 operations at 4e9 per second, if nothing else runs.
    assert_eq!(answer.service_us, 26_000);
    assert!(answer.residence_us >= answer.service_us);
    assert!(answer.ptime >= 26);
    let requirements = Requirements::Proportional {
        op_coeff: 1e6,
        op_offset: 4e6,
        mem_coeff: 100.0,
        mem_offset: 0.0,
    };
    assert_eq!(requirements.demand(100).ops, 104_000_000);
}

#[tokio::test]
async fn a_fixed_output_replaces_the_input() {
    let computer = computer("").await;
    let answer = ask(&computer, &LambdaRequest::new("fixed", "batman")).await;
    assert_eq!(
        (answer.retcode.as_str(), answer.output.as_str()),
        ("OK", "robin")
    );
}

#[tokio::test]
async fn an_unknown_lambda_is_told_with_the_name_of_the_computer() {
    let computer = computer("").await;
    let answer = ask(&computer, &LambdaRequest::new("nobody", "x")).await;
    let expected = format!(
        "No container for lambda nobody found in computer computer@{}",
        computer.endpoint()
    );
    assert_eq!((answer.retcode, answer.hops), (expected, 1));
    assert_eq!(answer.outcome, Outcome::NotFound as i32);
}

#[tokio::test]
async fn a_request_that_can_never_fit_is_an_error_of_the_application() {
    let computer = computer("").await;
    let answer = ask(&computer, &LambdaRequest::new("large", "x")).await;
    assert_eq!(answer.outcome(), Outcome::ApplicationError);
    assert!(answer.retcode.contains("large"), "{}", answer.retcode);
}

#[tokio::test]
async fn a_dry_request_is_estimated_and_not_executed() {
    // The formula of the reference adds up those that wait as if one worker served them.
    for (toml, behind_four) in [
        ("", 75_000_000),
        ("dry = {estimator = 'legacy'}", 100_000_000),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let platform = crate::support::platform(folder.path(), 2);
        let computer = computer_of(&format!("{platform}{toml}")).await;
        let dry = |lambda: &str| LambdaRequest {
            dry: true,
            // Dry wins over the callback.
            callback: "localhost:1".to_owned(),
            ..LambdaRequest::new(lambda, "A".repeat(10))
        };
        let answer = ask(&computer, &dry("f0")).await;
        assert_eq!(
            (answer.retcode.as_str(), answer.outcome()),
            ("OK", Outcome::Ok)
        );
        // 1.4e7 operations at 4e9 per second, cut off.
        assert_eq!(
            (answer.ptime, answer.output.as_str(), answer.hops),
            (3, "", 1)
        );
        assert!(!answer.asynchronous);

        let caller = client();
        let slow = LambdaRequest::new("slow", "");
        let running = (0..4).map(|_| try_ask(&caller, computer.endpoint(), &slow));
        tokio::select! {
            _ = futures_util::future::join_all(running) => panic!("slow lambdas take hours"),
            () = async {
                slow_in_flight(&computer, 4).await;
                // Two run and two wait, each takes 25,000 s.
                let answer = ask(&computer, &dry("slow")).await;
                let elapsed = behind_four - answer.ptime;
                assert!(elapsed < 60_000, "{} ms", answer.ptime);
            } => {}
        }
        let unknown = ask(&computer, &dry("nobody")).await;
        assert_eq!(unknown.outcome(), Outcome::NotFound);
    }
}

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
async fn a_request_that_would_wait_too_long_is_refused_at_once() {
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
        } => {}
    }
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
async fn requests_that_contradict_themselves_are_refused_and_do_no_harm() {
    let computer = computer("").await;
    let chain = LambdaRequest {
        chain: vec!["f0".to_owned(), "f1".to_owned()],
        ..LambdaRequest::new("f0", "x")
    };
    let callback = LambdaRequest {
        callback: "localhost:1".to_owned(),
        ..LambdaRequest::new("f0", "x")
    };
    for (request, reason) in [(chain, "callback is missing"), (callback, "--asynchronous")] {
        let answer = ask(&computer, &request).await;
        assert_eq!(answer.outcome(), Outcome::ApplicationError);
        assert!(answer.retcode.contains(reason), "{}", answer.retcode);
        assert_eq!(answer.hops, 1);
    }
    let one = LambdaRequest {
        chain: vec!["f0".to_owned()],
        ..LambdaRequest::new("f0", "x")
    };
    assert_eq!(ask(&computer, &one).await.outcome(), Outcome::Ok);
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

#[tokio::test]
async fn its_speed_can_be_changed_while_it_works() {
    let computer = computer("").await;
    let dry = LambdaRequest {
        dry: true,
        ..LambdaRequest::new("f0", "A".repeat(96))
    };
    assert_eq!(ask(&computer, &dry).await.ptime, 25);
    computer.set_speed_factor(0.1).unwrap();
    assert_eq!(ask(&computer, &dry).await.ptime, 250);
    computer.set_speed_factor(1.0).unwrap();
    assert_eq!(ask(&computer, &dry).await.ptime, 25);
    assert!(computer.set_speed_factor(0.0).is_err());
}

#[tokio::test]
async fn a_computer_that_is_killed_resets_its_callers() {
    let computer = computer("").await;
    let endpoint: Endpoint = computer.endpoint().clone();
    let caller = client();
    let slow = LambdaRequest::new("slow", "");
    let lost = async {
        let lost = try_ask(&caller, &endpoint, &slow).await;
        assert!(!lost.unwrap_err().never_left());
    };
    let kill = async {
        slow_in_flight(&computer, 1).await;
        computer.kill().await;
    };
    tokio::join!(lost, kill);
    assert!(
        try_ask(&client(), &endpoint, &slow)
            .await
            .unwrap_err()
            .never_left()
    );
}

#[tokio::test]
async fn a_handle_that_is_dropped_ends_its_computer() {
    let computer = computer("").await;
    let endpoint = computer.endpoint().clone();
    drop(computer);
    eventually("the port is free", || async {
        edge_transport::Listener::bind(&endpoint).is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_drain_lets_requests_in_flight_finish() {
    let computer = computer("").await;
    let endpoint = computer.endpoint().clone();
    let caller = client();
    let slow = LambdaRequest::new("slow", "done");
    let answered = try_ask(&caller, &endpoint, &slow);
    let drain = async {
        slow_in_flight(&computer, 1).await;
        // 25,000 s become some tens of milliseconds, in which the drain begins.
        computer.set_speed_factor(5e5).unwrap();
        assert!(computer.shutdown(PATIENCE).await);
    };
    let (answer, ()) = tokio::join!(answered, drain);
    assert_eq!(answer.unwrap().output, "done");
}

#[tokio::test]
async fn the_state_page_shows_the_platform() {
    let computer = computer("").await;
    let text = page(&computer, "/state").await;
    let body = text.split("\r\n\r\n").nth(1).unwrap();
    let state: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(state["endpoint"], computer.endpoint().as_str());
    assert_eq!(state["processors"][0]["name"], "cpu");
    assert_eq!(state["containers"][0]["lambda"], "f0");
    assert_eq!(state["containers"][0]["workers"], 4);
    assert!(page(&computer, "/readyz").await.starts_with("HTTP/1.1 200"));
    let metrics = page(&computer, "/metrics").await;
    for metric in [
        r#"edge_computer_utilization{processor="cpu"} 0"#,
        r#"edge_computer_queued{lambda="f0"} 0"#,
        "edge_computer_in_flight 0",
    ] {
        assert!(metrics.contains(metric), "{metric} is missing in {metrics}");
    }
}
