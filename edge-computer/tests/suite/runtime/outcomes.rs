//! What functions return and how they fail.

use std::time::Duration;

use edge_computer::executor::{ExecutionError, Executor as _};
use edge_computer::runtime::Status;

use super::support::{PATIENCE, failure, invocation, javascript, output, run, runtimes};

#[tokio::test]
async fn objects_arrays_promises_and_nothing_come_back_as_json() {
    let echo = javascript("function main(params) { return params.value; }", "");
    for value in [
        r#"{"quote":"\"","newline":"\n","umlaut":"ü","nested":{"a":[1,{"b":null}]},"empty":{}}"#,
        "{}",
        "[]",
        r#"[1,"two",{"three":3}]"#,
    ] {
        assert_eq!(
            output(&echo, &format!("{{\"value\":{value}}}")).await,
            value
        );
    }
    assert_eq!(output(&echo, "").await, "{}");
    echo.close().await;
    let promise = javascript(
        "async function main({ ms }) {
           await new Promise((done) => setTimeout(done, ms));
           return { ms };
         }",
        "",
    );
    assert_eq!(output(&promise, r#"{"ms":5}"#).await, r#"{"ms":5}"#);
    promise.close().await;
}

#[tokio::test]
async fn text_that_is_no_object_is_the_payload_and_may_come_back_as_text() {
    let code = "exports.main = ({ payload }) => ({ payload: payload.toUpperCase() });";
    let plain = javascript(code, "");
    assert_eq!(
        output(&plain, "say \"é\"").await,
        r#"{"payload":"SAY \"É\""}"#
    );
    plain.close().await;
    let shortcut = runtimes(&format!(
        "[mapping]\npayload-shortcut = true\n[[lambda]]\nname = 'f'\ncode = '{code}'"
    ));
    assert_eq!(output(&shortcut, "hello").await, "HELLO");
    shortcut.close().await;
}

#[tokio::test]
async fn failures_of_functions_are_told_apart_and_keep_their_answer() {
    let failing = javascript(
        "function main({ how }) {
           if (how === 'throw') throw new Error('no luck');
           if (how === 'reject') return Promise.reject(new Error('not today'));
           if (how === 'error') return { error: { code: 7 }, more: 1 };
           if (how === 'text') return 'text';
           if (how === 'null') return null;
           if (how === 'exit') process.exit(3);
           return { fine: true };
         }",
        "",
    );
    for (how, kind, said) in [
        ("throw", "action developer error", "no luck"),
        ("reject", "application error", "not today"),
        ("error", "application error", "7"),
        (
            "text",
            "action developer error",
            "did not return a dictionary",
        ),
        ("exit", "action developer error", "exited unexpectedly"),
    ] {
        let (text, answer) = failure(&failing, &format!("{{\"how\":\"{how}\"}}")).await;
        assert!(
            text.starts_with(kind) && text.contains(said),
            "{how}: {text}"
        );
        assert!(
            answer["error"] != serde_json::Value::Null,
            "{how}: {answer}"
        );
        // Whatever happened, the next one gets a container that works.
        assert_eq!(
            output(&failing, "{}").await,
            r#"{"fine":true}"#,
            "after {how}"
        );
    }
    assert_eq!(output(&failing, r#"{"how":"null"}"#).await, "{}");
    failing.close().await;
}

#[tokio::test]
async fn code_that_cannot_be_initialised_is_its_developers_fault() {
    for (code, said) in [
        ("function main( {", "Initialization has failed"),
        ("throw new Error('at once');", "at once"),
        ("const other = 1;", "there is no function main"),
    ] {
        let broken = javascript(code, "");
        let (text, _) = failure(&broken, "{}").await;
        assert!(text.starts_with("action developer error"), "{text}");
        assert!(text.contains(said), "{text}");
        broken.close().await;
    }
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_killed_and_says_so() {
    let endless = javascript(
        "function main({ endless }) { while (endless); return {}; }",
        "timeout = '2s'\nmax-containers = 1",
    );
    assert_eq!(output(&endless, "{}").await, "{}");
    let (text, _) = failure(&endless, r#"{"endless":true}"#).await;
    assert!(
        text.contains("exceeded its time limits of 2000 milliseconds"),
        "{text}"
    );
    assert_eq!(output(&endless, "{}").await, "{}");
    endless.close().await;
}

#[tokio::test]
async fn the_deadline_of_the_request_counts_too() {
    let slow = javascript(
        "function main({ ends }) { return new Promise((f) => ends && f({})); }",
        "",
    );
    // Else its start would be what takes too long.
    assert_eq!(output(&slow, r#"{"ends":true}"#).await, "{}");
    let deadline = std::time::Instant::now() + Duration::from_millis(1500);
    let late = slow.run(invocation("{}"), deadline).await;
    assert!(
        matches!(late, Err(ExecutionError::Deadline { .. })),
        "{late:?}"
    );
    slow.close().await;
}

#[tokio::test]
async fn results_and_logs_are_bounded() {
    let large = javascript(
        "function main({ length }) {
           for (let i = 0; i < 100; i++) console.log('x'.repeat(10));
           console.error('last words');
           return { text: 'y'.repeat(length) };
         }",
        "max-result-bytes = 1000\nmax-log-bytes = 100",
    );
    let (text, _) = failure(&large, r#"{"length":2000}"#).await;
    assert!(
        text.starts_with("application error") && text.contains("1000 bytes"),
        "{text}"
    );
    let pool = large.pool("f").unwrap();
    let mut request = invocation("{\"length\":1}");
    request.uuid = "abc".to_owned();
    let activation = edge_computer::runtime::Activation {
        id: "0".repeat(32),
        transaction_id: String::new(),
        namespace: "guest".to_owned(),
        version: "0.0.1".to_owned(),
        api_host: String::new(),
        params: serde_json::value::RawValue::from_string(request.input.clone()).unwrap(),
    };
    let deadline = std::time::Instant::now() + PATIENCE;
    let activated = pool
        .activate(activation, &request.terms(deadline))
        .await
        .unwrap();
    assert_eq!(activated.status, Status::Success);
    let printed: usize = activated
        .logs
        .iter()
        .filter(|line| line.ends_with("xxxxxxxxxx"))
        .count();
    assert!((1..=10).contains(&printed), "{:?}", activated.logs);
    assert!(
        activated
            .logs
            .iter()
            .any(|line| line.contains("Logs were truncated"))
    );
    large.close().await;
}

#[tokio::test]
async fn functions_see_who_calls_them_and_nothing_of_ours() {
    let env = javascript(
        "function main() { return { ...process.env }; }",
        "env = { COLOUR = 'blue' }",
    );
    let output = output(&env, "{}").await;
    let seen: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(seen["COLOUR"], "blue");
    assert_eq!(seen["__OW_ACTION_NAME"], "f");
    assert_eq!(seen["__OW_ACTIVATION_ID"].as_str().unwrap().len(), 32);
    assert!(
        seen["__OW_DEADLINE"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 1 << 40
    );
    assert_eq!(seen["EDGE_RUNTIME_SECRET"], serde_json::Value::Null);
    assert_eq!(seen["CARGO_MANIFEST_DIR"], serde_json::Value::Null);
    env.close().await;
}

#[tokio::test]
async fn states_and_unknown_names_are_answered_clearly() {
    let empty = runtimes("");
    assert!(matches!(
        run(&empty, "").await,
        Err(ExecutionError::NotFound(_))
    ));
    assert!(!empty.takes_states());
    empty.close().await;
}
