//! No place anywhere: who waits, who is next, who is turned away, and destinations that ask to be
//! left alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{
    Computer, Conduct, PATIENCE, Running, client, config_without_probes, eventually, request, start,
};
use edge_broker::config::LambdaConfig;
use edge_broker::{Config, Standing};
use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use tokio::sync::Semaphore;

const WAITING: &str = "edge_router_waiting";
const PUSH_BACK: &str = "grpc-retry-pushback-ms";

/// One request at a time at each destination that says how busy it is; who waits has patience.
fn one_at_a_time() -> Config {
    let mut config = config_without_probes();
    config.admission.min_limit = 1;
    config.admission.max_limit = 1;
    config.admission.max_wait = PATIENCE;
    config
}

/// What a computer of so many workers answers. As an acknowledgement it says nothing of how long
/// lambdas take, so that nobody finds that one that is being waited for takes suspiciously long.
fn done(workers: u32) -> LambdaResponse {
    LambdaResponse {
        retcode: "OK".into(),
        outcome: Outcome::Ok as i32,
        asynchronous: true,
        workers,
        ..LambdaResponse::default()
    }
}

fn said(input: &str) -> LambdaRequest {
    LambdaRequest::new("f", input)
}

/// A router whose only computer is full: it has answered one request and has another. It answers
/// whenever it gets a permit.
async fn full(config: Config, lambdas: &[&str]) -> (Running, Computer, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(1));
    let computer = Computer::start(Conduct::Gate(gate.clone(), done(1)));
    let mut router = start(config).await;
    for lambda in lambdas {
        router.route(lambda, &computer.name(), true).await;
    }
    assert_eq!(router.ask(&said("first")).await.retcode, "OK");
    drop(router.spawn(&said("held")));
    eventually("the computer is full", || computer.count() == 2).await;
    (router, computer, gate)
}

#[tokio::test]
async fn a_request_waits_and_is_answered_when_a_place_comes_free() {
    let (router, computer, gate) = full(one_at_a_time(), &["f"]).await;
    let waiting = router.spawn(&said("waiting"));
    router.until_metric(WAITING, 1.0).await;
    assert_eq!(computer.count(), 2, "it waits at the broker");
    gate.add_permits(2);
    assert_eq!(waiting.await.unwrap().response.retcode, "OK");
    assert_eq!(computer.received()[2].input, "waiting");
    assert!(router.metric(WAITING).await < 0.5);
}

#[tokio::test]
async fn one_beyond_the_bound_of_the_line_is_refused_at_once_and_told_when_to_come_back() {
    let mut config = one_at_a_time();
    config.admission.max_waiting = 1;
    let (router, computer, gate) = full(config, &["f"]).await;
    let waiting = router.spawn(&said("waiting"));
    router.until_metric(WAITING, 1.0).await;
    let refused = router.spawn(&said("refused")).await.unwrap();
    assert_eq!(refused.response.outcome(), Outcome::Overloaded);
    let pause: u64 = refused.trailer(PUSH_BACK).unwrap().parse().unwrap();
    assert!((1..=60_000).contains(&pause), "{pause}");
    router.until_metric("edge_router_shed_total", 1.0).await;
    gate.add_permits(2);
    assert_eq!(waiting.await.unwrap().response.retcode, "OK");
    assert_eq!(computer.count(), 3, "nobody asked for the refused one");
}

#[tokio::test]
async fn a_lambda_of_higher_priority_goes_first() {
    let mut config = one_at_a_time();
    let urgent = LambdaConfig {
        priority: 1,
        ..LambdaConfig::default()
    };
    config.lambda.insert("urgent".into(), urgent);
    let (router, computer, gate) = full(config, &["f", "urgent"]).await;
    let patient = router.spawn(&said("patient"));
    router.until_metric(WAITING, 1.0).await;
    let urgent = router.spawn(&request("urgent"));
    router.until_metric(WAITING, 2.0).await;
    gate.add_permits(3);
    assert_eq!(patient.await.unwrap().response.retcode, "OK");
    assert_eq!(urgent.await.unwrap().response.retcode, "OK");
    let names: Vec<_> = computer.received().into_iter().map(|r| r.name).collect();
    assert_eq!(names, ["f", "f", "urgent", "f"]);
}

