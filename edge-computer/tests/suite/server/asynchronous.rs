//! Requests with a callback: acknowledged at once, answered in any case.

use edge_proto::rpc::{LambdaRequest, Outcome};

use super::support::{
    Caller, ask, client, computer, eventually, shows, slow_in_flight, try_ask, two_states,
};

#[tokio::test]
async fn tx3_fifty_requests_are_acknowledged_and_called_back() {
    let computer = computer("asynchronous = {enabled = true, deadline = '1000h'}").await;
    let mut caller = Caller::start();
    let client = client();
    let mut expected = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let request = LambdaRequest {
            states: two_states(),
            ..caller.request("f0", "0123456789")
        };
        let answer = try_ask(&client, computer.endpoint(), &request)
            .await
            .unwrap();
        assert!(answer.is_ok() && answer.asynchronous && answer.output.is_empty());
        assert_eq!(
            (answer.ptime, answer.hops, answer.responder.as_str()),
            (0, 1, "")
        );
        assert_eq!(answer.uuid, request.uuid);
        expected.insert(request.uuid);
    }
    for _ in 0..50 {
        let answer = caller.next().await;
        assert!(expected.remove(&answer.uuid), "once per request");
        assert_eq!(
            (answer.retcode.as_str(), answer.outcome()),
            ("OK", Outcome::Ok)
        );
        assert!(!answer.asynchronous);
        assert_eq!(answer.responder, computer.endpoint().as_str());
        assert_eq!((answer.hops, answer.ptime, answer.load1), (1, 0, 0));
        assert_eq!(answer.output, "0123456789");
        assert_eq!(answer.states, two_states());
    }
    let delivered = r#"edge_computer_callbacks_total{outcome="ok",delivered="yes"} 50"#;
    eventually("counted", || shows(&computer, delivered)).await;
}

#[tokio::test]
async fn b1_a_failure_is_called_back_with_its_retcode() {
    let computer = computer("asynchronous = {enabled = true, deadline = '3s'}").await;
    let mut caller = Caller::start();
    for _ in 0..5 {
        ask(&computer, &caller.request("f0", "x")).await;
        assert_eq!(caller.next().await.retcode, "OK");
    }
    // It would take a second and a quarter, until the processor slows down again; if that comes too late,
    // since the machine is slow, it is tried once more.
    let (request, failure) = loop {
        computer.set_speed_factor(2e4).unwrap();
        let request = caller.request("slow", "x");
        assert!(ask(&computer, &request).await.asynchronous);
        computer.set_speed_factor(1.0).unwrap();
        let answer = caller.next().await;
        if !answer.is_ok() {
            break (request, answer);
        }
    };
    assert_eq!(failure.outcome(), Outcome::Deadline);
    assert!(failure.retcode.contains("slow"), "{}", failure.retcode);
    assert_eq!((failure.uuid, failure.hops), (request.uuid, 1));
    assert_eq!(failure.responder, computer.endpoint().as_str());
    slow_in_flight(&computer, 0).await;
}

#[tokio::test]
async fn what_cannot_be_executed_here_is_told_instead_of_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let platform = super::support::platform(folder.path(), 1);
    let toml = format!(
        "{platform}asynchronous = {{enabled = true, deadline = '1000h'}}\nlimits = {{max-pending = 1}}"
    );
    let computer = super::support::computer_of(&toml).await;
    let caller = Caller::start();
    for _ in 0..2 {
        assert!(
            ask(&computer, &caller.request("slow", "x"))
                .await
                .asynchronous
        );
    }
    slow_in_flight(&computer, 2).await;
    let nowhere = LambdaRequest {
        callback: "nonsense".to_owned(),
        ..caller.request("f0", "x")
    };
    for (request, outcome, reason) in [
        (
            caller.request("nobody", "x"),
            Outcome::NotFound,
            "No container for lambda nobody",
        ),
        (
            caller.request("large", "x"),
            Outcome::ApplicationError,
            "large",
        ),
        (
            caller.request("slow", "x"),
            Outcome::Overloaded,
            "the queue of lambda slow is full",
        ),
        (
            nowhere,
            Outcome::ApplicationError,
            "invalid callback: invalid end-point 'nonsense'",
        ),
    ] {
        let answer = ask(&computer, &request).await;
        assert_eq!((answer.outcome(), answer.asynchronous), (outcome, false));
        assert!(answer.retcode.contains(reason), "{}", answer.retcode);
    }
}

