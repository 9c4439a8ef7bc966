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

#[tokio::test]
async fn reflection_lists_the_lambda_service() {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let computer = computer("").await;
    let channel = control::channel(computer.endpoint(), None, PATIENCE);
    let mut client = ServerReflectionClient::new(channel);
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let answers = client
        .server_reflection_info(tokio_stream::iter([request]))
        .await;
    let answer = answers
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("not a list: {answer:?}");
    };
    let names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    assert!(
        names.contains(&"uiiit.rpc.EdgeServer".to_owned()),
        "{names:?}"
    );
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