#[tokio::test]
async fn two_connections_share_equally_though_one_asks_for_ten_times_as_much() {
    let (router, computer, gate) = full(one_at_a_time(), &["f"]).await;
    let (greedy, modest) = (client(), client());
    let mut asked: Vec<_> = (0..40)
        .map(|_| router.spawn_by(&greedy, &said("greedy")))
        .collect();
    router.until_metric(WAITING, 40.0).await;
    asked.extend((0..4).map(|_| router.spawn_by(&modest, &said("modest"))));
    router.until_metric(WAITING, 44.0).await;
    gate.add_permits(45);
    for answer in asked {
        assert_eq!(answer.await.unwrap().response.retcode, "OK");
    }
    let inputs: Vec<_> = computer.received().into_iter().map(|r| r.input).collect();
    let modest = inputs[2..10].iter().filter(|i| *i == "modest").count();
    assert_eq!(modest, 4, "{inputs:?}");
}

#[tokio::test]
async fn a_lambda_that_fills_the_line_keeps_no_other_one_of_its_connection_waiting() {
    let (router, computer, gate) = full(one_at_a_time(), &["f", "g"]).await;
    let proxy = client();
    let mut asked: Vec<_> = (0..40)
        .map(|_| router.spawn_by(&proxy, &request("f")))
        .collect();
    router.until_metric(WAITING, 40.0).await;
    asked.push(router.spawn_by(&proxy, &request("g")));
    router.until_metric(WAITING, 41.0).await;
    gate.add_permits(42);
    for answer in asked {
        assert_eq!(answer.await.unwrap().response.retcode, "OK");
    }
    let names: Vec<_> = computer.received().into_iter().map(|r| r.name).collect();
    assert!(names[2..4].contains(&"g".to_owned()), "{names:?}");
}

#[tokio::test]
async fn a_client_that_leaves_the_line_frees_its_place() {
    let mut config = one_at_a_time();
    config.admission.max_waiting = 1;
    let (router, computer, gate) = full(config, &["f"]).await;
    let leaving = router.spawn(&said("leaving"));
    router.until_metric(WAITING, 1.0).await;
    leaving.abort();
    router.until_metric(WAITING, 0.0).await;
    let waiting = router.spawn(&said("waiting"));
    router.until_metric(WAITING, 1.0).await;
    gate.add_permits(2);
    assert_eq!(waiting.await.unwrap().response.retcode, "OK");
    assert!(computer.received().iter().all(|r| r.input != "leaving"));
}

#[tokio::test]
async fn destinations_that_report_no_workers_are_not_limited() {
    let gate = Arc::new(Semaphore::new(1));
    let computer = Computer::start(Conduct::Gate(gate.clone(), done(0)));
    let mut router = start(one_at_a_time()).await;
    router.route("f", &computer.name(), true).await;
    assert_eq!(router.ask(&said("first")).await.retcode, "OK");
    let asked: Vec<_> = (0..20).map(|_| router.spawn(&request("f"))).collect();
    eventually("all are there", || computer.count() == 21).await;
    gate.add_permits(20);
    for answer in asked {
        assert_eq!(answer.await.unwrap().response.retcode, "OK");
    }
}

#[tokio::test]
async fn an_overloaded_destination_is_left_alone_for_as_long_as_it_asks_for() {
    const PAUSE: Duration = Duration::from_millis(300);
    let (full, free) = (Computer::start(Conduct::PushBack("300")), Computer::echo());
    let mut router = start(one_at_a_time()).await;
    router.route("f", &full.name(), true).await;
    router.route("f", &free.name(), true).await;
    let deadline = Instant::now() + PATIENCE;
    while full.count() < 2 {
        assert_eq!(router.ask(&request("f")).await.responder, free.name());
        assert!(Instant::now() < deadline, "never asked again");
    }
    let arrivals = full.arrivals();
    // However slow the machine is, this can only be longer.
    assert!(arrivals[1] - arrivals[0] >= PAUSE, "{arrivals:?}");
}

#[tokio::test]
async fn an_overload_is_about_the_lambda_unless_the_computer_says_that_it_is_about_all() {
    let computer = Computer::start(Conduct::PushBack("2000"));
    let mut router = start(one_at_a_time()).await;
    for lambda in ["f", "g"] {
        router.route(lambda, &computer.name(), true).await;
    }
    let standing = || router.router.destinations()[0].standing;
    let told = router.spawn(&request("f")).await.unwrap();
    assert_eq!(told.response.outcome(), Outcome::Overloaded);
    assert_eq!(standing(), Standing::Healthy);
    computer.conduct(Conduct::Echo(Duration::ZERO));
    assert_eq!(router.ask(&request("g")).await.retcode, "OK");
    computer.conduct(Conduct::PushBackAll("2000"));
    let told = router.spawn(&request("g")).await.unwrap();
    assert_eq!(told.response.outcome(), Outcome::Overloaded);
    assert_eq!(told.trailer(PUSH_BACK), Some("2000"));
    assert_eq!(
        told.trailer("edge-pushback-all"),
        None,
        "not about the router"
    );
    assert_eq!(standing(), Standing::SetAside);
}

