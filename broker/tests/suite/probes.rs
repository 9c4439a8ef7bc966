//! Probes beside requests: whom they ask, about what, and that nobody executes them.

use std::time::{Duration, Instant};

use crate::support::{
    Computer, Conduct, PATIENCE, Running, config, eventually, report, request, start,
};
use edge_broker::config::Config;
use edge_proto::rpc::LambdaRequest;

fn working(milliseconds: u64) -> Computer {
    let service = Duration::from_millis(milliseconds);
    Computer::start(Conduct::Work(service, report(service, 0, 1)))
}

async fn broker(config: Config, computers: &[&Computer]) -> Running {
    let mut broker = start(config).await;
    for computer in computers {
        broker.route("f", &computer.name(), true).await;
    }
    broker
}

fn dry(computer: &Computer) -> Vec<LambdaRequest> {
    let mut received = computer.received();
    received.retain(|request| request.dry);
    received
}

#[tokio::test]
async fn a_computer_that_gets_no_requests_is_asked_what_one_would_take() {
    let (quick, slow) = (working(1), working(100));
    let broker = broker(config(), &[&quick, &slow]).await;
    // One at a time, so that the slow one is left alone.
    let deadline = Instant::now() + PATIENCE;
    while dry(&slow).is_empty() {
        assert!(Instant::now() < deadline, "the slow one is never asked");
        assert!(broker.ask(&request("f")).await.is_ok());
    }
    let asked = &dry(&slow)[0];
    assert!(asked.forward && asked.hops == 1, "{asked:?}");
    assert_eq!((asked.name.as_str(), asked.input.as_str()), ("f", "hello"));
    assert_eq!(asked.max_wait_us, 0, "a question is not refused");
    assert!(dry(&quick).is_empty(), "it gets requests all the time");
}

#[tokio::test]
async fn of_a_large_request_only_the_name_is_sent_to_ask() {
    let computers = [working(1), working(1)];
    let mut asking = config();
    asking.table = serde_json::from_value(serde_json::json!({"type": "prequal"})).unwrap();
    let broker = broker(asking, &[&computers[0], &computers[1]]).await;
    let large = LambdaRequest {
        input: "x".repeat(10_000),
        ..request("f")
    };
    assert!(broker.ask(&large).await.is_ok());
    eventually("both are asked", || {
        computers.iter().all(|computer| !dry(computer).is_empty())
    })
    .await;
    for computer in &computers {
        let asked = &dry(computer)[0];
        assert_eq!((asked.name.as_str(), asked.input.len()), ("f", 0));
    }
    let received = computers.iter().flat_map(Computer::received);
    let executed = received.filter(|request| !request.dry).count();
    assert_eq!(executed, 1);
}

#[tokio::test]
async fn with_a_single_computer_there_is_nothing_to_ask() {
    let computer = working(1);
    let mut asking = config();
    asking.table = serde_json::from_value(serde_json::json!({"type": "prequal"})).unwrap();
    let broker = broker(asking, &[&computer]).await;
    for _ in 0..20 {
        assert!(broker.ask(&request("f")).await.is_ok());
    }
    assert!(dry(&computer).is_empty());
}

#[tokio::test]
async fn without_probes_in_the_configuration_nobody_is_asked() {
    let (quick, slow) = (working(1), working(100));
    let mut silent = config();
    silent.table =
        serde_json::from_value(serde_json::json!({"type": "predicted-completion", "probes": 0}))
            .unwrap();
    let broker = broker(silent, &[&quick, &slow]).await;
    for _ in 0..1500 {
        assert!(broker.ask(&request("f")).await.is_ok());
    }
    assert!(dry(&quick).is_empty() && dry(&slow).is_empty());
}