#[tokio::test]
async fn a_request_that_would_wait_too_long_is_refused_instead_of_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let platform = super::support::platform(folder.path(), 1);
    let toml = format!("{platform}asynchronous = {{enabled = true, deadline = '1000h'}}");
    let computer = super::support::computer_of(&toml).await;
    let caller = Caller::start();
    let impatient = LambdaRequest {
        max_wait_us: 1_000_000,
        ..caller.request("slow", "x")
    };
    assert!(ask(&computer, &impatient).await.asynchronous);
    slow_in_flight(&computer, 1).await;
    let answer = ask(&computer, &impatient).await;
    assert_eq!(
        (answer.outcome(), answer.asynchronous),
        (Outcome::Refused, false)
    );
}

#[tokio::test]
async fn an_acknowledged_request_is_executed_though_its_sender_goes_away() {
    let computer = computer("asynchronous = {enabled = true, deadline = '1000h'}").await;
    let mut caller = Caller::start();
    let sender = client();
    let request = caller.request("slow", "x");
    let answer = try_ask(&sender, computer.endpoint(), &request).await;
    assert!(answer.unwrap().asynchronous);
    slow_in_flight(&computer, 1).await;
    drop(sender);
    computer.set_speed_factor(1e9).unwrap();
    assert!(caller.next().await.is_ok());
    let acknowledged = r#"edge_computer_requests_total{outcome="acknowledged"} 1"#;
    assert!(shows(&computer, acknowledged).await);
}

#[tokio::test]
async fn requests_with_a_callback_may_wait_longer_than_others() {
    let folder = tempfile::tempdir().unwrap();
    let platform = super::support::platform(folder.path(), 1);
    let toml = "asynchronous = {enabled = true, deadline = '1000h'}\nlimits = {max-wait = 0}";
    let computer = super::support::computer_of(&format!("{platform}{toml}")).await;
    let mut caller = Caller::start();
    for waiting in 1..=2 {
        let request = caller.request("slow", "x");
        assert!(ask(&computer, &request).await.asynchronous);
        slow_in_flight(&computer, waiting).await;
    }
    let answer = ask(&computer, &LambdaRequest::new("slow", "x")).await;
    assert_eq!(answer.outcome(), Outcome::Overloaded);
    computer.set_speed_factor(1e9).unwrap();
    for _ in 0..2 {
        assert!(caller.next().await.is_ok());
    }
}

#[tokio::test]
async fn the_number_of_accepted_requests_is_bounded() {
    let computer =
        computer("asynchronous = {enabled = true, max-queued = 2, deadline = '1000h'}").await;
    let mut caller = Caller::start();
    for _ in 0..2 {
        assert!(ask(&computer, &caller.request("slow", "x")).await.is_ok());
    }
    let answer = ask(&computer, &caller.request("slow", "x")).await;
    assert_eq!(answer.outcome(), Outcome::Overloaded);
    let text = "lambda slow: 2 requests with a callback are queued already";
    assert_eq!(answer.retcode, text);
    computer.set_speed_factor(1e9).unwrap();
    for _ in 0..2 {
        assert!(caller.next().await.is_ok());
    }
    eventually("a place is free again", || async {
        ask(&computer, &caller.request("f0", "x")).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn accepted_requests_are_weighed() {
    let queued = "asynchronous = {enabled = true, max-queued-bytes = 20_000, deadline = '1000h'}";
    let computer = computer(queued).await;
    let mut caller = Caller::start();
    let large = caller.request("slow", &"x".repeat(12_000));
    assert!(ask(&computer, &large).await.is_ok());
    let answer = ask(&computer, &large).await;
    assert_eq!(answer.outcome(), Outcome::Overloaded);
    let text = "lambda slow: requests with a callback fill 20000 bytes already";
    assert_eq!(answer.retcode, text);
    assert!(ask(&computer, &caller.request("slow", "x")).await.is_ok());
    computer.set_speed_factor(1e9).unwrap();
    for _ in 0..2 {
        assert!(caller.next().await.is_ok());
    }
    eventually("there is room again", || async {
        ask(&computer, &large).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_callback_that_nobody_takes_is_counted() {
    let computer = computer("asynchronous = {enabled = true, deadline = '1000h'}").await;
    let gone = Caller::start().request("f0", "x");
    assert!(ask(&computer, &gone).await.is_ok());
    let lost = r#"edge_computer_callbacks_total{outcome="ok",delivered="no"} 1"#;
    eventually("counted as lost", || shows(&computer, lost)).await;
}

#[tokio::test]
async fn a_drain_waits_for_callbacks() {
    let computer = computer("asynchronous = {enabled = true, deadline = '1000h'}").await;
    let mut caller = Caller::start();
    assert!(
        ask(&computer, &caller.request("slow", "done"))
            .await
            .is_ok()
    );
    slow_in_flight(&computer, 1).await;
    computer.set_speed_factor(5e5).unwrap();
    assert!(computer.shutdown(super::support::PATIENCE).await);
    assert_eq!(caller.next().await.output, "done");
}
