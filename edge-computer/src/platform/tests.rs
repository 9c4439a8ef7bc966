//! The platform in real time: conditions are awaited, no instants asserted.

use std::time::{Duration, Instant};

use super::*;
use crate::sim::{Lambda, Processor, ProcessorKind, Requirements};
use edge_proto::rpc::Outcome;

/// Long enough for anything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(30);

fn patient() -> Instant {
    Instant::now() + PATIENCE
}

/// One processor of 1000 operations per second and core; `quick` takes none, `slow` takes an
/// hour of a core.
fn platform(workers: u32, max_pending: usize) -> Simulated {
    let mut builder = Computer::builder("computer");
    let cpu = Processor::new("cpu", ProcessorKind::GenericCpu, 1e3, 4, 1 << 30).unwrap();
    builder.add_processor(cpu).unwrap();
    for (name, ops) in [("quick", 0), ("brief", 1), ("slow", 3_600_000)] {
        let lambda = Lambda::copying(name, Requirements::Fixed { ops, memory: 1 });
        builder.add_container(name, "cpu", lambda, workers).unwrap();
    }
    builder.max_pending(max_pending);
    Simulated::start(builder.build(), Estimator::Exact).unwrap()
}

fn invocation(lambda: &str) -> Invocation {
    Invocation {
        lambda: lambda.to_owned(),
        input: format!("for {lambda}"),
        ..Invocation::default()
    }
}

async fn until(platform: &Simulated, lambda: &str, in_flight: u32) {
    let deadline = patient();
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

#[tokio::test]
async fn a_request_whose_deadline_passes_is_cancelled() {
    let platform = platform(1, 10);
    let soon = Instant::now() + Duration::from_millis(2);
    let error = platform.run(invocation("slow"), soon).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Deadline);
    assert!(error.to_string().contains("slow"), "{error}");
    assert_eq!(platform.standing("slow").unwrap().in_flight, 0);
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
    running.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_request_that_would_wait_too_long_is_refused_and_leaves_no_trace() {
    let platform = Arc::new(platform(1, 10));
    let impatient = |max_wait| Invocation {
        max_wait: Some(max_wait),
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
async fn whoever_waits_learns_that_the_platform_stops() {
    let platform = Arc::new(platform(1, 10));
    let other = platform.clone();
    let waiting = tokio::spawn(async move { other.run(invocation("slow"), patient()).await });
    until(&platform, "slow", 1).await;
    platform.stop();
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unavailable);
    let error = platform.run(invocation("quick"), patient()).await;
    assert_eq!(error.unwrap_err().outcome(), Outcome::Unavailable);
}

#[tokio::test]
async fn utilization_is_sampled_before_the_first_task() {
    let platform = platform(1, 1);
    let mut samples = platform.utilization();
    let sample = tokio::time::timeout(PATIENCE, samples.recv()).await;
    let sample = sample.expect("a sample per second").unwrap();
    assert_eq!(sample.values.get("cpu"), Some(&0.0));
}
