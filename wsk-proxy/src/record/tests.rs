use crate::activation::{Activation, ActivationId, Kind, Status, Texts, Trail};
use crate::names::ActionName;

use super::*;

const ID: &str = "14b574be780a4608a8c8780bcc541af0";
const STEP: &str = "50c580a64dbf40819c5ea379e22fa2c2";

fn id(text: &str) -> ActivationId {
    text.parse().unwrap()
}

fn lambda() -> Activation {
    Activation {
        id: id(ID),
        action: ActionName::parse("/guest/tools/echo", "").unwrap(),
        kind: Kind::Lambda,
        start_ms: 1000,
        end_ms: 1025,
        cause: None,
        steps: Vec::new(),
        trail: Trail {
            hops: 2,
            loads: [10, 20, 30],
            wait_ms: 7,
            init_ms: 3,
        },
        timed_out: false,
        limit_ms: 300_000,
        status: Status::Success,
        texts: Texts::new("tools/echo", "a \"b\"\n", r#"{"n":1.50}"#),
    }
}

fn sequence() -> Activation {
    Activation {
        kind: Kind::Sequence,
        cause: Some(id(STEP)),
        steps: vec![id(STEP), id(ID)],
        trail: Trail::default(),
        timed_out: true,
        status: Status::DeveloperError,
        texts: Texts::new("", "", r#"{"error":"x"}"#),
        ..lambda()
    }
}

fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).unwrap()
}

#[test]
fn a_record_of_a_lambda_says_how_it_was_executed() {
    let expected = concat!(
        r#"{"namespace":"guest","name":"echo","version":"0.0.1","publish":false,"#,
        r#""activationId":"14b574be780a4608a8c8780bcc541af0","start":1000,"end":1025,"#,
        r#""duration":25,"statusCode":0,"annotations":[{"key":"path","value":"guest/tools/echo"},"#,
        r#"{"key":"kind","value":"blackbox"},{"key":"limits","value":{"timeout":300000,"#,
        r#""memory":256,"logs":10,"concurrency":1}},{"key":"timeout","value":false},"#,
        r#"{"key":"waitTime","value":7},{"key":"initTime","value":3},"#,
        r#"{"key":"soe.lambda","value":"tools/echo"},"#,
        r#"{"key":"soe.responder","value":"a \"b\"\n"},{"key":"soe.hops","value":2},"#,
        r#"{"key":"soe.load1","value":10},{"key":"soe.load10","value":20},"#,
        r#"{"key":"soe.load30","value":30}],"subject":"guest","logs":[],"#,
        r#""response":{"status":"success","success":true,"size":10,"result":{"n":1.50}}}"#,
    );
    assert_eq!(text(full(&lambda())), expected);
}

#[test]
fn a_record_of_a_sequence_names_its_cause_and_its_steps() {
    let expected = concat!(
        r#"{"namespace":"guest","name":"echo","version":"0.0.1","publish":false,"#,
        r#""activationId":"14b574be780a4608a8c8780bcc541af0","start":1000,"end":1025,"#,
        r#""duration":25,"statusCode":2,"cause":"50c580a64dbf40819c5ea379e22fa2c2","#,
        r#""annotations":[{"key":"path","value":"guest/tools/echo"},"#,
        r#"{"key":"kind","value":"sequence"},{"key":"limits","value":{"timeout":300000,"#,
        r#""memory":256,"logs":10,"concurrency":1}},{"key":"timeout","value":true},"#,
        r#"{"key":"topmost","value":false},{"key":"causedBy","value":"sequence"}],"#,
        r#""subject":"guest","logs":["50c580a64dbf40819c5ea379e22fa2c2","#,
        r#""14b574be780a4608a8c8780bcc541af0"],"response":{"status":"action developer error","#,
        r#""success":false,"size":13,"result":{"error":"x"}}}"#,
    );
    assert_eq!(text(full(&sequence())), expected);
}

#[test]
fn lists_and_parts_are_json() {
    let (lambda, sequence) = (lambda(), sequence());
    let json = |text: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&text).unwrap();
    let (one, other) = (json(full(&lambda)), json(full(&sequence)));
    let brief = json(brief_list([&lambda, &sequence]));
    assert_eq!(brief[1]["annotations"], other["annotations"]);
    assert!(brief[0].get("response").is_none());
    assert_eq!(json(brief_list([])), serde_json::json!([]));
    assert_eq!(json(response(&lambda)), one["response"]);
    assert_eq!(json(logs(&sequence))["logs"], other["logs"]);
}
