//! The platform in real time: conditions are awaited, no instants asserted.

use std::time::{Duration, Instant};

use futures_util::future::poll_immediate;

use super::*;
use crate::executor::Patience;
use crate::sim::{Lambda, Processor, ProcessorKind, Requirements};
use edge_proto::rpc::Outcome;

/// Long enough for anything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than the slow lambda takes.
const FOREVER: Duration = Duration::from_secs(30 * 24 * 3600);

fn patient() -> Instant {
    Instant::now() + FOREVER
}

/// One processor of 1000 operations per second and core; `quick` takes none, `slow` takes an
/// hour of a core.
fn platform(workers: u32, max_pending: usize) -> Simulated {
    bounded(workers, max_pending, FOREVER)
}

/// As [`platform`], and nobody waits longer than `max_wait`.
fn bounded(workers: u32, max_pending: usize, max_wait: Duration) -> Simulated {
    let mut builder = Computer::builder("computer");
    let cpu = Processor::new("cpu", ProcessorKind::GenericCpu, 1e3, 4, 1 << 30).unwrap();
    builder.add_processor(cpu).unwrap();
    for (name, ops) in [("quick", 0), ("brief", 1), ("slow", 3_600_000)] {
        let lambda = Lambda::copying(name, Requirements::Fixed { ops, memory: 1 });
        builder.add_container(name, "cpu", lambda, workers).unwrap();
    }
    builder.max_pending(max_pending);
    Simulated::start(builder.build(), Estimator::Exact, max_wait).unwrap()
}

fn invocation(lambda: &str) -> Invocation {
    Invocation {
        lambda: lambda.to_owned(),
        input: format!("for {lambda}"),
        ..Invocation::default()
    }
}

