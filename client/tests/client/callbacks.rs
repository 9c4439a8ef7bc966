//! Asynchronous requests, whose results come back on another way.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use edge_client::load::{self, Progress};
use edge_client::{Config, ErrorKind, Report};
use edge_daemon::lifecycle::Shutdown;
use edge_proto::rpc::callback_server_client::CallbackServerClient;
use edge_proto::rpc::{LambdaRequest, LambdaResponse};
use edge_transport::{Endpoint, control};

use crate::support::{Computer, PATIENCE, config, echo};

/// A computer that acknowledges, and sends the answer that `result` makes.
fn computer(result: fn(&LambdaRequest) -> Option<LambdaResponse>) -> Computer {
    Computer::start(move |request| async move {
        if let Some(response) = result(&request) {
            let endpoint: Endpoint = request.callback.parse().unwrap();
            let channel = control::channel(&endpoint, None, PATIENCE);
            let mut callback = CallbackServerClient::new(channel);
            tokio::spawn(async move { callback.receive_response(response).await.unwrap() });
        }
        LambdaResponse::acknowledgement()
    })
}

async fn run(computer: &Computer, clients: usize, timeout: Duration) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        callback_endpoint: Some(Endpoint::new("127.0.0.1", 0)),
        num_threads: NonZeroUsize::new(clients).unwrap(),
        max_requests: NonZeroU64::new(5),
        output_file: Some(folder.path().join("lines")),
        timeout,
        ..config(&[computer])
    };
    load::run(&config, &Shutdown::new(), Progress::Silent)
        .await
        .unwrap()
}

#[tokio::test]
async fn results_that_name_their_request_serve_many_clients() {
    let computer = computer(|request| {
        Some(LambdaResponse {
            uuid: request.uuid.clone(),
            responder: "computer:1".to_owned(),
            ..echo(request)
        })
    });
    let report = run(&computer, 4, PATIENCE).await;
    assert_eq!((report.tally.sent, report.tally.ok), (20, 20));
    assert_eq!(report.tally.destinations["computer:1"].count, 20);
}

#[tokio::test]
async fn anonymous_results_serve_one_client() {
    let computer = computer(|request| Some(echo(request)));
    let report = run(&computer, 1, PATIENCE).await;
    assert_eq!((report.tally.sent, report.tally.ok), (5, 5));
}

#[tokio::test]
async fn a_result_that_is_lost_ends_with_the_deadline() {
    let computer = computer(|_| None);
    let report = run(&computer, 1, Duration::from_millis(50)).await;
    assert_eq!(report.tally.ok, 0);
    assert_eq!(report.tally.errors[&ErrorKind::Deadline].count, 5);
}

#[tokio::test]
async fn a_computer_that_answers_at_once_is_taken_at_its_word() {
    let computer = Computer::echo(Duration::ZERO);
    let report = run(&computer, 1, PATIENCE).await;
    assert_eq!((report.tally.sent, report.tally.ok), (5, 5));
}

#[tokio::test]
async fn a_result_that_is_not_ok_is_an_error() {
    let computer = computer(|request| {
        let mut other = request.clone();
        other.name = "other".to_owned();
        Some(LambdaResponse {
            uuid: request.uuid.clone(),
            ..echo(&other)
        })
    });
    let report = run(&computer, 1, PATIENCE).await;
    let kinds: Vec<_> = report.tally.errors.keys().map(|kind| kind.name()).collect();
    assert_eq!(kinds, ["retcode:not-found"]);
}
