//! What others get to know: announcements, utilisation, health, reflection.

use std::time::Duration;

use edge_proto::rpc::Void;
use edge_proto::rpc::edge_computer_client::EdgeComputerClient;
use edge_transport::{Endpoint, control};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::support::{PATIENCE, computer};

#[tokio::test]
async fn v2_utilization_streams_before_the_first_task_and_ends_with_the_computer() {
    let computer = computer("").await;
    let server: Endpoint = computer.utilization_address().unwrap().into();
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut client = EdgeComputerClient::new(control::streaming_channel(&server, None));
        streams.push(client.stream_util(Void {}).await.unwrap().into_inner());
    }
    for stream in &mut streams {
        let sample = tokio::time::timeout(PATIENCE, stream.message()).await;
        let sample = sample.expect("a sample per second").unwrap().unwrap();
        assert_eq!(
            sample.values.into_iter().collect::<Vec<_>>(),
            [("cpu".to_owned(), 0.0)]
        );
    }
    assert!(computer.shutdown(PATIENCE).await);
    for mut stream in streams {
        while let Ok(Some(_)) = stream.message().await {}
    }
}

#[tokio::test]
async fn health_is_served_and_those_who_watch_do_not_hold_up_the_drain() {
    let computer = computer("").await;
    let channel = control::streaming_channel(computer.endpoint(), None);
    let mut client = HealthClient::new(channel);
    let request = HealthCheckRequest {
        service: "uiiit.rpc.EdgeServer".to_owned(),
    };
    let answer = client.check(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    let mut watched = client.watch(request).await.unwrap().into_inner();
    assert!(watched.message().await.unwrap().is_some());
    assert!(computer.shutdown(PATIENCE).await);
    while let Ok(Some(_)) = watched.message().await {}
}

/// All services that a port describes to `$version` of server reflection.
macro_rules! described {
    ($version:ident, $port:expr) => {{
        use tonic_reflection::pb::$version::ServerReflectionRequest;
        use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
        let channel = control::channel($port, None, PATIENCE);
        let request = ServerReflectionRequest {
            message_request: Some(MessageRequest::ListServices(String::new())),
            ..ServerReflectionRequest::default()
        };
        let answers = ServerReflectionClient::new(channel)
            .server_reflection_info(tokio_stream::iter([request]))
            .await;
        let answer = answers.unwrap().into_inner().message().await;
        let Some(MessageResponse::ListServicesResponse(list)) =
            answer.unwrap().unwrap().message_response
        else {
            panic!("not a list");
        };
        let names = list.service.into_iter().map(|service| service.name);
        names.collect::<Vec<_>>()
    }};
}

#[tokio::test]
async fn every_port_says_that_it_serves_and_what_to_old_tools_and_new() {
    let computer = computer("state.endpoint = '127.0.0.1:0'").await;
    let ports = [
        ("uiiit.rpc.EdgeServer", computer.address()),
        (
            "uiiit.rpc.EdgeComputer",
            computer.utilization_address().unwrap(),
        ),
        ("uiiit.rpc.StateServer", computer.state_address().unwrap()),
    ];
    for (service, address) in ports {
        let service = service.to_owned();
        let port = Endpoint::from(address);
        assert!(described!(v1, &port).contains(&service), "{service}");
        assert!(described!(v1alpha, &port).contains(&service), "{service}");
        let channel = control::channel(&port, None, PATIENCE);
        for service in [service, String::new()] {
            let request = HealthCheckRequest { service };
            let answer = HealthClient::new(channel.clone()).check(request).await;
            let answer = answer.unwrap().into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving);
        }
    }
    assert!(computer.shutdown(PATIENCE).await);
}

#[tokio::test]
async fn a_drain_that_takes_too_long_cuts_off_what_is_left() {
    let computer = computer("asynchronous = {enabled = true, deadline = '1000h'}").await;
    let caller = super::support::Caller::start();
    assert!(
        super::support::ask(&computer, &caller.request("slow", "x"))
            .await
            .is_ok()
    );
    assert!(!computer.shutdown(Duration::from_millis(10)).await);
}
