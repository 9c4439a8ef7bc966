//! Requests at a given rate.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use edge_client::arrivals::Arrivals;
use edge_client::load::{self, Progress};
use edge_client::{Config, ErrorKind, Report};
use edge_daemon::lifecycle::Shutdown;
use edge_proto::rpc::{LambdaResponse, Outcome};

use crate::support::{Computer, config, echo};

fn open(computer: &Computer, rate: f64, requests: u64) -> Config {
    Config {
        rate: Some(rate),
        max_requests: NonZeroU64::new(requests),
        ..config(&[computer])
    }
}

async fn run(config: &Config) -> Report {
    let report = load::run(config, &Shutdown::new(), Progress::Silent)
        .await
        .unwrap();
    let tally = &report.tally;
    assert_eq!(tally.ok + tally.failed(), tally.sent);
    let seconds = &tally.seconds;
    assert_eq!(
        seconds.iter().map(|second| second.sent).sum::<u64>(),
        tally.sent
    );
    assert_eq!(tally.latency.len(), tally.ok);
    report
}

#[tokio::test]
async fn all_requests_are_accounted_for_by_kind_and_destination() {
    let count = AtomicUsize::new(0);
    let computer = Computer::start(move |request| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            match number % 3 {
                0 => LambdaResponse::error(Outcome::Overloaded, "queue full"),
                _ => echo(&request),
            }
        }
    });
    let report = run(&open(&computer, 1000.0, 60)).await;
    let tally = &report.tally;
    assert_eq!((tally.sent, tally.ok), (60, 40));
    let kind = ErrorKind::Retcode(Outcome::Overloaded);
    assert_eq!(tally.errors[&kind].count, 20);
    assert_eq!(tally.errors[&kind].example, "queue full");
    let responder = computer.endpoint().to_string();
    assert_eq!(tally.destinations[&responder].count, 40);
    assert_eq!(tally.lag.len(), 60);
}

#[tokio::test]
async fn the_duration_decides_how_many_requests_are_due() {
    let computer = Computer::echo(Duration::ZERO);
    let config = Config {
        duration: Duration::from_millis(500),
        max_requests: None,
        ..open(&computer, 200.0, 1)
    };
    let report = run(&config).await;
    assert_eq!(report.tally.sent, 100);
    assert!(report.elapsed >= config.duration);
}

#[tokio::test]
async fn a_run_does_not_last_until_a_request_that_it_does_not_send() {
    let computer = Computer::echo(Duration::ZERO);
    let report = run(&open(&computer, 1e-3, 1)).await;
    assert_eq!(report.elapsed, report.tally.last_answer);
}

#[tokio::test]
async fn a_rate_that_cannot_be_reached_makes_the_run_no_longer() {
    let computer = Computer::echo(Duration::ZERO);
    let config = Config {
        duration: Duration::from_secs(1),
        max_requests: None,
        ..open(&computer, 1e6, 1)
    };
    let report = run(&config).await;
    let tally = &report.tally;
    assert_eq!(tally.sent, 1_000_000);
    assert!(tally.errors[&ErrorKind::Overrun].count > 0);
    // All in all they take a minute.
    let latest = Duration::from_nanos(tally.lag.max());
    assert!(latest < Duration::from_secs(15), "{latest:?}");
}

#[tokio::test]
async fn several_cores_and_connections_send_each_request_once() {
    let computer = Computer::echo(Duration::ZERO);
    let config = Config {
        cores: NonZeroUsize::new(3).unwrap(),
        connections: NonZeroUsize::new(4).unwrap(),
        arrivals: Arrivals::Poisson,
        ..open(&computer, 2000.0, 301)
    };
    let report = run(&config).await;
    assert_eq!((report.tally.sent, report.tally.ok), (301, 301));
    let mut uuids: Vec<_> = computer.seen().into_iter().map(|r| r.uuid).collect();
    uuids.sort();
    uuids.dedup();
    assert_eq!(uuids.len(), 301);
}

