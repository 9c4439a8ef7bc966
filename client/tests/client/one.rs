//! A client of one end-point.

use std::time::Duration;

use edge_client::{Client, ErrorKind, RequestError};
use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};

use crate::support::{Computer, PATIENCE, echo, nobody, transport};

fn request(dry: bool) -> LambdaRequest {
    LambdaRequest {
        dry,
        ..LambdaRequest::new("clambda0", "hello")
    }
}

#[tokio::test]
async fn cl1_without_a_server_a_call_is_an_error() {
    let client = Client::new(transport(), nobody());
    for dry in [false, true] {
        let error = client.call(&request(dry), PATIENCE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    }
}

#[tokio::test]
async fn a_call_brings_back_the_answer_and_its_latency() {
    const DELAY: Duration = Duration::from_millis(20);
    let computer = Computer::echo(DELAY);
    let client = Client::new(transport(), computer.endpoint());
    let sent = request(false);
    let answer = client.call(&sent, PATIENCE).await.unwrap();
    assert_eq!(answer.response.output, "hello");
    assert_eq!(answer.response.hops, 1);
    assert_eq!(answer.response.responder, "");
    assert!(answer.latency >= DELAY);
    assert_eq!(computer.seen(), [sent]);
}

#[tokio::test]
async fn an_answer_that_is_not_ok_is_an_error_with_its_outcome() {
    let computer = Computer::start(|request| async move {
        match request.name.as_str() {
            // As a computer of the reference says it.
            "plain" => LambdaResponse {
                retcode: "something broke".to_owned(),
                ..LambdaResponse::default()
            },
            _ => echo(&request),
        }
    });
    let client = Client::new(transport(), computer.endpoint());
    for (lambda, outcome, retcode) in [
        ("plain", Outcome::ApplicationError, "something broke"),
        ("other", Outcome::NotFound, "No container for lambda other"),
    ] {
        let request = LambdaRequest::new(lambda, "");
        let error = client.call(&request, PATIENCE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Retcode(outcome));
        assert_eq!(error.to_string(), retcode);
    }
}

#[tokio::test]
async fn a_call_ends_with_its_deadline_and_is_cancelled_at_the_server() {
    let computer = Computer::silent();
    let client = Client::new(transport(), computer.endpoint());
    let timeout = Duration::from_millis(200);
    let error = client.call(&request(false), timeout).await.unwrap_err();
    assert!(matches!(&error, RequestError::Call(_)), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Deadline);
    let running = async {
        while computer.running() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, running).await.unwrap();
}
