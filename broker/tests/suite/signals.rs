//! How brokers end: politely, or at once.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::support::process::Process;
use crate::support::{Computer, Conduct, PATIENCE, change, eventually, request};
use assert_cmd::cargo::CommandCargoExt as _;
use edge_proto::rpc::LambdaResponse;
use edge_proto::rpc::edge_router_client::EdgeRouterClient;
use edge_transport::{CallError, ClientOptions, Core, LambdaCall, LambdaClient, control};
use prost::Message as _;
use tokio::task::JoinHandle;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// A broker as a process with a request in flight at a computer that answers when it is told to.
struct Busy {
    broker: Process,
    answered: JoinHandle<Result<LambdaResponse, CallError>>,
    release: Arc<AtomicBool>,
    _computer: Computer,
}

impl Busy {
    async fn start(program: &str, variables: &[(&str, &str)]) -> Self {
        let release = Arc::new(AtomicBool::new(false));
        let computer = Computer::start(Conduct::Await(release.clone()));
        let broker = Process::start_with(program, &[], variables);
        let tables = control::channel(&broker.tables.parse().unwrap(), None, PATIENCE);
        let added = EdgeRouterClient::new(tables)
            .configure(change("f", &computer.name(), 1.0, true))
            .await;
        assert_eq!(added.unwrap().into_inner().msg, "OK");
        let endpoint = broker.lambda.parse().unwrap();
        let answered = tokio::spawn(async move {
            let client = LambdaClient::new(Core::current(), Arc::new(ClientOptions::default()));
            let call = LambdaCall {
                message: request("f").encode_to_vec().into(),
                metadata: edge_transport::Metadata::new(),
                deadline: Instant::now() + PATIENCE,
            };
            let reply = client.call(&endpoint, &call).await?;
            Ok(LambdaResponse::decode(reply.message).unwrap())
        });
        eventually("the request is in flight", || computer.count() == 1).await;
        Self {
            broker,
            answered,
            release,
            _computer: computer,
        }
    }
}

#[tokio::test]
async fn after_a_signal_the_request_in_flight_is_answered_and_nobody_else_is_let_in() {
    for program in ["edgerouter", "edgedispatcher"] {
        for signal in ["-TERM", "-INT"] {
            let mut busy = Busy::start(program, &[]).await;
            let broker = &mut busy.broker;
            let mut watched = Vec::new();
            for (address, service) in [
                (&broker.lambda, ""),
                (&broker.lambda, "uiiit.rpc.EdgeServer"),
                (&broker.tables, ""),
                (&broker.tables, "uiiit.rpc.EdgeRouter"),
            ] {
                let channel = control::streaming_channel(&address.parse().unwrap(), None);
                let service = service.to_owned();
                let watching = HealthClient::new(channel)
                    .watch(HealthCheckRequest { service })
                    .await;
                let mut stream = watching.unwrap().into_inner();
                let now = stream.message().await.unwrap().unwrap().status();
                assert_eq!(now, ServingStatus::Serving);
                watched.push(stream);
            }
            assert_eq!(broker.admin_status("/readyz"), "HTTP/1.1 200 OK");

            broker.signal(signal);
            for stream in &mut watched {
                let now = stream.message().await.unwrap().unwrap().status();
                assert_eq!(now, ServingStatus::NotServing);
            }
            let unready = "HTTP/1.1 503 Service Unavailable";
            assert_eq!(broker.admin_status("/readyz"), unready);
            assert_eq!(broker.admin_status("/healthz"), "HTTP/1.1 200 OK");
            for address in [&broker.lambda, &broker.tables] {
                let closed = || TcpStream::connect(address).is_err();
                eventually("new connections are refused", closed).await;
            }
            assert!(!busy.answered.is_finished(), "{program} {signal}");

            busy.release.store(true, Ordering::SeqCst);
            let answer = busy.answered.await.unwrap().unwrap();
            assert_eq!(answer.retcode, "OK", "{program} {signal}");
            assert_eq!(broker.exit_code(), Some(0), "{program} {signal}");
        }
    }
}

#[tokio::test]
async fn a_second_signal_ends_a_broker_at_once() {
    for (first, second) in [("-TERM", "-TERM"), ("-INT", "-TERM")] {
        let mut busy = Busy::start("edgerouter", &[]).await;
        busy.broker.signal(first);
        busy.broker.wait_for("draining");
        busy.broker.signal(second);
        assert_eq!(busy.broker.exit_code(), Some(1), "{first} {second}");
        let error = busy.answered.await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Lost { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_is_in_flight_beyond_the_deadline_is_cut_off_and_told() {
    for (program, variable) in [
        ("edgerouter", "EDGEROUTER__DRAIN__DEADLINE"),
        ("edgedispatcher", "EDGEDISPATCHER__DRAIN__DEADLINE"),
    ] {
        let mut busy = Busy::start(program, &[(variable, "300ms")]).await;
        busy.broker.signal("-TERM");
        busy.broker.wait_for("still in flight after 300ms");
        assert_eq!(busy.broker.exit_code(), Some(1));
        assert!(busy.answered.await.unwrap().is_err());
    }
}

#[tokio::test]
async fn a_second_router_on_a_port_fails_and_the_first_one_serves_on() {
    let busy = Busy::start("edgerouter", &[]).await;
    for option in ["--server-endpoint", "--configuration-endpoint"] {
        let taken = match option {
            "--server-endpoint" => &busy.broker.lambda,
            _ => &busy.broker.tables,
        };
        let mut command = std::process::Command::cargo_bin("edgerouter").unwrap();
        let others = ["--server-endpoint", "--configuration-endpoint"];
        for other in others.iter().filter(|other| **other != option) {
            command.args([other, "127.0.0.1:0"]);
        }
        let second = command
            .args([option, taken, "--admin-endpoint="])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&second.stderr).into_owned();
        assert_eq!(second.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains(&format!("could not bind to {taken}")),
            "{stderr}"
        );
        assert!(stderr.contains("in use"), "{stderr}");
    }
    busy.release.store(true, Ordering::SeqCst);
    assert_eq!(busy.answered.await.unwrap().unwrap().retcode, "OK");
}
