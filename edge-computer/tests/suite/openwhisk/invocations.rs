//! Requests become blocking calls, their records answers.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use edge_computer::executor::Executor as _;
use edge_proto::rpc::{FunctionList, LambdaRequest, LambdaResponse, Outcome, State};
use serde_json::{Value, json};

use super::support::{
    Api, ECHO, PATIENCE, Stub, activation, ask, computer, eventually, fronting, platform, reply,
    run, serves, serving,
};

#[tokio::test]
async fn a_packaged_action_is_called_by_its_full_and_its_short_name() {
    let platform = platform(|_| {}).await;
    let api = Api::of(&platform);
    let (status, _) = api
        .call("PUT", "namespaces/_/packages/my%20pkg", &json!({}))
        .await;
    assert_eq!(status, 200);
    api.put("my%20pkg/a&b@c", ECHO).await;
    api.put("plain", ECHO).await;
    let computer = computer(&fronting(&platform, "")).await;
    serves(&computer, "/guest/my pkg/a&b@c").await;
    for name in [
        "/guest/my pkg/a&b@c",
        "my pkg/a&b@c",
        "guest/my pkg/a&b@c",
        "/guest/plain",
        "plain",
    ] {
        let answer = ask(&computer, name, r#"{"a":1}"#).await;
        assert_eq!(
            (answer.retcode.as_str(), answer.output.as_str()),
            ("OK", r#"{"a":1}"#),
            "{name}"
        );
    }
    let unknown = ask(&computer, "/guest/nobody", "").await;
    assert_eq!(unknown.outcome(), Outcome::NotFound);
    for (names, lambdas) in [("fqn", 2), ("short", 2), ("auto", 4)] {
        let own =
            super::support::computer(&fronting(&platform, &format!("names = '{names}'"))).await;
        let count = || own.executor().containers().len() == lambdas;
        eventually("the names are announced", count).await;
    }
}

#[tokio::test]
async fn actions_of_several_namespaces_are_called_where_they_are() {
    let stub = Stub::start(|_| Some((200, [].into(), activation(&json!({}))))).await;
    let computer = computer(&stub.fronting("namespaces = ['_', 'alice']")).await;
    for (name, namespace) in [("/alice/f", "alice"), ("/guest/f", "guest"), ("f", "guest")] {
        serves(&computer, name).await;
        assert_eq!(
            ask(&computer, name, "").await.outcome(),
            Outcome::Ok,
            "{name}"
        );
        let last = stub.calls.lock().unwrap().last().cloned().unwrap();
        let path = format!("/namespaces/{namespace}/actions/f?");
        assert!(last.path.contains(&path), "{}", last.path);
    }
    let other = ask(&computer, "/bob/f", "").await;
    assert_eq!(other.outcome(), Outcome::NotFound);
}

#[tokio::test]
async fn outputs_round_trip_whatever_they_are() {
    let (platform, computer) = serving("function main({ value }) { return value; }", "").await;
    for value in [
        r#"{"quote":"\"","newline":"a\nb","umlaut":"üñ€","nested":{"a":[1,{"b":null}]},"empty":{}}"#,
        "{}",
        "[]",
        r#"[1,"two"]"#,
        r#"{"payload":"text"}"#,
    ] {
        let answer = ask(&computer, "f", &format!("{{\"value\":{value}}}")).await;
        assert_eq!(
            (answer.retcode.as_str(), answer.output.as_str()),
            ("OK", value)
        );
        assert_eq!(answer.outcome(), Outcome::Ok);
    }
    platform.stop().await;
}

#[tokio::test]
async fn times_of_functions_and_of_their_cold_starts_are_told_apart() {
    let code = "async function main() {
        await new Promise((done) => setTimeout(done, 30));
        return {};
    }";
    let (platform, computer) = serving(code, "").await;
    let cold = ask(&computer, "f", "").await;
    assert!(
        cold.cold_start_us > 0 && cold.service_us >= 25_000,
        "{cold:?}"
    );
    assert!(cold.residence_us >= cold.service_us && cold.hops == 1);
    assert_eq!(cold.workers, 30);
    let warm = ask(&computer, "f", "").await;
    assert!(
        warm.cold_start_us == 0 && warm.service_us >= 25_000,
        "{warm:?}"
    );
    let dry = LambdaRequest {
        dry: true,
        ..LambdaRequest::new("f", "")
    };
    let (estimate, _) = reply(&computer, &dry, PATIENCE).await;
    assert!(estimate.ptime >= 25, "{estimate:?}");
    platform.stop().await;
}

#[tokio::test]
async fn failures_of_functions_are_answers_and_never_look_like_a_broken_platform() {
    let code = "function main({ how }) {
        if (how === 'error') return { error: { code: 7 } };
        if (how === 'throw') throw new Error('no luck');
        return {};
    }";
    let (platform, computer) = serving(code, "max-failures = 1").await;
    for (how, kind, said) in [
        ("error", "application error: ", "7"),
        ("throw", "action developer error: ", "no luck"),
    ] {
        let (answer, raw) = reply(
            &computer,
            &LambdaRequest::new("f", format!("{{\"how\":\"{how}\"}}")),
            PATIENCE,
        )
        .await;
        assert_eq!(answer.outcome(), Outcome::ApplicationError);
        assert!(
            answer.retcode.starts_with(kind) && answer.retcode.contains(said),
            "{answer:?}"
        );
        let output: Value = serde_json::from_str(&answer.output).unwrap();
        assert!(!output["error"].is_null(), "{output}");
        assert!(!edge_transport::unexecuted::is_marked(&raw.trailers));
        assert!(!computer.executor().containers().is_empty());
    }
    assert!(ask(&computer, "f", "").await.is_ok());
    platform.stop().await;
}

