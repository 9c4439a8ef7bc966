//! Bad days: dead, frozen, overloaded, erring computers, and what the client sees of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Computer, Conduct, PATIENCE, config, eventually, request, start};
use edge_broker::Config;
use edge_broker::Standing;
use edge_broker::config::{LambdaConfig, TableConfig};
use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use edge_transport::{Limits, Metadata, unexecuted};

fn idempotent(lambda: &str) -> LambdaRequest {
    LambdaRequest {
        idempotent: true,
        ..request(lambda)
    }
}

fn says(outcome: Outcome, retcode: &str) -> Conduct {
    Conduct::Say(LambdaResponse::error(outcome, retcode))
}

/// A computer that has died: its port refuses connections.
async fn dead() -> Computer {
    let computer = Computer::echo();
    computer.server.kill().await;
    computer
}

#[tokio::test]
async fn a_dead_computer_is_tried_set_aside_and_kept_in_the_table() {
    let (dead, alive) = (dead().await, Computer::echo());
    let mut router = start(config()).await;
    router.route("f", &dead.name(), true).await;
    router.route("f", &alive.name(), true).await;
    for _ in 0..20 {
        let answer = router.ask(&request("f")).await;
        assert_eq!(
            (answer.retcode.as_str(), answer.responder),
            ("OK", alive.name())
        );
    }
    let status = router.router.destinations();
    assert_eq!(status.len(), 2, "nothing is deleted: {status:?}");
    let aside: Vec<_> = status
        .iter()
        .filter(|s| s.standing == Standing::SetAside)
        .collect();
    assert_eq!(aside.len(), 1, "{status:?}");
    assert_eq!(aside[0].destination, dead.name());
}

#[tokio::test]
async fn with_everybody_dead_the_client_sees_the_real_error() {
    let dead = dead().await;
    let mut router = start(config()).await;
    router.route("f", &dead.name(), true).await;
    let answer = router.ask(&request("f")).await;
    assert_eq!(answer.outcome(), Outcome::Unavailable);
    assert!(
        answer.retcode.contains("could not connect to"),
        "{}",
        answer.retcode
    );
    assert!(answer.retcode.contains("refused"), "{}", answer.retcode);
}

#[tokio::test]
async fn a_computer_that_comes_back_is_used_again_however_often_it_died() {
    let first = Computer::echo();
    let endpoint = first.endpoint.clone();
    let mut router = start(config()).await;
    router.route("f", endpoint.as_str(), true).await;
    assert_eq!(router.ask(&request("f")).await.retcode, "OK");
    let mut running = first;
    for _ in 0..3 {
        running.server.kill().await;
        for _ in 0..5 {
            assert_ne!(router.ask(&request("f")).await.retcode, "OK");
        }
        running = Computer::start_at(&endpoint, Conduct::Echo(Duration::ZERO));
        // The only destination is used even while it is set aside.
        assert_eq!(router.ask(&request("f")).await.retcode, "OK");
    }
}

#[tokio::test]
async fn an_error_of_the_application_goes_back_as_it_is_and_evicts_nobody() {
    let (first, second) = (Computer::echo(), Computer::echo());
    for computer in [&first, &second] {
        computer.conduct(says(Outcome::Unspecified, "division by zero"));
    }
    let mut router = start(config()).await;
    router.route("f", &first.name(), true).await;
    router.route("f", &second.name(), true).await;
    for attempt in 1..=10 {
        assert_eq!(router.ask(&request("f")).await.retcode, "division by zero");
        assert_eq!(
            first.count() + second.count(),
            attempt,
            "nobody else was tried"
        );
    }
    let status = router.router.destinations();
    assert!(
        status.iter().all(|s| s.standing == Standing::Healthy),
        "{status:?}"
    );
}

#[tokio::test]
async fn an_overloaded_computer_is_relieved_by_another() {
    let (full, free) = (Computer::echo(), Computer::echo());
    full.conduct(says(Outcome::Overloaded, "queue full"));
    let mut router = start(config()).await;
    router.route("f", &full.name(), true).await;
    router.route("f", &free.name(), true).await;
    for _ in 0..10 {
        assert_eq!(router.ask(&request("f")).await.responder, free.name());
    }
    // It is left alone after it said so, each time for longer. On a slow machine it may be asked more
    // often, but never before its time.
    pauses_are_kept(&full, |asked| Duration::from_millis(20 << asked.min(6)));
}

