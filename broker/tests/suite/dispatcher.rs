//! The dispatcher over real sockets: its table, its questions, its trace. Rows PE1 to PE4.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    Computer, Conduct, PATIENCE, Running, change, config, dispatcher, eventually, request, start,
    start_dispatcher,
};
use edge_broker::config::EstimatorConfig;
use edge_proto::rpc::edge_router_conf::Action;
use edge_proto::rpc::{EdgeRouterConf, LambdaRequest, LambdaResponse, Outcome, TableId, Void};

fn probe() -> EstimatorConfig {
    EstimatorConfig::Probe {
        max_clients: 10,
        timeout: 0.05,
        output: None,
    }
}

pub(crate) fn of_each_type(output: Option<PathBuf>) -> [EstimatorConfig; 4] {
    [
        EstimatorConfig::default(),
        EstimatorConfig::Util {
            rtt_window_size: 50,
            rtt_stale_period: 10.0,
            util_load_timeout: 10.0,
            util_window_size: 50,
            util_stale_period: 60.0,
            output: output.clone(),
        },
        EstimatorConfig::Delay {
            util_load_timeout: 10.0,
            util_window_size: 50,
            util_stale_period: 60.0,
            output: output.clone(),
        },
        EstimatorConfig::Probe {
            max_clients: 10,
            timeout: 5.0,
            output,
        },
    ]
}

fn table(running: &Running) -> String {
    running.router.tables().by_id(0).unwrap().to_string()
}

async fn remove(running: &mut Running, lambda: &str, destination: &str) {
    let remove = EdgeRouterConf {
        action: Action::Remove as i32,
        ..change(lambda, destination, 0.0, false)
    };
    assert_eq!(running.configure(remove).await, "OK");
}

/// The table that rows PE1 to PE4 work on.
async fn reference_table(estimator: EstimatorConfig) -> Running {
    let mut running = start_dispatcher(dispatcher(estimator)).await;
    for (lambda, destination, is_final) in [
        ("lambda1", "dest1:666", true),
        ("lambda1", "dest2:666", false),
        ("lambda1", "dest2:667", true),
        ("lambda2", "dest1:666", true),
        ("lambda2", "dest2:666", false),
        ("another_lambda", "dest3:666", false),
    ] {
        let change = change(lambda, destination, -42.0, is_final);
        assert_eq!(running.configure(change).await, "OK");
    }
    running
}

const REFERENCE_TABLE: &str = "\
another_lambda [1] dest3:666
lambda1        [1] dest1:666 (F)
               [1] dest2:666
               [1] dest2:667 (F)
lambda2        [1] dest1:666 (F)
               [1] dest2:666
";

#[tokio::test]
async fn pe1_any_weight_is_accepted_and_stored_as_1() {
    for estimator in of_each_type(None) {
        let mut running = reference_table(estimator).await;
        let lambdas = running.router.tables().by_id(0).unwrap().lambdas();
        assert_eq!(lambdas, ["another_lambda", "lambda1", "lambda2"]);
        assert_eq!(table(&running), REFERENCE_TABLE);
        for weight in [0.0, f32::NAN, f32::INFINITY] {
            let change = change("lambda1", "dest1:666", weight, true);
            assert_eq!(running.configure(change).await, "OK");
        }
        assert_eq!(table(&running), REFERENCE_TABLE);
    }
}

#[tokio::test]
async fn pe2_changing_a_weight_has_no_effect() {
    let mut running = reference_table(EstimatorConfig::default()).await;
    let change = change("lambda1", "dest1:666", 100.0, true);
    assert_eq!(running.configure(change).await, "OK");
    assert_eq!(table(&running), REFERENCE_TABLE);
}

#[tokio::test]
async fn pe3_removals_remove_once_and_what_is_unknown_is_no_error() {
    let mut running = reference_table(EstimatorConfig::default()).await;
    for destination in ["dest1:666", "dest2:666"] {
        remove(&mut running, "lambda2", destination).await;
    }
    let without = REFERENCE_TABLE.split_once("lambda2").unwrap().0;
    assert_eq!(table(&running), without);
    running.route("lambda1", "dest9:666", true).await;
    assert!(table(&running).contains("dest9:666 (F)\n"));
    remove(&mut running, "lambda1", "dest9:666").await;
    remove(&mut running, "lambda1", "dest9:666").await;
    remove(&mut running, "lambda1", "unknown:1").await;
    remove(&mut running, "unknown", "dest1:666").await;
    assert_eq!(table(&running), without);
    for destination in ["dest1:666", "dest2:666", "dest2:667"] {
        remove(&mut running, "lambda1", destination).await;
    }
    assert_eq!(table(&running), "another_lambda [1] dest3:666\n");
    assert_eq!(running.router.tables().destinations().len(), 1);
}

