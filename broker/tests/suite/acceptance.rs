//! Conditional acceptance: what becomes of requests that computers, or brokers behind, turn down.

use std::time::Duration;

use crate::support::{
    Computer, Conduct, Running, ask_until, change, config, config_with_admin, report, request,
    start,
};
use edge_broker::Standing;
use edge_broker::config::TableConfig;
use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};

/// Long enough to be seen in latencies, short enough for many requests.
const SERVICE: Duration = Duration::from_millis(2);

/// Turns everything down, with so many requests there and so many workers.
fn refusal(in_flight: u32, workers: u32) -> Conduct {
    Conduct::Say(LambdaResponse {
        in_flight,
        workers,
        ..LambdaResponse::error(Outcome::Refused, "refused: would wait too long")
    })
}

/// As a broker in front sends it.
fn conditional(max_wait_us: u64) -> LambdaRequest {
    LambdaRequest {
        forward: true,
        max_wait_us,
        ..request("f")
    }
}

async fn with(computers: &[&Computer]) -> Running {
    let mut running = start(config_with_admin()).await;
    for computer in computers {
        running.route("f", &computer.name(), true).await;
    }
    running
}

fn standing(running: &Running, computer: &Computer) -> Standing {
    let destinations = running.router.destinations();
    let of = |name: String| destinations.into_iter().find(|d| d.destination == name);
    of(computer.name()).unwrap().standing
}

#[tokio::test]
async fn a_refused_request_is_executed_once_elsewhere_counted_and_held_against_nobody() {
    let (busy, free) = (Computer::start(refusal(9, 4)), Computer::echo());
    let router = with(&[&busy, &free]).await;
    ask_until(&router, &request("f"), "some refusals", || {
        busy.count() >= 3
    })
    .await;
    let refusals = busy.count();
    let executed = free.count();
    let answered = |outcome: &str, count| {
        format!("edge_router_requests_total{{outcome=\"{outcome}\"}} {count}")
    };
    let metrics = router.page("/metrics").await;
    for expected in [
        format!("edge_router_refusals_total{{table=\"all\"}} {refusals}"),
        "edge_router_retries_total{table=\"all\"} 0".to_owned(),
        answered("ok", executed),
        answered("refused", 0),
    ] {
        assert!(
            metrics.lines().any(|line| line == expected),
            "{expected} in {metrics}"
        );
    }
    for computer in [&busy, &free] {
        assert_eq!(standing(&router, computer), Standing::Healthy);
    }
}

#[tokio::test]
async fn a_computer_that_refuses_everything_with_idle_workers_is_set_aside() {
    let (liar, good) = (
        Computer::start(refusal(0, 4)),
        Computer::start(Conduct::Work(SERVICE, report(SERVICE, 0, 4))),
    );
    let router = with(&[&liar, &good]).await;
    ask_until(&router, &request("f"), "set aside", || {
        standing(&router, &liar) == Standing::SetAside
    })
    .await;
    for _ in 0..20 {
        assert_eq!(router.ask(&request("f")).await.responder, good.name());
    }
    assert_eq!(standing(&router, &good), Standing::Healthy);
}

#[tokio::test]
async fn impatient_clients_cannot_have_a_busy_computer_set_aside() {
    let busy = Computer::start(Conduct::Accept(SERVICE, report(SERVICE, 9, 4)));
    let router = with(&[&busy]).await;
    let impatient = LambdaRequest {
        max_wait_us: 1,
        ..request("f")
    };
    for _ in 0..100 {
        assert_eq!(router.ask(&impatient).await.outcome(), Outcome::Refused);
        assert_eq!(standing(&router, &busy), Standing::Healthy);
    }
    assert_eq!(busy.count(), 100);
}

#[tokio::test]
async fn a_client_that_set_no_condition_sees_no_refusal_however_few_attempts_are_allowed() {
    for attempts in [1, 2, 8] {
        // Each refuses what is conditional, as real ones do, and only that.
        let computers = [(); 3].map(|()| {
            let busy = report(SERVICE, 9, 4);
            Computer::start(Conduct::Accept(SERVICE, busy))
        });
        let mut few = config();
        few.retry.max_attempts = attempts;
        let mut router = start(few).await;
        for computer in &computers {
            router.route("f", &computer.name(), true).await;
        }
        let conditions = || {
            let received = computers.iter().flat_map(Computer::received);
            received.filter(|request| request.max_wait_us > 0).count()
        };
        let enough = || computers.iter().map(Computer::count).sum::<usize>() >= 100;
        ask_until(&router, &request("f"), "a hundred attempts", enough).await;
        assert_eq!(conditions() > 0, attempts > 1);
        assert_eq!(router.router.refusals(), conditions() as u64);
    }
}

