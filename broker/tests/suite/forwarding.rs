//! Requests on their way: hops, tables, responder, dry, metadata, limits.

use std::time::{Duration, Instant};

use crate::support::{Computer, Conduct, PATIENCE, config, eventually, request, start};
use bytes::Bytes;
use edge_broker::config::TableConfig;
use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome, State};
use edge_transport::LambdaCall;
use prost::Message as _;

#[tokio::test]
async fn a_request_arrives_as_it_was_sent_with_one_more_hop() {
    let computer = Computer::echo();
    let mut router = start(config()).await;
    router.route("f", &computer.name(), true).await;
    let sent = LambdaRequest {
        datain: "binary".into(),
        callback: "127.0.0.1:1".into(),
        chain: vec!["f".into()],
        states: [(
            "s".to_owned(),
            State {
                content: "c".into(),
                ..State::default()
            },
        )]
        .into(),
        ..request("f")
    };
    let answer = router.ask(&sent).await;
    assert_eq!((answer.retcode.as_str(), answer.hops), ("OK", 2));
    assert_eq!(computer.received(), [sent.one_more_hop()]);
}

#[tokio::test]
async fn fields_of_the_future_pass_through() {
    let computer = Computer::echo();
    let mut router = start(config()).await;
    router.route("f", &computer.name(), true).await;
    let mut message = request("f").encode_to_vec();
    message.extend_from_slice(b"\xa2\x1f\x03new"); // field 500
    let call = LambdaCall {
        message: Bytes::from(message),
        metadata: edge_transport::Metadata::new(),
        deadline: Instant::now() + PATIENCE,
    };
    router.client.call(&router.endpoint, &call).await.unwrap();
    assert_eq!(computer.received()[0].name, "f");
}

#[tokio::test]
async fn the_first_broker_fills_in_the_responder_and_no_other_does() {
    let computer = Computer::echo();
    let (mut inner, mut outer) = (start(config()).await, start(config()).await);
    inner.route("f", &computer.name(), true).await;
    outer.route("f", inner.endpoint.as_str(), false).await;
    let answer = outer.ask(&request("f")).await;
    assert_eq!((answer.responder, answer.hops), (computer.name(), 3));
}

#[tokio::test]
async fn a_request_from_an_edge_node_goes_to_final_destinations_only() {
    let (computer, other_router) = (Computer::echo(), Computer::echo());
    let mut router = start(config()).await;
    router.route("f", &other_router.name(), false).await;
    let forwarded = LambdaRequest {
        forward: true,
        ..request("f")
    };
    let answer = router.ask(&forwarded).await;
    assert_eq!(answer.retcode, "No destinations found for the entry");
    assert_eq!(answer.outcome(), Outcome::NotFound);
    router.route("f", &computer.name(), true).await;
    for _ in 0..10 {
        assert_eq!(router.ask(&forwarded).await.retcode, "OK");
    }
    assert_eq!((computer.count(), other_router.count()), (10, 0));
}

#[tokio::test]
async fn a_request_beyond_254_hops_is_a_loop() {
    let computer = Computer::echo();
    let mut router = start(config()).await;
    router.route("f", &computer.name(), true).await;
    let at_the_limit = LambdaRequest {
        hops: 254,
        ..request("f")
    };
    assert_eq!(router.ask(&at_the_limit).await.retcode, "OK");
    let beyond = LambdaRequest {
        hops: 255,
        ..request("f")
    };
    assert_eq!(router.ask(&beyond).await.retcode, "loop detected");
    assert_eq!(computer.count(), 1);
}

#[tokio::test]
async fn two_routers_that_point_at_each_other_end_in_an_error_not_in_a_storm() {
    let (mut a, mut b) = (start(config()).await, start(config()).await);
    a.route("f", b.endpoint.as_str(), true).await;
    b.route("f", a.endpoint.as_str(), true).await;
    assert_eq!(a.ask(&request("f")).await.retcode, "loop detected");
}

#[tokio::test]
async fn dry_is_passed_on() {
    let computer = Computer::echo();
    let mut router = start(config()).await;
    router.route("f", &computer.name(), true).await;
    router
        .ask(&LambdaRequest {
            dry: true,
            ..request("f")
        })
        .await;
    assert!(computer.received()[0].dry);
}

