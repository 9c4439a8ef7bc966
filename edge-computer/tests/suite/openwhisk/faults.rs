//! Platforms that cannot be reached, are broken or overloaded: told apart from functions that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use edge_computer::executor::Executor as _;
use edge_proto::rpc::{LambdaRequest, Outcome};
use edge_transport::{pushback, unexecuted};
use serde_json::json;

use super::support::{
    Api, ECHO, PATIENCE, Stub, activation, ask, computer, eventually, platform, reply, run, serves,
    serving,
};

#[tokio::test]
async fn a_platform_that_is_down_for_100_requests_recovers_and_holds_none_of_them() {
    let (first, computer) = serving(ECHO, "").await;
    assert!(ask(&computer, "f", "").await.is_ok());
    let address = first.address();
    first.stop().await;
    let request = LambdaRequest::new("f", "");
    for _ in 0..100 {
        let (answer, raw) = reply(&computer, &request, PATIENCE).await;
        assert_eq!(answer.outcome(), Outcome::Unavailable, "{answer:?}");
        // The first one may have been on a connection that was cut.
        assert!(
            unexecuted::is_marked(&raw.trailers) || answer.retcode.contains("closed"),
            "{answer:?}"
        );
    }
    eventually("it is announced no longer", || {
        computer.executor().containers().is_empty()
    })
    .await;
    assert!(!computer.executor().snapshot().backends[0].healthy);
    let second = platform(|config| config.listen = address).await;
    Api::of(&second).put("f", ECHO).await;
    serves(&computer, "f").await;
    assert!(ask(&computer, "f", "").await.is_ok());
    assert_eq!(computer.executor().snapshot().backends[0].in_flight, 0);
    second.stop().await;
}

#[tokio::test]
async fn what_a_platform_answers_decides_who_may_try_elsewhere() {
    let internal =
        activation(&json!({ "error": "x" })).replace("success\"", "whisk internal error\"");
    for (status, body, outcome, marked) in [
        (
            400,
            r#"{"error":"bad","code":"1"}"#,
            Outcome::ApplicationError,
            false,
        ),
        (
            413,
            r#"{"error":"large","code":"1"}"#,
            Outcome::ApplicationError,
            false,
        ),
        (
            404,
            r#"{"error":"gone","code":"1"}"#,
            Outcome::NotFound,
            false,
        ),
        (
            401,
            r#"{"error":"who","code":"1"}"#,
            Outcome::Unavailable,
            true,
        ),
        (
            403,
            r#"{"error":"not you","code":"1"}"#,
            Outcome::Unavailable,
            true,
        ),
        (
            429,
            r#"{"error":"too many","code":"1"}"#,
            Outcome::Overloaded,
            false,
        ),
        (503, "<html>", Outcome::Unavailable, true),
        (500, "<html>", Outcome::Unavailable, false),
        (
            502,
            r#"{"error":"proxy","code":"1"}"#,
            Outcome::Unavailable,
            false,
        ),
        (
            502,
            r#"{"error":"function"}"#,
            Outcome::ApplicationError,
            false,
        ),
        (500, internal.as_str(), Outcome::Unavailable, false),
        (200, "[]", Outcome::Unavailable, false),
        (202, "{}", Outcome::Unavailable, false),
        (302, "", Outcome::Unavailable, true),
    ] {
        let text = body.to_owned();
        let stub =
            Stub::start(move |_| Some((status, [("retry-after", "3")].into(), text.clone())));
        let stub = stub.await;
        let computer = computer(&stub.fronting("max-failures = 10")).await;
        serves(&computer, "f").await;
        let (answer, raw) = reply(&computer, &LambdaRequest::new("f", ""), PATIENCE).await;
        assert_eq!(answer.outcome(), outcome, "{status} {body}: {answer:?}");
        assert_eq!(
            unexecuted::is_marked(&raw.trailers),
            marked,
            "{status} {body}"
        );
        assert_eq!(stub.calls.lock().unwrap().len(), 1, "it is called once");
        if status == 429 {
            let pause = pushback::get(&raw.trailers).unwrap();
            assert_eq!(
                pause,
                edge_transport::pushback::PushBack::After(Duration::from_secs(3))
            );
        }
    }
}

