//! State servers that mean no good.

use std::num::NonZeroUsize;
use std::sync::Arc;

use edge_proto::rpc::edge_server_client::EdgeServerClient;
use edge_proto::rpc::state_server_server::{StateServer, StateServerServer};
use edge_proto::rpc::{FunctionList, LambdaRequest, State, StateResponse};
use edge_transport::{Cores, Endpoint, Server, control};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::support::{Computer, PATIENCE, free_port};

/// Has any state, takes any, and says this at length when one is to go.
struct Liar;

const LIE: &str = "no\n2026-01-01T00:00:00.000000Z  INFO edgecomputer: all is well";

impl Liar {
    fn answer(retcode: &str) -> Result<Response<StateResponse>, Status> {
        Ok(Response::new(StateResponse {
            retcode: retcode.to_owned(),
            state: Some(State::default()),
        }))
    }
}

#[tonic::async_trait]
impl StateServer for Liar {
    async fn get(&self, _: Request<State>) -> Result<Response<StateResponse>, Status> {
        Self::answer("OK")
    }

    async fn put(&self, _: Request<State>) -> Result<Response<StateResponse>, Status> {
        Self::answer("OK")
    }

    async fn del(&self, _: Request<State>) -> Result<Response<StateResponse>, Status> {
        Self::answer(&LIE.repeat(10_000))
    }
}

#[tokio::test]
async fn a_state_server_writes_no_more_into_the_log_than_the_beginning_of_one_line() {
    let cores = Arc::new(Cores::start("liar", NonZeroUsize::MIN).unwrap());
    let routes = Routes::new(StateServerServer::new(Liar));
    let liar = Server::new(routes).serve(free_port(), &cores);
    let listener = free_port();
    let own = Endpoint::from(listener.local_addr());
    drop(listener);
    let server = format!("--server-endpoint={own}");
    let options = [
        &server,
        "--state-endpoint=127.0.0.1:0",
        "--log-format=text",
        "--admin-endpoint=",
    ];
    let mut computer = Computer::start(&options);
    computer.wait_for("edgecomputer listens");

    let mut client = EdgeServerClient::new(control::channel(&own, None, PATIENCE));
    let needed = FunctionList {
        functions: vec!["clambda0".to_owned()],
    };
    for number in 0..3 {
        let name = format!("s{number}\nforged");
        let state = State {
            location: liar.local_addr().to_string(),
            ..State::default()
        };
        let request = LambdaRequest {
            states: [(name.clone(), state)].into(),
            dependencies: [(name, needed.clone())].into(),
            chain: vec!["clambda0".to_owned()],
            ..LambdaRequest::new("clambda0", "x")
        };
        let answer = client.run_lambda(request).await.unwrap().into_inner();
        assert_eq!(answer.retcode, "OK");
    }
    computer.signal("TERM");
    assert_eq!(computer.wait().code(), Some(0));
    let log = computer.rest_of_log();
    let of_states: Vec<_> = log
        .iter()
        .filter(|line| line.contains("stays behind"))
        .collect();
    assert_eq!(of_states.len(), 1, "{log:#?}");
    assert!(of_states[0].len() < 500, "{}", of_states[0].len());
    assert!(
        !log.iter().any(|line| line.starts_with("forged")),
        "{log:#?}"
    );
    assert!(
        !log.iter().any(|line| line.starts_with("2026-01-01")),
        "{log:#?}"
    );
}