#[tokio::test]
async fn unknown_and_nameless_lambdas_get_a_retcode() {
    let router = start(config()).await;
    let answer = router.ask(&request("nobody")).await;
    assert_eq!(answer.retcode, "No destinations found for the entry");
    assert_eq!(answer.outcome(), Outcome::NotFound);
    let answer = router.ask(&request("")).await;
    assert_eq!(
        answer.retcode,
        "invalid request: the name of the lambda is empty"
    );
}

#[tokio::test]
async fn what_a_router_says_itself_has_the_uuid_of_the_request_unless_that_is_long() {
    let gone = Computer::echo();
    let mut router = start(config()).await;
    router.route("gone", &gone.name(), true).await;
    gone.server.kill().await;
    let uuids = ["u-1".to_owned(), "u".repeat(1024), "u".repeat(1025)];
    for lambda in ["", "nobody", "gone"] {
        for uuid in &uuids {
            let asked = LambdaRequest {
                uuid: uuid.clone(),
                ..request(lambda)
            };
            let answer = router.ask(&asked).await;
            assert_ne!(answer.outcome(), Outcome::Ok);
            let expected = if uuid.len() > 1024 { "" } else { uuid };
            assert_eq!(answer.uuid, expected, "{lambda:?}: {}", answer.retcode);
        }
    }
}

#[tokio::test]
async fn malformed_messages_get_a_retcode() {
    let router = start(config()).await;
    let call = LambdaCall {
        message: Bytes::from_static(b"\x0a\x20short"),
        metadata: edge_transport::Metadata::new(),
        deadline: Instant::now() + PATIENCE,
    };
    let reply = router.client.call(&router.endpoint, &call).await.unwrap();
    let answer = LambdaResponse::decode(reply.message).unwrap();
    assert!(
        answer.retcode.starts_with("malformed request: "),
        "{}",
        answer.retcode
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_the_next_one_served() {
    let computer = Computer::echo();
    let mut small = config();
    small.limits.max_message_bytes = 10_000;
    let mut router = start(small).await;
    router.route("f", &computer.name(), true).await;
    let error = router
        .try_ask(&LambdaRequest::new("f", "x".repeat(20_000)))
        .await;
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("limit of 10000 bytes")
    );
    assert_eq!(router.ask(&request("f")).await.retcode, "OK");
}

#[tokio::test]
async fn metadata_passes_in_both_directions_and_the_deadline_shrinks() {
    let computer = Computer::echo();
    let mut router = start(config()).await;
    router.route("f", &computer.name(), true).await;
    let mut metadata = edge_transport::Metadata::new();
    for (name, value) in [("traceparent", "00-abc"), ("x-bin-bin", "AAEC")] {
        let name = http::HeaderName::from_static(name);
        metadata.insert(&name, &value.parse().unwrap());
    }
    let call = LambdaCall {
        message: Bytes::from(request("f").encode_to_vec()),
        metadata,
        deadline: Instant::now() + PATIENCE,
    };
    let reply = router.client.call(&router.endpoint, &call).await.unwrap();
    let seen = &computer.metadata()[0];
    assert_eq!(seen.text("traceparent"), Some("00-abc"));
    assert_eq!(seen.text("x-bin-bin"), Some("AAEC"));
    assert_eq!(reply.trailers.text("x-computer"), Some("present"));
}

#[tokio::test]
async fn cancellation_reaches_the_computer() {
    let computer = Computer::start(Conduct::Hang);
    let mut router = start(config()).await;
    router.route("f", &computer.name(), true).await;
    {
        let asked = request("f");
        let hanging = router.ask(&asked);
        tokio::pin!(hanging);
        tokio::select! {
            answer = &mut hanging => panic!("nobody answers: {answer:?}"),
            () = eventually("at the computer", || computer.count() == 1) => {}
        }
        assert_eq!(router.router.destinations()[0].in_flight, 1);
    }
    let in_flight = || router.router.destinations()[0].in_flight;
    eventually("the place at the computer is free again", || {
        in_flight() == 0
    })
    .await;
    assert_eq!(computer.count(), 1);
}

#[tokio::test]
async fn a_deadline_that_passes_is_told_by_whoever_notices_first() {
    let computer = Computer::start(Conduct::Hang);
    let mut router = start(config()).await;
    router.route("f", &computer.name(), true).await;
    let call = LambdaCall {
        message: Bytes::from(request("f").encode_to_vec()),
        metadata: edge_transport::Metadata::new(),
        deadline: Instant::now() + Duration::from_millis(200),
    };
    match router.client.call(&router.endpoint, &call).await {
        Err(error) => assert_eq!(error.to_string(), "deadline exceeded"),
        Ok(reply) => {
            let answer = LambdaResponse::decode(reply.message).unwrap();
            assert_eq!(answer.outcome(), Outcome::Deadline);
        }
    }
}

#[tokio::test]
async fn a_thousand_requests_are_in_flight_at_one_computer() {
    let computer = Computer::start(Conduct::Hang);
    let mut router = start(config()).await;
    router.route("slow", &computer.name(), true).await;
    let echo = Computer::echo();
    router.route("f", &echo.name(), true).await;
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            let (client, endpoint) = (router.client.clone(), router.endpoint.clone());
            tokio::spawn(async move {
                let call = LambdaCall {
                    message: Bytes::from(request("slow").encode_to_vec()),
                    metadata: edge_transport::Metadata::new(),
                    deadline: Instant::now() + PATIENCE,
                };
                client.call(&endpoint, &call).await
            })
        })
        .collect();
    eventually("all at the computer", || computer.count() == 1000).await;
    assert_eq!(
        router.ask(&request("f")).await.retcode,
        "OK",
        "other lambdas are not held up"
    );
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn the_limit_of_pending_requests_holds_and_leaks_no_place() {
    let computer = Computer::start(Conduct::Hang);
    let mut limited = config();
    limited.router.max_pending_clients = 2;
    let mut router = start(limited).await;
    router.route("f", &computer.name(), true).await;
    let hanging: Vec<_> = (0..5)
        .map(|_| {
            let (client, endpoint) = (router.client.clone(), router.endpoint.clone());
            tokio::spawn(async move {
                let call = LambdaCall {
                    message: Bytes::from(request("f").encode_to_vec()),
                    metadata: edge_transport::Metadata::new(),
                    deadline: Instant::now() + PATIENCE,
                };
                client.call(&endpoint, &call).await
            })
        })
        .collect();
    eventually("two have a place", || computer.count() == 2).await;
    let in_flight = || router.router.destinations()[0].in_flight;
    eventually("the others wait", || in_flight() == 5).await;
    assert_eq!(computer.count(), 2);
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
    computer.conduct(Conduct::Echo(Duration::ZERO));
    for _ in 0..5 {
        assert_eq!(router.ask(&request("f")).await.retcode, "OK");
    }
}