/// What lies between two requests at `computer` is `pause` of how often it was asked before, at the least.
fn pauses_are_kept(computer: &Computer, pause: impl Fn(u32) -> Duration) {
    let arrivals = computer.arrivals();
    for (asked, pair) in (0..).zip(arrivals.windows(2)) {
        assert!(pair[1] - pair[0] >= pause(asked), "{arrivals:?}");
    }
}

fn turns_down() -> Conduct {
    Conduct::TurnDown(LambdaResponse::error(Outcome::Deadline, "too late here"))
}

/// What comes of a request if one computer conducts itself so and the other one answers, whichever
/// is tried first; and how often each of the two was asked.
async fn beside_a_quick_one(conduct: Conduct, config: Config) -> Vec<(Outcome, usize, usize)> {
    let (late, quick) = (Computer::start(conduct), Computer::echo());
    let mut router = start(config).await;
    router.route("f", &late.name(), true).await;
    router.route("f", &quick.name(), true).await;
    let mut courses = Vec::new();
    let (mut of_late, mut of_quick) = (0, 0);
    for _ in 0..40 {
        let answer = router.ask(&request("f")).await;
        let (at_late, at_quick) = (late.count() - of_late, quick.count() - of_quick);
        courses.push((answer.outcome(), at_late, at_quick));
        (of_late, of_quick) = (of_late + at_late, of_quick + at_quick);
    }
    courses.sort_unstable();
    courses.dedup();
    courses
}

/// With a policy that asks both of two alike, in no order: in turns, whoever comes first by name
/// would be asked first by every request that is tried twice.
fn at_random() -> Config {
    let mut config = config();
    config.table = TableConfig::Random {};
    config
}

#[tokio::test]
async fn a_request_that_is_too_late_for_one_computer_and_was_not_begun_is_tried_at_another() {
    let courses = beside_a_quick_one(turns_down(), at_random()).await;
    assert_eq!(courses, [(Outcome::Ok, 0, 1), (Outcome::Ok, 1, 1)]);
}

#[tokio::test]
async fn a_request_whose_time_ran_out_at_a_computer_is_not_repeated() {
    let conduct = says(Outcome::Deadline, "cancelled");
    let courses = beside_a_quick_one(conduct, at_random()).await;
    assert_eq!(courses, [(Outcome::Ok, 0, 1), (Outcome::Deadline, 1, 0)]);
}

#[tokio::test]
async fn requests_that_are_too_late_for_one_computer_share_the_budget_of_retries() {
    let mut stingy = at_random();
    stingy.retry.ratio = 0.0;
    stingy.retry.reserve_per_second = 0.0;
    let courses = beside_a_quick_one(turns_down(), stingy).await;
    assert_eq!(courses, [(Outcome::Ok, 0, 1), (Outcome::Deadline, 1, 0)]);
}

#[tokio::test]
async fn a_request_that_all_computers_turn_down_is_told_to_be_unexecuted() {
    let (first, second) = (Computer::start(turns_down()), Computer::start(turns_down()));
    let mut router = start(config()).await;
    router.route("f", &first.name(), true).await;
    router.route("f", &second.name(), true).await;
    let reply = router.call(&request("f"), Metadata::new()).await.unwrap();
    assert_eq!((first.count(), second.count()), (1, 1));
    assert_eq!(
        reply.trailers.text("edge-attempt-outcomes"),
        Some("deadline,deadline")
    );
    assert!(unexecuted::is_marked(&reply.trailers));
}

fn cannot_reach_its_platform() -> Conduct {
    let text = "its platform cannot be reached";
    Conduct::TurnDown(LambdaResponse::error(Outcome::Unavailable, text))
}