#[tokio::test]
async fn pe4_it_prints_like_a_router_and_nothing_when_empty() {
    let mut running = reference_table(probe()).await;
    assert_eq!(table(&running), REFERENCE_TABLE);
    assert_eq!(running.configure(EdgeRouterConf::default()).await, "OK");
    assert_eq!(table(&running), "");
}

#[tokio::test]
async fn there_is_one_table_whoever_sends() {
    let computer = Computer::echo();
    let mut running = start_dispatcher(dispatcher(EstimatorConfig::default())).await;
    running.route("f", &computer.name(), false).await;
    let number = running.tables.get_num_tables(Void {}).await.unwrap();
    assert_eq!(number.into_inner().value, 1);
    let second = TableId {
        value: 1,
        ..TableId::default()
    };
    let second = running.tables.get_table(second).await.unwrap();
    assert_eq!(second.into_inner().entries, []);
    for forward in [false, true] {
        let request = LambdaRequest {
            forward,
            ..request("f")
        };
        assert!(running.ask(&request).await.is_ok());
    }
}

#[tokio::test]
async fn finality_follows_the_last_change() {
    let mut running = start_dispatcher(dispatcher(EstimatorConfig::default())).await;
    running.route("f", "dest:1", true).await;
    running.route("f", "dest:1", false).await;
    assert_eq!(table(&running), "f [1] dest:1\n");
}

#[tokio::test]
async fn a_router_still_refuses_what_is_no_weight() {
    let mut running = start(config()).await;
    let msg = running.configure(change("f", "dest:1", -42.0, true)).await;
    assert_eq!(msg, "Error: Invalid weight '-42.000000', must be > 0");
}

#[tokio::test]
async fn what_fails_is_tried_elsewhere_and_nobody_is_deleted() {
    for estimator in of_each_type(None) {
        let good = Computer::echo();
        let mut running = start_dispatcher(dispatcher(estimator.clone())).await;
        running.route("f", &good.name(), true).await;
        running.route("f", "127.0.0.1:1", true).await;
        for _ in 0..10 {
            let answer = running.ask(&request("f")).await;
            assert_eq!(answer.responder, good.name(), "{estimator:?}");
        }
        assert_eq!(running.router.destinations().len(), 2);
    }
}

fn estimates(ptime: u32) -> Conduct {
    Conduct::Say(LambdaResponse {
        retcode: "OK".into(),
        outcome: Outcome::Ok as i32,
        ptime,
        ..LambdaResponse::default()
    })
}

#[tokio::test]
async fn probe_asks_all_computers_about_this_request_and_executes_once() {
    let quick = Computer::start(estimates(10));
    let slow = Computer::start(estimates(5000));
    let mut patient = dispatcher(EstimatorConfig::Probe {
        max_clients: 10,
        timeout: 10.0,
        output: None,
    });
    patient.router.max_pending_clients = 0;
    let mut running = start_dispatcher(patient).await;
    for computer in [&quick, &slow] {
        running.route("f", &computer.name(), true).await;
    }
    for round in 1..=5 {
        let answer = running.ask(&request("f")).await;
        assert_eq!(answer.responder, quick.name());
        assert_eq!((quick.count(), slow.count()), (2 * round, round));
    }
    let asked = &slow.received()[0];
    assert!(asked.dry && asked.forward && asked.hops == 1, "{asked:?}");
    assert_eq!((asked.name.as_str(), asked.input.as_str()), ("f", "hello"));
    let executed = quick.received().iter().filter(|r| !r.dry).count();
    assert_eq!(executed, 5);
}

