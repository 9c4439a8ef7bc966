//! Clients that wait for one answer before the next request.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use edge_client::arrivals::InterRequestType;
use edge_client::load::{self, Progress};
use edge_client::{Config, ErrorKind};
use edge_daemon::lifecycle::Shutdown;

use crate::support::{Computer, config, echo, nobody};

fn closed(computer: &Computer, folder: &tempfile::TempDir) -> Config {
    Config {
        output_file: Some(folder.path().join("lines")),
        max_requests: NonZeroU64::new(10),
        ..config(&[computer])
    }
}

fn lines(config: &Config) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(config.output_file.as_ref().unwrap()).unwrap();
    let columns = |line: &str| line.split(' ').map(str::to_owned).collect();
    text.lines().map(columns).collect()
}

#[tokio::test]
async fn each_client_sends_its_requests_and_each_answer_is_a_line() {
    let (computer, folder) = (Computer::echo(Duration::ZERO), tempfile::tempdir().unwrap());
    let config = Config {
        num_threads: NonZeroUsize::new(3).unwrap(),
        cores: NonZeroUsize::new(2).unwrap(),
        ..closed(&computer, &folder)
    };
    let report = load::run(&config, &Shutdown::new(), Progress::Silent)
        .await
        .unwrap();
    assert_eq!((report.tally.sent, report.tally.ok), (30, 30));
    let lines = lines(&config);
    assert_eq!(lines.len(), 30);
    for line in lines {
        let [at, latency, load, responder, lambda, hops] = line.try_into().unwrap();
        assert!(at.parse::<f64>().unwrap() >= latency.parse::<f64>().unwrap());
        let rest = [load, responder, lambda, hops];
        assert_eq!(rest, ["42", "-", "clambda0", "1"]);
    }
}

#[tokio::test]
async fn dry_requests_show_the_predicted_time() {
    let (computer, folder) = (Computer::echo(Duration::ZERO), tempfile::tempdir().unwrap());
    let config = Config {
        dry: true,
        ..closed(&computer, &folder)
    };
    load::run(&config, &Shutdown::new(), Progress::Silent)
        .await
        .unwrap();
    assert!(lines(&config).iter().all(|line| line[1] == "0.25"));
}

#[tokio::test]
async fn a_client_has_one_request_at_a_time() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (running.clone(), most.clone());
    let computer = Computer::start(move |request| {
        let (running, most) = counters.clone();
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(2)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            echo(&request)
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        num_threads: NonZeroUsize::new(2).unwrap(),
        max_requests: NonZeroU64::new(20),
        ..closed(&computer, &folder)
    };
    load::run(&config, &Shutdown::new(), Progress::Silent)
        .await
        .unwrap();
    assert!(most.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn requests_keep_their_distance() {
    const GAP: Duration = Duration::from_millis(20);
    let (computer, folder) = (Computer::echo(Duration::ZERO), tempfile::tempdir().unwrap());
    let config = Config {
        inter_request_time: GAP,
        inter_request_type: InterRequestType::Constant,
        max_requests: NonZeroU64::new(5),
        ..closed(&computer, &folder)
    };
    let report = load::run(&config, &Shutdown::new(), Progress::Silent)
        .await
        .unwrap();
    // The first one waits, too.
    assert!(report.elapsed >= 5 * GAP, "{:?}", report.elapsed);
    let first: f64 = lines(&config)[0][0].parse().unwrap();
    assert!(first >= GAP.as_secs_f64());
}

#[tokio::test]
async fn the_duration_ends_a_run_without_errors() {
    let (computer, folder) = (Computer::echo(Duration::ZERO), tempfile::tempdir().unwrap());
    let config = Config {
        max_requests: None,
        duration: Duration::from_millis(100),
        inter_request_time: Duration::from_millis(1),
        ..closed(&computer, &folder)
    };
    let report = load::run(&config, &Shutdown::new(), Progress::Silent)
        .await
        .unwrap();
    assert_eq!(report.tally.failed(), 0);
    assert!(report.tally.ok > 0);
}

#[tokio::test]
async fn clients_survive_failures_and_count_them() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        server_endpoints: vec![nobody()],
        max_requests: NonZeroU64::new(4),
        output_file: Some(folder.path().join("lines")),
        ..Config::default()
    };
    let report = load::run(&config, &Shutdown::new(), Progress::Silent)
        .await
        .unwrap();
    assert_eq!((report.tally.sent, report.tally.ok), (4, 0));
    assert_eq!(report.tally.errors[&ErrorKind::Connect].count, 4);
    assert!(lines(&config).is_empty());
}