#[tokio::test]
async fn an_action_slower_than_the_platform_waits_is_asked_for_until_it_is_done() {
    let code = "async function main() {
        await new Promise((done) => setTimeout(done, 600));
        return { done: true };
    }";
    let platform = platform(|config| config.max_blocking = Duration::from_millis(100)).await;
    Api::of(&platform).put("f", code).await;
    let computer = computer(&fronting(&platform, "wait = '50ms'")).await;
    serves(&computer, "f").await;
    let answer = ask(&computer, "f", "").await;
    assert_eq!(
        (answer.retcode.as_str(), answer.output.as_str()),
        ("OK", r#"{"done":true}"#)
    );
    assert!(answer.service_us >= 550_000);
    // Not beyond the deadline of the request, which on a slow machine may be over before it has left.
    while platform.executions("guest", "f") < 2 {
        let late = run(&computer, Duration::from_millis(300))
            .await
            .unwrap_err();
        assert_eq!(late.outcome(), Outcome::Deadline);
    }
    platform.stop().await;
}

#[tokio::test]
async fn the_payload_shortcut_and_the_binary_member_are_as_configured() {
    let mapping = "mapping = { payload-shortcut = true, binary-member = 'data' }";
    let (platform, computer) = serving(ECHO, mapping).await;
    let answer = ask(&computer, "f", "just \"text\"\n").await;
    assert_eq!(answer.output, "just \"text\"\n");
    let request = LambdaRequest {
        datain: Bytes::from_static(&[0, 255]),
        ..LambdaRequest::new("f", r#"{"a":1}"#)
    };
    let (answer, _) = reply(&computer, &request, PATIENCE).await;
    assert_eq!(
        (answer.output.as_str(), answer.dataout.as_ref()),
        (r#"{"a":1}"#, &[0, 255][..])
    );
    platform.stop().await;
    let (platform, plain) = serving(ECHO, "").await;
    let (answer, _) = reply(&plain, &request, PATIENCE).await;
    assert_eq!(answer.outcome(), Outcome::ApplicationError);
    assert!(answer.retcode.contains("binary"), "{}", answer.retcode);
    platform.stop().await;
}

#[tokio::test]
async fn states_are_passed_on_unless_the_function_depends_on_them() {
    let (platform, computer) = serving(ECHO, "").await;
    let mut request = LambdaRequest {
        states: BTreeMap::from([("s".to_owned(), State::default())]),
        chain: vec!["f".to_owned()],
        ..LambdaRequest::new("f", "")
    };
    let (answer, _) = reply(&computer, &request, PATIENCE).await;
    assert!(
        answer.is_ok() && answer.states.contains_key("s"),
        "{answer:?}"
    );
    let functions = vec!["f".to_owned()];
    request
        .dependencies
        .insert("s".to_owned(), FunctionList { functions });
    let (answer, _) = reply(&computer, &request, PATIENCE).await;
    assert_eq!(answer.outcome(), Outcome::ApplicationError);
    assert!(
        answer.retcode.contains("depends on state 's'"),
        "{}",
        answer.retcode
    );
    platform.stop().await;
}

#[tokio::test]
async fn hops_travel_in_a_header_and_stop_those_who_go_in_circles() {
    let stub = Stub::start(|_| Some((200, [].into(), activation(&json!({}))))).await;
    let computer = computer(&stub.fronting("")).await;
    serves(&computer, "f").await;
    let hopping = |hops| LambdaRequest {
        hops,
        ..LambdaRequest::new("f", "")
    };
    let request = hopping(254);
    assert!(reply(&computer, &request, PATIENCE).await.0.is_ok());
    let (answer, _) = reply(&computer, &hopping(255), PATIENCE).await;
    assert_eq!(answer.outcome(), Outcome::ApplicationError);
    assert_eq!(answer.retcode, "loop detected");
    let calls = stub.calls.lock().unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].headers["x-soe-hops"], "255");
    assert_eq!(calls[0].headers["x-request-id"], request.uuid.as_str());
    assert!(
        calls[0]
            .path
            .ends_with("/namespaces/guest/actions/f?blocking=true&result=false")
    );
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_the_platform_is_given() {
    let code = "async function main() {
        await new Promise((done) => setTimeout(done, 20));
        return {};
    }";
    let platform = platform(|config| config.concurrent_invocations = 2).await;
    Api::of(&platform).put("f", code).await;
    let computer = computer(&fronting(&platform, "max-in-flight = 2")).await;
    serves(&computer, "f").await;
    let all = futures_util::future::join_all((0..12).map(|_| ask(&computer, "f", ""))).await;
    // Of more than two at a time the platform would have complained.
    assert!(all.iter().all(LambdaResponse::is_ok), "{all:?}");
    platform.stop().await;
}

#[tokio::test]
async fn who_leaves_frees_the_place() {
    let stub = Stub::start(|_| None).await;
    let computer = computer(&stub.fronting("max-in-flight = 1")).await;
    serves(&computer, "f").await;
    let request = LambdaRequest::new("f", "");
    let mut waiting = Box::pin(reply(&computer, &request, PATIENCE));
    let in_flight = || computer.executor().standing("f").unwrap().in_flight;
    tokio::select! {
        _ = &mut waiting => panic!("nobody answers"),
        () = eventually("it is called", || in_flight() == 1) => {}
    }
    drop(waiting);
    eventually("the place is free", || in_flight() == 0).await;
}