#[tokio::test]
async fn a_refusal_after_a_failure_takes_nothing_from_the_budget_of_retries() {
    let mut stingy = config();
    // One retry, ever.
    stingy.retry.ratio = 0.0;
    stingy.retry.reserve_per_second = 0.1;
    stingy.table = TableConfig::LeastImpedance {};
    let (full, busy, free) = (
        Computer::start(Conduct::Say(LambdaResponse::error(
            Outcome::Overloaded,
            "full",
        ))),
        Computer::start(refusal(9, 4)),
        Computer::echo(),
    );
    let mut router = start(stingy).await;
    for (computer, weight) in [(&full, 1.0), (&busy, 2.0), (&free, 3.0)] {
        let change = change("f", &computer.name(), weight, true);
        assert_eq!(router.configure(change).await, "OK");
    }
    let answer = router.ask(&request("f")).await;
    assert_eq!((full.count(), busy.count()), (1, 1));
    assert_eq!(answer.responder, free.name(), "{answer:?}");
}

/// A broker that has learnt how busy its two computers are.
async fn broker_before(computers: [&Computer; 2]) -> Running {
    let broker = with(&computers).await;
    // What brokers in front send has a table of its own, which learns by itself.
    ask_until(&broker, &conditional(0), "both have been heard", || {
        computers.iter().all(|computer| computer.count() > 0)
    })
    .await;
    broker
}

#[tokio::test]
async fn a_broker_refuses_what_would_wait_too_long_anywhere_and_tells_how_busy_all_are() {
    let working = |in_flight, workers| {
        Computer::start(Conduct::Work(SERVICE, report(SERVICE, in_flight, workers)))
    };
    let (one, other) = (working(40, 4), working(60, 8));
    let broker = broker_before([&one, &other]).await;
    let before = one.count() + other.count();
    let answer = broker.ask(&conditional(1)).await;
    assert_eq!(answer.outcome(), Outcome::Refused);
    assert!(
        answer.retcode.starts_with("refused: lambda f would wait "),
        "{answer:?}"
    );
    assert_eq!(answer.workers, 12);
    // Averages contain the times when some of them were this broker's own.
    assert!((61..=100).contains(&answer.in_flight), "{answer:?}");
    assert_eq!(one.count() + other.count(), before, "neither was asked");
    // Nobody waits for a minute here.
    let answer = broker.ask(&conditional(60_000_000)).await;
    assert_eq!((answer.outcome(), answer.workers), (Outcome::Ok, 12));
}

#[tokio::test]
async fn a_broker_with_idle_workers_leaves_the_refusal_to_them() {
    let idle = || Computer::start(Conduct::Work(SERVICE, report(SERVICE, 0, 4)));
    let (one, other) = (idle(), idle());
    let broker = broker_before([&one, &other]).await;
    for _ in 0..5 {
        assert_eq!(broker.ask(&conditional(1)).await.outcome(), Outcome::Ok);
    }
    let received = [one.received(), other.received()].concat();
    let told = received.iter().filter(|request| request.max_wait_us == 1);
    assert_eq!(told.count(), 5, "what the sender wants is passed on");
}

#[tokio::test]
async fn a_request_that_a_broker_behind_refuses_goes_elsewhere() {
    let busy = || Computer::start(Conduct::Work(SERVICE, report(SERVICE, 400, 4)));
    let (one, other) = (busy(), busy());
    let behind = broker_before([&one, &other]).await;
    let before = one.count() + other.count();
    let free = Computer::echo();
    let mut front = start(config()).await;
    front.route("f", behind.endpoint.as_str(), false).await;
    front.route("f", &free.name(), true).await;
    let impatient = LambdaRequest {
        max_wait_us: 1,
        ..request("f")
    };
    let mut asked = 0;
    while front.router.refusals() < 3 {
        asked += 1;
        assert!(asked < 10_000, "the broker behind never refuses");
        assert_eq!(front.ask(&impatient).await.responder, free.name());
    }
    assert_eq!(one.count() + other.count(), before, "none got through");
    let destinations = front.router.destinations();
    assert!(
        destinations.iter().all(|d| d.standing == Standing::Healthy),
        "{destinations:?}"
    );
}