#[tokio::test]
async fn probe_does_not_wait_for_those_that_do_not_answer() {
    let hanging = Computer::start(Conduct::Hang);
    let good = Computer::start(estimates(1));
    let mut running = start_dispatcher(dispatcher(probe())).await;
    // Unknown to the table in its answer, it is asked and never heard.
    running.route("f", &good.name(), true).await;
    assert!(running.ask(&request("f")).await.is_ok());
    running.route("f", &hanging.name(), true).await;
    // Nothing is known of the hanging one, so it is as good as the worst that answered; it may get
    // a request, but never holds up the others.
    let running = Arc::new(running);
    let ask = || {
        let running = running.clone();
        tokio::spawn(async move { running.ask(&request("f")).await })
    };
    let asked: Vec<_> = (0..20).map(|_| ask()).collect();
    eventually("most are answered", || {
        asked.iter().filter(|task| task.is_finished()).count() >= 8
    })
    .await;
    assert!(hanging.received().iter().any(|request| request.dry));
    for task in asked {
        task.abort();
    }
}

#[tokio::test]
async fn probe_leaves_brokers_in_peace() {
    let computer = Computer::start(estimates(1));
    let router = Computer::start(estimates(1));
    let mut running = start_dispatcher(dispatcher(probe())).await;
    running.route("f", &computer.name(), true).await;
    running.route("f", &router.name(), false).await;
    for _ in 0..10 {
        assert!(running.ask(&request("f")).await.is_ok());
    }
    assert!(router.received().iter().all(|request| !request.dry));
}

#[tokio::test]
async fn predictions_and_measurements_are_written_to_the_file() {
    for (index, columns) in [(1, 9), (2, 7), (3, 6)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.dat");
        let estimator = of_each_type(Some(path.clone()))[index].clone();
        let computer = Computer::start(Conduct::Echo(Duration::from_millis(1)));
        let mut running = start_dispatcher(dispatcher(estimator.clone())).await;
        running.route("f", &computer.name(), true).await;
        for _ in 0..3 {
            running.ask(&request("f")).await;
        }
        // What is written can be seen while the dispatcher runs.
        let lines = || std::fs::read_to_string(&path).unwrap();
        eventually("three lines", || lines().lines().count() == 3).await;
        assert!(running.router.shutdown(crate::support::PATIENCE).await);
        let text = lines();
        let last: Vec<_> = text.lines().last().unwrap().split(' ').collect();
        assert_eq!(last.len(), columns, "{estimator:?}: {text}");
        assert_eq!(last[1..4], ["f", computer.name().as_str(), "5"]);
        let is_number = |column: &&str| column.parse::<f64>().is_ok_and(|n| n >= 0.0);
        assert!(last[4..].iter().all(is_number), "{text}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named() {
    let path: PathBuf = "/does/not/exist/out.dat".into();
    for estimator in &of_each_type(Some(path))[1..] {
        let error = edge_broker::Dispatcher::start(dispatcher(estimator.clone()))
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("/does/not/exist/out.dat"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn decisions_can_be_explained() {
    let computer = Computer::echo();
    let mut explaining = dispatcher(of_each_type(None)[1].clone());
    explaining.explain.sample = 1.0;
    let mut running = start_dispatcher(explaining).await;
    running.route("f", &computer.name(), true).await;
    for _ in 0..2 {
        running.ask(&request("f")).await;
    }
    let decision = &running.router.decisions()[0];
    assert_eq!((decision.policy, decision.reason), ("util", "best"));
    assert!(decision.candidates[0].terms.get("network_s").is_some());
    assert!(decision.predicted_us.is_some());
}

#[tokio::test]
async fn a_disk_that_hangs_does_not_hold_up_the_end_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    // A pipe that nobody reads takes 16 pages, more or less filled, as the pieces are that are written;
    // it is open in both directions, which does not wait for another end.
    let pipe = std::fs::File::options().read(true).write(true).open(&path);
    let mut pipe = pipe.unwrap();
    let computer = Computer::echo();
    let [_, _, estimator, _] = of_each_type(Some(path));
    let mut running = start_dispatcher(dispatcher(estimator)).await;
    let lambda = "f".repeat(1024);
    running.route(&lambda, &computer.name(), true).await;
    for _ in 0..200 {
        assert!(running.ask(&request(&lambda)).await.is_ok());
    }
    let end = running.router.shutdown(PATIENCE);
    assert!(tokio::time::timeout(PATIENCE, end).await.unwrap());
    let taken = pipe.read(&mut [0; 1 << 16]).unwrap();
    assert!(taken > 32 << 10, "it did hang: {taken}");
}