#[tokio::test]
async fn a_drain_answers_who_waits_for_a_destination_that_asked_to_be_left_alone() {
    let computer = Computer::start(Conduct::PushBack("2000"));
    let mut router = start(one_at_a_time()).await;
    router.route("f", &computer.name(), true).await;
    let first = router.ask(&said("first")).await;
    assert_eq!(first.outcome(), Outcome::Overloaded);
    let waiting = router.spawn(&said("waiting"));
    router.until_metric(WAITING, 1.0).await;
    computer.conduct(Conduct::Echo(Duration::ZERO));
    assert!(router.router.shutdown(PATIENCE).await);
    assert_eq!(waiting.await.unwrap().response.retcode, "OK");
}

#[tokio::test]
async fn a_hint_never_to_come_back_ends_the_request() {
    let computers = [(); 2].map(|()| Computer::start(Conduct::PushBack("-1")));
    let mut router = start(one_at_a_time()).await;
    for computer in &computers {
        router.route("f", &computer.name(), true).await;
    }
    let told = router.spawn(&request("f")).await.unwrap();
    assert_eq!(told.response.outcome(), Outcome::Overloaded);
    assert_eq!(told.trailer(PUSH_BACK), Some("-1"));
    assert_eq!(computers.iter().map(Computer::count).sum::<usize>(), 1);
}

/// A router whose computers are one that is full and one that does not know the lambda.
async fn full_or_ignorant(config: Config) -> (Running, Computer, Arc<Semaphore>, Computer) {
    let (mut router, full, gate) = full(config, &["f"]).await;
    let unknown = LambdaResponse::error(Outcome::NotFound, "no such lambda");
    let ignorant = Computer::start(Conduct::Say(unknown));
    router.route("f", &ignorant.name(), true).await;
    (router, full, gate, ignorant)
}

#[tokio::test]
async fn who_was_turned_down_elsewhere_waits_for_a_place_like_anybody_else() {
    let (router, full, gate, ignorant) = full_or_ignorant(one_at_a_time()).await;
    let waiting = router.spawn(&said("waiting"));
    router.until_metric(WAITING, 1.0).await;
    assert_eq!((ignorant.count(), full.count()), (1, 2));
    gate.add_permits(2);
    let told = waiting.await.unwrap();
    assert_eq!(told.response.retcode, "OK");
    assert_eq!(
        told.trailer("edge-attempt-outcomes"),
        Some("not_found,ok"),
        "it is not sent again where it was"
    );
}

#[tokio::test]
async fn who_waits_in_vain_after_an_answer_gets_that_answer() {
    let mut config = one_at_a_time();
    config.admission.max_wait = Duration::from_millis(20);
    let (router, full, _gate, ignorant) = full_or_ignorant(config).await;
    let told = router.spawn(&said("in vain")).await.unwrap();
    assert_eq!(told.response.outcome(), Outcome::NotFound);
    assert_eq!((ignorant.count(), full.count()), (1, 2));
    router.until_metric(WAITING, 0.0).await;
}

#[tokio::test]
async fn nobody_lines_up_for_a_retry_that_could_not_be_afforded() {
    let mut config = one_at_a_time();
    config.retry.ratio = 0.0;
    config.retry.reserve_per_second = 0.0;
    let (router, full, _gate, ignorant) = full_or_ignorant(config).await;
    let told = router.spawn(&said("poor")).await.unwrap();
    assert_eq!(told.response.outcome(), Outcome::NotFound);
    assert_eq!((ignorant.count(), full.count()), (1, 2));
}

#[tokio::test]
async fn who_can_go_to_one_destination_only_keeps_nobody_from_the_others() {
    let (router, full, gate, other) = full_or_ignorant(one_at_a_time()).await;
    let choosy = router.spawn(&said("choosy"));
    router.until_metric(WAITING, 1.0).await;
    let second_gate = Arc::new(Semaphore::new(1));
    other.conduct(Conduct::Gate(second_gate.clone(), done(1)));
    assert_eq!(router.ask(&said("newcomer")).await.retcode, "OK");
    drop(router.spawn(&said("held, too")));
    eventually("the other one is full as well", || other.count() == 3).await;
    let behind = router.spawn(&said("behind"));
    router.until_metric(WAITING, 2.0).await;
    second_gate.add_permits(2);
    assert_eq!(behind.await.unwrap().response.retcode, "OK");
    assert!(!choosy.is_finished());
    assert_eq!(full.count(), 2, "nobody overtook it where it can go");
    gate.add_permits(2);
    let told = choosy.await.unwrap();
    assert_eq!(told.trailer("edge-attempt-outcomes"), Some("not_found,ok"));
}