async fn until(platform: &Simulated, lambda: &str, in_flight: u32) {
    let deadline = Instant::now() + PATIENCE;
    while platform.standing(lambda).unwrap().in_flight != in_flight {
        assert!(Instant::now() < deadline, "never {in_flight} in flight");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn thousands_of_requests_are_in_flight_at_once() {
    let platform = Arc::new(platform(10_000, 0));
    let run = |_| {
        let platform = platform.clone();
        tokio::spawn(async move { platform.run(invocation("slow"), patient()).await })
    };
    let running: Vec<_> = (0..5000).map(run).collect();
    until(&platform, "slow", 5000).await;
    platform.set_speed_factor(1e9).unwrap();
    for task in running {
        assert_eq!(task.await.unwrap().unwrap().output, "for slow");
    }
    assert_eq!(platform.standing("slow").unwrap().in_flight, 0);
}

#[tokio::test]
async fn a_dropped_request_frees_its_worker() {
    let platform = Arc::new(platform(1, 10));
    let other = platform.clone();
    let first = tokio::spawn(async move { other.run(invocation("slow"), patient()).await });
    until(&platform, "slow", 1).await;
    first.abort();
    until(&platform, "slow", 0).await;
}

/// Memory for one request at a time, and four workers for each lambda.
fn cramped(max_wait: Duration) -> Arc<Simulated> {
    let mut builder = Computer::builder("computer");
    let cpu = Processor::new("cpu", ProcessorKind::GenericCpu, 1e3, 4, 1).unwrap();
    builder.add_processor(cpu).unwrap();
    for (name, ops) in [("brief", 1), ("slow", 3_600_000)] {
        let lambda = Lambda::copying(name, Requirements::Fixed { ops, memory: 1 });
        builder.add_container(name, "cpu", lambda, 4).unwrap();
    }
    Arc::new(Simulated::start(builder.build(), Estimator::Exact, max_wait).unwrap())
}

/// A request that is not going to end, and runs or waits.
async fn occupy(platform: &Arc<Simulated>) -> tokio::task::JoinHandle<()> {
    let in_flight = platform.standing("slow").unwrap().in_flight;
    let other = platform.clone();
    let occupied = tokio::spawn(async move {
        drop(other.run(invocation("slow"), patient()).await);
    });
    until(platform, "slow", in_flight + 1).await;
    occupied
}

#[tokio::test]
async fn a_request_whose_deadline_passes_is_cancelled() {
    let platform = cramped(FOREVER);
    let first = occupy(&platform).await;
    let soon = Instant::now() + Duration::from_millis(20);
    let error = platform.run(invocation("brief"), soon).await.unwrap_err();
    let lambda = "brief".to_owned();
    assert_eq!(error, ExecutionError::Deadline { lambda });
    assert_eq!(error.outcome(), Outcome::Deadline);
    assert_eq!(platform.standing("brief").unwrap().in_flight, 0);
    first.abort();
}

#[tokio::test]
async fn a_request_that_waits_longer_than_expected_is_turned_down_then() {
    let max_wait = Duration::from_millis(20);
    let platform = cramped(max_wait);
    let first = occupy(&platform).await;
    let error = platform.run(invocation("brief"), patient()).await;
    let ExecutionError::Overloaded { text, .. } = error.unwrap_err() else {
        panic!("it is an overload");
    };
    assert_eq!(text, "lambda brief waited 20ms in vain for a worker");
    assert_eq!(platform.standing("brief").unwrap().in_flight, 0);
    assert_eq!(platform.standing("slow").unwrap().in_flight, 1);
    first.abort();
}

#[tokio::test]
async fn an_acknowledged_request_waits_until_its_deadline() {
    let platform = cramped(Duration::ZERO);
    let first = occupy(&platform).await;
    let acknowledged = Invocation {
        patience: Patience::UntilDeadline,
        ..invocation("brief")
    };
    let soon = Instant::now() + Duration::from_millis(20);
    let error = platform.run(acknowledged, soon).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Deadline);
    first.abort();
}

#[tokio::test]
async fn an_acknowledged_request_is_not_turned_down_by_a_full_queue() {
    let platform = Arc::new(platform(1, 0));
    let first = occupy(&platform).await;
    let acknowledged = Invocation {
        patience: Patience::UntilDeadline,
        ..invocation("slow")
    };
    let terms = acknowledged.terms(patient());
    let full = platform.admits(terms);
    assert!(matches!(full, Err(ExecutionError::Overloaded { .. })));
    let mut waits = Box::pin(platform.run(acknowledged.clone(), patient()));
    assert!(poll_immediate(&mut waits).await.is_none());
    assert_eq!(platform.standing("slow").unwrap().in_flight, 2);
    platform.stop();
    assert!(matches!(waits.await, Err(ExecutionError::Stopping { .. })));
    let late = platform.run(acknowledged, patient()).await;
    assert!(matches!(late, Err(ExecutionError::Stopping { .. })));
    first.abort();
}

#[tokio::test]
async fn a_wait_beyond_what_the_platform_allows_is_an_overload_at_once() {
    let platform = Arc::new(bounded(1, 10, Duration::from_secs(600)));
    let first = occupy(&platform).await;
    let error = platform.run(invocation("slow"), patient()).await;
    let error = error.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Overloaded);
    assert!(error.to_string().ends_with("this computer allows 600s"));
    // The worker is free within the hour, and ten minutes before that one may wait for it.
    let place_in = error.place_in().unwrap().as_secs();
    assert!((2_900..=3_000).contains(&place_in), "{place_in}");
    assert_eq!(platform.standing("slow").unwrap().in_flight, 1);
    first.abort();
}

#[tokio::test]
async fn a_request_that_cannot_be_done_in_time_is_not_begun() {
    let platform = Arc::new(platform(1, 10));
    let soon = || Instant::now() + Duration::from_secs(60);
    let late = |error: Result<Execution, ExecutionError>| {
        let error = error.unwrap_err();
        assert!(matches!(error, ExecutionError::TooLate { .. }), "{error}");
        assert_eq!(error.outcome(), Outcome::Deadline);
        error.to_string()
    };
    // Its execution alone takes too long, then the wait does.
    let text = late(platform.run(invocation("slow"), soon()).await);
    let expected = "deadline exceeded: lambda slow would be done in 3600s, the request has ";
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(platform.standing("slow").unwrap().in_flight, 0);
    let first = occupy(&platform).await;
    late(platform.run(invocation("slow"), soon()).await);
    assert_eq!(platform.standing("slow").unwrap().in_flight, 1);
    // Others have workers of their own.
    assert!(platform.run(invocation("brief"), soon()).await.is_ok());
    first.abort();
}

#[tokio::test]
async fn a_dropped_request_that_waits_leaves_the_queue_and_the_next_one_starts_at_once() {
    let platform = Arc::new(platform(1, 10));
    let first = occupy(&platform).await;
    let second = occupy(&platform).await;
    let other = platform.clone();
    let third = tokio::spawn(async move { other.run(invocation("slow"), patient()).await });
    until(&platform, "slow", 3).await;
    second.abort();
    until(&platform, "slow", 2).await;
    first.abort();
    until(&platform, "slow", 1).await;
    let containers = platform.snapshot().containers;
    let slow = containers.iter().find(|c| c.lambda == "slow").unwrap();
    assert_eq!((slow.active, slow.pending), (1, 0));
    platform.set_speed_factor(1e9).unwrap();
    assert_eq!(third.await.unwrap().unwrap().output, "for slow");
}