#[tokio::test]
async fn what_no_computer_could_begin_is_told_to_be_unexecuted() {
    let [only, first, second] = [(); 3].map(|()| Computer::start(cannot_reach_its_platform()));
    let mut router = start(config()).await;
    router.route("one", &only.name(), true).await;
    router.route("two", &first.name(), true).await;
    router.route("two", &second.name(), true).await;
    for (lambda, outcomes) in [("one", None), ("two", Some("unavailable,unavailable"))] {
        let request = request(lambda);
        let reply = router.call(&request, Metadata::new()).await.unwrap();
        assert_eq!(reply.trailers.text("edge-attempt-outcomes"), outcomes);
        assert!(unexecuted::is_marked(&reply.trailers), "{lambda}");
    }
}

#[tokio::test]
async fn what_one_computer_may_have_begun_is_not_told_to_be_unexecuted() {
    let losing = Computer::start(says(Outcome::Unavailable, "lost"));
    let turning_down = Computer::start(cannot_reach_its_platform());
    let mut router = start(at_random()).await;
    router.route("f", &losing.name(), true).await;
    router.route("f", &turning_down.name(), true).await;
    let request = idempotent("f");
    let reply = router.call(&request, Metadata::new()).await.unwrap();
    assert_eq!((losing.count(), turning_down.count()), (1, 1));
    assert!(!unexecuted::is_marked(&reply.trailers));
}

#[tokio::test]
async fn the_last_real_error_is_what_the_client_sees() {
    let (full, gone) = (Computer::echo(), Computer::echo());
    full.conduct(says(Outcome::Overloaded, "queue full"));
    gone.conduct(says(Outcome::Overloaded, "queue full, too"));
    let mut router = start(config()).await;
    router.route("f", &full.name(), true).await;
    router.route("f", &gone.name(), true).await;
    let answer = router.ask(&request("f")).await;
    assert!(
        answer.retcode.starts_with("queue full"),
        "{}",
        answer.retcode
    );
    assert_eq!(answer.outcome(), Outcome::Overloaded);
}

/// Sends one request, kills the computer that got it, and returns the answer.
async fn die_while_executing(request: LambdaRequest, declared: bool) -> (LambdaResponse, usize) {
    let (first, second) = (
        Computer::start(Conduct::Hang),
        Computer::start(Conduct::Hang),
    );
    let mut config = config();
    config.lambda.insert(
        "f".into(),
        LambdaConfig {
            idempotent: declared,
            ..LambdaConfig::default()
        },
    );
    let mut router = start(config).await;
    router.route("f", &first.name(), true).await;
    router.route("f", &second.name(), true).await;
    let asked = {
        let asked = router.ask(&request);
        tokio::pin!(asked);
        tokio::select! {
            answer = &mut asked => panic!("nobody answers: {answer:?}"),
            () = eventually("one has it", || first.count() + second.count() == 1) => {}
        }
        let (holder, other) = if first.count() == 1 {
            (&first, &second)
        } else {
            (&second, &first)
        };
        other.conduct(Conduct::Echo(Duration::ZERO));
        holder.server.kill().await;
        asked.await
    };
    (asked, first.count() + second.count())
}

#[tokio::test]
async fn a_request_that_may_have_been_executed_is_not_repeated() {
    let (answer, executions) = die_while_executing(request("f"), false).await;
    assert_eq!(answer.outcome(), Outcome::Unavailable);
    assert!(
        answer.retcode.starts_with("lost 127.0.0.1:"),
        "{}",
        answer.retcode
    );
    assert_eq!(executions, 1);
}

#[tokio::test]
async fn an_idempotent_request_is_repeated_elsewhere() {
    let (answer, executions) = die_while_executing(idempotent("f"), false).await;
    assert_eq!((answer.retcode.as_str(), executions), ("OK", 2));
}

#[tokio::test]
async fn a_lambda_declared_idempotent_is_repeated_elsewhere() {
    let (answer, executions) = die_while_executing(request("f"), true).await;
    assert_eq!((answer.retcode.as_str(), executions), ("OK", 2));
}

