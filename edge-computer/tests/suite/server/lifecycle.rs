//! A running computer: what it shows, how it is changed, how it ends.

use edge_proto::rpc::LambdaRequest;
use edge_transport::Endpoint;

use super::support::{PATIENCE, ask, client, computer, eventually, page, slow_in_flight, try_ask};

#[tokio::test]
async fn its_speed_can_be_changed_while_it_works() {
    let computer = computer("").await;
    let dry = LambdaRequest {
        dry: true,
        ..LambdaRequest::new("f0", "A".repeat(96))
    };
    assert_eq!(ask(&computer, &dry).await.ptime, 25);
    computer.set_speed_factor(0.1).unwrap();
    assert_eq!(ask(&computer, &dry).await.ptime, 250);
    computer.set_speed_factor(1.0).unwrap();
    assert_eq!(ask(&computer, &dry).await.ptime, 25);
    assert!(computer.set_speed_factor(0.0).is_err());
}

#[tokio::test]
async fn a_computer_that_is_killed_resets_its_callers() {
    let computer = computer("").await;
    let endpoint: Endpoint = computer.endpoint().clone();
    let caller = client();
    let slow = LambdaRequest::new("slow", "");
    let lost = async {
        let lost = try_ask(&caller, &endpoint, &slow).await;
        assert!(!lost.unwrap_err().never_left());
    };
    let kill = async {
        slow_in_flight(&computer, 1).await;
        computer.kill().await;
    };
    tokio::join!(lost, kill);
    assert!(
        try_ask(&client(), &endpoint, &slow)
            .await
            .unwrap_err()
            .never_left()
    );
}

#[tokio::test]
async fn a_handle_that_is_dropped_ends_its_computer() {
    let computer = computer("").await;
    let endpoint = computer.endpoint().clone();
    drop(computer);
    eventually("the port is free", || async {
        edge_transport::Listener::bind(&endpoint).is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_drain_lets_requests_in_flight_finish() {
    let computer = computer("").await;
    let endpoint = computer.endpoint().clone();
    let caller = client();
    let slow = LambdaRequest::new("slow", "done");
    let answered = try_ask(&caller, &endpoint, &slow);
    let drain = async {
        slow_in_flight(&computer, 1).await;
        // 25,000 s become some tens of milliseconds, in which the drain begins.
        computer.set_speed_factor(5e5).unwrap();
        assert!(computer.shutdown(PATIENCE).await);
    };
    let (answer, ()) = tokio::join!(answered, drain);
    assert_eq!(answer.unwrap().output, "done");
}

#[tokio::test]
async fn the_state_page_shows_the_platform() {
    let computer = computer("").await;
    let text = page(&computer, "/state").await;
    let body = text.split("\r\n\r\n").nth(1).unwrap();
    let state: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(state["endpoint"], computer.endpoint().as_str());
    assert_eq!(state["processors"][0]["name"], "cpu");
    assert_eq!(state["containers"][0]["lambda"], "f0");
    assert_eq!(state["containers"][0]["workers"], 4);
    assert!(page(&computer, "/readyz").await.starts_with("HTTP/1.1 200"));
    let metrics = page(&computer, "/metrics").await;
    for metric in [
        r#"edge_computer_utilization{processor="cpu"} 0"#,
        r#"edge_computer_queued{lambda="f0"} 0"#,
        "edge_computer_in_flight 0",
    ] {
        assert!(metrics.contains(metric), "{metric} is missing in {metrics}");
    }
}