#[tokio::test]
async fn a_full_queue_is_an_overload_that_names_lambda_and_length() {
    let platform = Arc::new(platform(1, 1));
    let run = |_| {
        let platform = platform.clone();
        tokio::spawn(async move { platform.run(invocation("slow"), patient()).await })
    };
    let running: Vec<_> = (0..2).map(run).collect();
    until(&platform, "slow", 2).await;
    let error = platform.run(invocation("slow"), patient()).await;
    let error = error.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Overloaded);
    let text = "the queue of lambda slow is full: 1 requests wait already";
    assert_eq!(error.to_string(), text);
    let place_in = error.place_in().unwrap().as_secs();
    assert!((3_500..=3_600).contains(&place_in), "{place_in}");
    running.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_request_that_would_wait_too_long_is_refused_and_leaves_no_trace() {
    let platform = Arc::new(platform(1, 10));
    let impatient = |max_wait| Invocation {
        patience: Patience::AtMost(max_wait),
        ..invocation("slow")
    };
    // With a free worker it does not wait at all.
    let other = platform.clone();
    let first = impatient(Duration::from_micros(1));
    let first = tokio::spawn(async move { other.run(first, patient()).await });
    until(&platform, "slow", 1).await;

    let refused = platform.run(impatient(Duration::from_secs(60)), patient());
    let refused = refused.await.unwrap_err();
    assert_eq!(refused.outcome(), Outcome::Refused);
    assert_eq!(platform.standing("slow").unwrap().in_flight, 1);

    // More than the hour that the first one takes: it waits.
    let other = platform.clone();
    let second = impatient(Duration::from_secs(4000));
    let second = tokio::spawn(async move { other.run(second, patient()).await });
    until(&platform, "slow", 2).await;
    first.abort();
    second.abort();
}

#[tokio::test]
async fn unknown_lambdas_and_impossible_requests_are_told_apart() {
    let platform = platform(1, 1);
    let error = platform.run(invocation("nobody"), patient()).await;
    let error = error.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotFound);
    let text = "No container for lambda nobody found in computer computer";
    assert_eq!(error.to_string(), text);
    assert_eq!(platform.standing("nobody"), None);
    assert!(platform.estimate("nobody", 0).is_err());
}

#[tokio::test]
async fn completions_arrive_without_anybody_else_asking() {
    let platform = platform(1, 100);
    for lambda in ["quick", "brief"] {
        let execution = platform.run(invocation(lambda), patient()).await.unwrap();
        assert_eq!(execution.output, format!("for {lambda}"));
    }
    let execution = platform.run(invocation("brief"), patient()).await.unwrap();
    assert_eq!(execution.service, Duration::from_millis(1));
    assert_eq!(platform.estimate("brief", 5).unwrap(), execution.service);
}

#[tokio::test]
async fn a_platform_that_stops_tells_what_was_begun_from_what_may_go_elsewhere() {
    let platform = Arc::new(platform(1, 10));
    let run = |platform: Arc<Simulated>| {
        tokio::spawn(async move { platform.run(invocation("slow"), patient()).await })
    };
    let running = run(platform.clone());
    until(&platform, "slow", 1).await;
    let waiting = run(platform.clone());
    until(&platform, "slow", 2).await;
    platform.stop();
    let outcome = |end: Result<Execution, ExecutionError>| end.unwrap_err().outcome();
    assert_eq!(outcome(running.await.unwrap()), Outcome::Unavailable);
    assert_eq!(outcome(waiting.await.unwrap()), Outcome::Overloaded);
    let late = platform.run(invocation("quick"), patient()).await;
    assert_eq!(outcome(late), Outcome::Overloaded);
}

#[tokio::test]
async fn utilization_is_sampled_before_the_first_task() {
    let platform = platform(1, 1);
    let mut samples = platform.utilization();
    let sample = tokio::time::timeout(PATIENCE, samples.recv()).await;
    let sample = sample.expect("a sample per second").unwrap();
    assert_eq!(sample.values.get("cpu"), Some(&0.0));
}