#[tokio::test]
async fn a_frozen_computer_holds_up_nobody_and_is_used_again_when_it_thaws() {
    let ice = Arc::new(AtomicBool::new(true));
    let (frozen, other) = (Computer::echo(), Computer::echo());
    let mut router = start(config()).await;
    router.route("f", &frozen.name(), true).await;
    router.route("f", &other.name(), true).await;
    router.route("g", &other.name(), true).await;
    frozen.conduct(Conduct::Freeze(ice.clone()));
    while router
        .router
        .destinations()
        .iter()
        .all(|d| d.standing == Standing::Healthy)
    {
        // All are answered, those at the frozen computer by the other one once it is found.
        assert_eq!(router.ask(&idempotent("f")).await.retcode, "OK");
        assert_eq!(router.ask(&request("g")).await.retcode, "OK");
    }
    for _ in 0..20 {
        assert_eq!(router.ask(&idempotent("f")).await.responder, other.name());
    }
    ice.store(false, Ordering::SeqCst);
    frozen.conduct(Conduct::Echo(Duration::ZERO));
    other.conduct(Conduct::Echo(Duration::from_millis(5)));
    let mut used = false;
    let deadline = Instant::now() + PATIENCE;
    while !used && Instant::now() < deadline {
        used = router.ask(&idempotent("f")).await.responder == frozen.name();
    }
    assert!(used, "the computer that thawed is never used");
}

#[tokio::test]
async fn a_destination_that_is_no_lambda_server_is_set_aside() {
    let (wrong, right) = (Computer::echo(), Computer::echo());
    wrong.conduct(Conduct::Fail(tonic::Code::Unimplemented));
    let mut router = start(config()).await;
    router.route("f", &wrong.name(), true).await;
    router.route("f", &right.name(), true).await;
    for _ in 0..10 {
        assert_eq!(router.ask(&request("f")).await.retcode, "OK");
    }
    // The shortest time that an ejection takes.
    pauses_are_kept(&wrong, |_| Duration::from_millis(250));
}

#[tokio::test]
async fn a_status_about_the_request_goes_back_as_a_retcode() {
    let computer = Computer::echo();
    computer.conduct(Conduct::Fail(tonic::Code::ResourceExhausted));
    let mut router = start(config()).await;
    router.route("f", &computer.name(), true).await;
    let answer = router.ask(&request("f")).await;
    assert_eq!(answer.outcome(), Outcome::ApplicationError);
    assert!(
        answer.retcode.contains("ResourceExhausted: as told"),
        "{}",
        answer.retcode
    );
}

#[tokio::test]
async fn metadata_beyond_what_a_computer_takes_is_held_against_the_request_alone() {
    let limits = Limits {
        max_header_bytes: 1000,
        ..Limits::default()
    };
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let computer = Computer::start_within(limits, &anywhere, Conduct::Echo(Duration::ZERO));
    let mut router = start(config()).await;
    router.route("f", &computer.name(), true).await;
    let mut much = Metadata::new();
    let name = http::HeaderName::from_static("x-much");
    much.insert(&name, &"x".repeat(2000).parse().unwrap());
    let answer = router.try_ask_with(&request("f"), much).await.unwrap();
    assert_eq!(answer.outcome(), Outcome::ApplicationError, "{answer:?}");
    assert!(answer.retcode.contains("1000 bytes"), "{answer:?}");
    assert_eq!(router.router.destinations()[0].standing, Standing::Healthy);
    assert_eq!(router.ask(&request("f")).await.retcode, "OK");
    assert_eq!(computer.count(), 1);
}

#[tokio::test]
async fn retries_have_a_budget() {
    let mut stingy = config();
    stingy.retry.ratio = 0.0;
    stingy.retry.reserve_per_second = 0.0;
    let (dead, alive) = (dead().await, Computer::echo());
    let mut router = start(stingy).await;
    router.route("f", &dead.name(), true).await;
    let answer = router.ask(&request("f")).await;
    assert_eq!(answer.outcome(), Outcome::Unavailable);
    router.route("f", &alive.name(), true).await;
    assert_eq!(
        router.ask(&request("f")).await.retcode,
        "OK",
        "a first attempt needs no budget"
    );
}