#[tokio::test]
async fn an_artificial_delay_beyond_the_deadline_ends_the_request_at_once() {
    let computer = Computer::echo();
    let mut slow = config();
    slow.router.min_forward_time = 3600.0;
    slow.router.max_forward_time = 3600.0;
    let mut router = start(slow).await;
    router.route("f", &computer.name(), true).await;
    // Answered by the broker: whoever waits for the deadline itself gets no answer.
    let answer = router.ask(&request("f")).await;
    assert_eq!(answer.outcome(), Outcome::Deadline);
    assert!(answer.retcode.contains("artificial delay"), "{answer:?}");
    assert_eq!(computer.count(), 0);
    assert_eq!(router.router.destinations()[0].in_flight, 0);
}

#[tokio::test]
async fn a_fake_router_contacts_nobody() {
    let mut fake = config();
    fake.router.fake = true;
    fake.fake.num_lambdas = 3;
    fake.fake.num_destinations = 2;
    let router = start(fake).await;
    let answer = router.ask(&request("lambda2")).await;
    assert_eq!(
        (answer.retcode.as_str(), answer.output.as_str()),
        ("OK", "")
    );
    assert!(answer.ptime > 0);
    assert_eq!(
        router.ask(&request("lambda3")).await.outcome(),
        Outcome::NotFound
    );
}

#[tokio::test]
async fn ten_thousand_destinations_work_under_every_policy() {
    let named = |name: &str| {
        let written = serde_json::json!({"type": name, "alpha": 1, "beta": 1});
        let bare = serde_json::json!({"type": name});
        // Only one of them may have exponents.
        let written = if name == "proportional-fairness" {
            written
        } else {
            bare
        };
        serde_json::from_value::<TableConfig>(written).unwrap()
    };
    let policies = edge_balance::PolicyConfig::NAMES.map(named);
    for table in policies {
        let mut many = config();
        many.table = table;
        many.router.fake = true;
        many.fake.num_lambdas = 1;
        many.fake.num_destinations = 10_000;
        let router = start(many).await;
        for _ in 0..50 {
            assert_eq!(router.ask(&request("lambda0")).await.retcode, "OK");
        }
    }
}