#[tokio::test]
async fn a_call_that_has_begun_an_activation_is_neither_repeated_nor_marked() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let other = Stub::start(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Some((200, [].into(), activation(&json!({}))))
    })
    .await;
    let id = "0123456789abcdef0123456789abcdef";
    let header = ("x-openwhisk-activation-id", id);
    let plain = r#"{"error":"lost","code":"1"}"#.to_owned();
    let telling = format!(r#"{{"error":"lost","code":"1","activationId":"{id}"}}"#);
    for (status, headers, body) in [
        (503, vec![header], plain.clone()),
        (503, vec![header], "<html>".to_owned()),
        (503, vec![header, ("retry-after", "1")], plain.clone()),
        (503, vec![], telling.clone()),
        (500, vec![header], plain.clone()),
        (501, vec![header], plain.clone()),
        (502, vec![], telling),
        (429, vec![header], plain.clone()),
        (404, vec![header], plain),
    ] {
        let shown = format!("{status} {headers:?} {body}");
        let losing = Stub::start(move |_| {
            let headers = headers.iter().copied().collect();
            Some((status, headers, body.clone()))
        })
        .await;
        let first = losing.fronting("name = 'a'\nmax-in-flight = 1\nmax-failures = 10");
        let second = other.fronting("name = 'b'\nmax-in-flight = 1");
        let computer = computer(&(first + &second).replace("[wsk]", "[[backend]]")).await;
        // The first one is called first, since nothing is known of either.
        eventually("both serve", || {
            let standing = computer.executor().standing("f");
            standing.is_some_and(|standing| standing.workers == 2)
        })
        .await;
        let (answer, raw) = reply(&computer, &LambdaRequest::new("f", ""), PATIENCE).await;
        assert_eq!(
            answer.outcome(),
            Outcome::Unavailable,
            "{shown}: {answer:?}"
        );
        assert!(!unexecuted::is_marked(&raw.trailers), "{shown}");
        assert_eq!(losing.calls.lock().unwrap().len(), 1, "{shown}");
    }
    assert_eq!(count.load(Ordering::Relaxed), 0, "nobody else executed it");
}

#[tokio::test]
async fn one_that_never_answers_costs_the_deadline_and_no_more() {
    let stub = Stub::start(|_| None).await;
    let computer = computer(&stub.fronting("")).await;
    serves(&computer, "f").await;
    let late = run(&computer, Duration::from_millis(200))
        .await
        .unwrap_err();
    assert_eq!(late.outcome(), Outcome::Deadline);
    assert_eq!(computer.executor().standing("f").unwrap().in_flight, 0);
}

#[tokio::test]
async fn of_two_platforms_the_other_one_executes_what_the_first_one_did_not_begin() {
    let refusing = Stub::start(|_| Some((503, [].into(), String::new()))).await;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let working = Stub::start(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Some((200, [].into(), activation(&json!({ "by": "the other" }))))
    })
    .await;
    let backend = |stub: &Stub, name: &str| {
        let wsk = stub.fronting(&format!("name = '{name}'\nmax-failures = 1000"));
        wsk.replace("[wsk]", "[[backend]]")
            .replace("u:k", &format!("{name}:k"))
    };
    let toml = backend(&refusing, "a") + &backend(&working, "b");
    let computer = computer(&toml).await;
    eventually("both are listed", || {
        computer.executor().snapshot().containers.len() == 2
    })
    .await;
    serves(&computer, "f").await;
    for _ in 0..10 {
        let answer = ask(&computer, "f", "").await;
        assert_eq!(answer.output, r#"{"by":"the other"}"#, "{answer:?}");
    }
    assert_eq!(count.load(Ordering::Relaxed), 10);
    let auth = |stub: &Stub| stub.calls.lock().unwrap()[0].headers["authorization"].clone();
    assert_ne!(auth(&refusing), auth(&working));
}