#[tokio::test]
async fn a_stall_shows_in_all_requests_that_were_due_meanwhile() {
    const STALL: Duration = Duration::from_millis(400);
    // From its tenth request on, the computer does nothing for a while.
    let count = AtomicUsize::new(0);
    let (resume, resumed) = tokio::sync::watch::channel(false);
    let resume = Arc::new(resume);
    let computer = Computer::start(move |request| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let (resume, mut resumed) = (resume.clone(), resumed.clone());
        async move {
            if number == 10 {
                tokio::time::sleep(STALL).await;
                resume.send_replace(true);
            } else if number > 10 {
                resumed.wait_for(|&resumed| resumed).await.unwrap();
            }
            echo(&request)
        }
    });
    let report = run(&open(&computer, 500.0, 400)).await;
    // A request that is due in the first half of the stall arrives after its
    // beginning, and is answered after its end: at least half a stall later.
    let half = STALL / 2;
    let due_in_half = 500.0 * half.as_secs_f64();
    let half = u64::try_from(half.as_nanos()).unwrap();
    let late = report.tally.latency.count_between(half, u64::MAX);
    assert!(late as f64 >= due_in_half - 1.0, "{late} of {due_in_half}");
}

#[tokio::test]
async fn latency_counts_from_when_a_request_was_due() {
    let computer = Computer::echo(Duration::ZERO);
    // All are due within the first millisecond, however long they take to leave.
    let report = run(&open(&computer, 1e6, 1000)).await;
    let longest = Duration::from_nanos(report.tally.latency.max());
    let last = report.tally.last_answer;
    assert!(
        longest + Duration::from_millis(1) >= last,
        "{longest:?}, {last:?}"
    );
}

#[tokio::test]
async fn what_is_due_beyond_the_limit_of_outstanding_requests_is_an_overrun() {
    let computer = Computer::silent();
    let config = Config {
        max_outstanding: NonZeroUsize::new(5).unwrap(),
        timeout: Duration::from_secs(2),
        ..open(&computer, 1e6, 20)
    };
    let report = run(&config).await;
    assert_eq!(report.tally.ok, 0);
    assert_eq!(report.tally.errors[&ErrorKind::Deadline].count, 5);
    assert_eq!(report.tally.errors[&ErrorKind::Overrun].count, 15);
}

#[tokio::test]
async fn a_run_that_is_asked_to_end_counts_what_it_leaves_behind() {
    let computer = Arc::new(Computer::silent());
    let shutdown = Shutdown::new();
    let config = Config {
        duration: Duration::ZERO,
        ..open(&computer, 1e6, 3)
    };
    let asking = {
        let (computer, shutdown) = (computer.clone(), shutdown.clone());
        async move {
            while computer.running() < 3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            shutdown.request("test");
        }
    };
    let (report, ()) = tokio::join!(load::run(&config, &shutdown, Progress::Silent), asking);
    let tally = report.unwrap().tally;
    assert_eq!((tally.sent, tally.ok), (3, 0));
    assert_eq!(tally.errors[&ErrorKind::Interrupted].count, 3);
}

#[tokio::test]
async fn the_seed_fixes_the_sizes() {
    let sizes = async |seed, cores| {
        let computer = Computer::echo(Duration::ZERO);
        let config = Config {
            sizes: vec![0, 20, 30, 40],
            seed,
            cores: NonZeroUsize::new(cores).unwrap(),
            ..open(&computer, 5000.0, 200)
        };
        run(&config).await;
        let mut sizes: Vec<_> = computer.seen().iter().map(|r| r.input.len()).collect();
        sizes.sort_unstable();
        sizes
    };
    let once = sizes(1, 1).await;
    assert_eq!(once, sizes(1, 1).await);
    assert_eq!(once, sizes(1, 2).await, "whatever the number of cores");
    assert_ne!(once, sizes(2, 1).await);
    assert_eq!((once[0], once[199]), (0, 40));
}

#[tokio::test]
async fn requests_say_what_they_were_told_to() {
    let computer = Computer::echo(Duration::ZERO);
    let config = Config {
        content: Some("fixed".to_owned()),
        dry: true,
        idempotent: true,
        ..open(&computer, 1e3, 1)
    };
    run(&config).await;
    let request = &computer.seen()[0];
    assert_eq!(
        (request.name.as_str(), request.input.as_str()),
        ("clambda0", "fixed")
    );
    assert!(request.dry && request.idempotent && !request.forward);
    assert_eq!(request.hops, 0);
    assert!(!request.uuid.is_empty());
}
