use bytes::Bytes;
use edge_proto::rpc::LambdaResponse;
use prost::Message as _;

use super::*;

fn meaning(response: &LambdaResponse, trailers: Metadata) -> Result<Executed, Refusal> {
    let metadata = Metadata::new();
    let ask = Ask {
        lambdas: Candidates("f", None),
        input: "{}",
        binary: Binary {
            member: "base64",
            input: false,
        },
        id: ActivationId::random(),
        hops: 3,
        metadata: &metadata,
        timeout: Duration::from_secs(5),
    };
    let reply = LambdaReply {
        message: response.encode_to_vec().into(),
        trailers,
    };
    ask.understood(&reply, "f", Duration::from_millis(10))
}

fn response(outcome: Outcome, retcode: &str, output: &str) -> LambdaResponse {
    LambdaResponse {
        output: output.to_owned(),
        ..LambdaResponse::error(outcome, retcode)
    }
}

#[test]
fn outcomes_become_statuses_of_openwhisk() {
    for (outcome, retcode, output, status, result) in [
        (
            Outcome::Ok,
            "OK",
            r#"{"a":1}"#,
            Status::Success,
            r#"{"a":1}"#,
        ),
        (
            Outcome::Unspecified,
            "OK",
            "hi",
            Status::Success,
            r#"{"payload":"hi"}"#,
        ),
        (
            Outcome::Ok,
            "OK",
            r#"{"error":"no"}"#,
            Status::ApplicationError,
            r#"{"error":"no"}"#,
        ),
        (
            Outcome::ApplicationError,
            "bad input",
            "",
            Status::ApplicationError,
            r#"{"error":"bad input"}"#,
        ),
        (
            Outcome::ApplicationError,
            "application error",
            r#"{"error":{"code":7}}"#,
            Status::ApplicationError,
            r#"{"error":{"code":7}}"#,
        ),
        (
            Outcome::ApplicationError,
            "action developer error: it crashed",
            "",
            Status::DeveloperError,
            r#"{"error":"action developer error: it crashed"}"#,
        ),
        (
            Outcome::Unspecified,
            "some error of the reference",
            "",
            Status::ApplicationError,
            r#"{"error":"some error of the reference"}"#,
        ),
        (
            Outcome::Unavailable,
            "lost it",
            "",
            Status::InternalError,
            r#"{"error":"The platform failed: lost it"}"#,
        ),
    ] {
        let executed = meaning(&response(outcome, retcode, output), Metadata::new()).unwrap();
        assert_eq!(
            (executed.status, executed.texts.result()),
            (status, result),
            "{retcode}"
        );
        assert!(!executed.timed_out);
    }
    let late = meaning(&response(Outcome::Deadline, "late", ""), Metadata::new()).unwrap();
    assert_eq!(
        (late.status, late.timed_out),
        (Status::DeveloperError, true)
    );
}

#[test]
fn what_was_not_executed_is_refused() {
    let not_found = || Refusal::NotFound("f".to_owned());
    for (outcome, retcode, refusal) in [
        (Outcome::NotFound, "whatever", not_found()),
        (Outcome::Unspecified, NO_DESTINATIONS, not_found()),
        (Outcome::ApplicationError, LOOP, Refusal::Loop(3)),
        (Outcome::Unspecified, LOOP, Refusal::Loop(3)),
    ] {
        let refused = meaning(&response(outcome, retcode, ""), Metadata::new()).unwrap_err();
        assert_eq!(refused, refusal);
    }
    let mut trailers = Metadata::new();
    pushback::set(&mut trailers, Duration::from_millis(250));
    let busy = meaning(&response(Outcome::Overloaded, "full", ""), trailers).unwrap_err();
    assert_eq!(busy.retry_after(), Some(Duration::from_millis(250)));
    for outcome in [Outcome::Deadline, Outcome::Unavailable] {
        let mut trailers = Metadata::new();
        unexecuted::mark(&mut trailers);
        let refused = meaning(&response(outcome, "not begun", ""), trailers);
        assert!(matches!(refused.unwrap_err(), Refusal::Busy { .. }));
    }
}

#[test]
fn an_answer_that_is_none_is_a_failure_of_the_platform() {
    let metadata = Metadata::new();
    let ask = Ask {
        lambdas: Candidates("f", None),
        input: "{}",
        binary: Binary {
            member: "base64",
            input: false,
        },
        id: ActivationId::random(),
        hops: 0,
        metadata: &metadata,
        timeout: Duration::from_secs(5),
    };
    let reply = LambdaReply {
        message: Bytes::from_static(b"\xff\xff\xff"),
        trailers: Metadata::new(),
    };
    let executed = ask.understood(&reply, "f", Duration::ZERO).unwrap();
    assert_eq!(executed.status, Status::InternalError);
}

#[test]
fn the_trail_says_where_and_how_it_was_executed() {
    let answer = LambdaResponse {
        responder: "127.0.0.1:1".to_owned(),
        ptime: 4,
        load1: 1,
        load10: 2,
        load30: 3,
        hops: 2,
        cold_start_us: 1500,
        ..response(Outcome::Ok, "OK", "{}")
    };
    let executed = meaning(&answer, Metadata::new()).unwrap();
    let expected = Trail {
        hops: 2,
        loads: [1, 2, 3],
        wait_ms: 6,
        init_ms: 2,
    };
    assert_eq!(executed.trail, expected);
    assert_eq!(executed.texts, Texts::new("f", "127.0.0.1:1", "{}"));
}
