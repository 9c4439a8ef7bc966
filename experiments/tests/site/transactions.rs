//! Requests from end to end, through real daemons: rows TX1 to TX3.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::support::{Site, anywhere, eventually};
use edge_broker::config::{EstimatorConfig, OptimizerSection, Stat, TableConfig};
use edge_computer::sim::PlatformConfig;
use edge_proto::rpc::callback_server_server::{CallbackServer, CallbackServerServer};
use edge_proto::rpc::edge_computer_client::EdgeComputerClient;
use edge_proto::rpc::{LambdaRequest, LambdaResponse, State, Void};
use edge_transport::{Cores, Endpoint, Listener, Server, control};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// A tenth of the time of the original rows, which takes 251 ms per request.
const SPEED: f64 = 10.0;

/// The computer of rows TX1 and TX2.
async fn computer(site: &mut Site) -> crate::support::Computer {
    let platform = PlatformConfig::IntelServer {
        num_containers: 1,
        num_workers: 1,
    };
    let computer = site.computer(|config| config.platform = platform).await;
    computer.set_speed_factor(SPEED).unwrap();
    computer
}

/// 50 requests of 1000 bytes through `broker`, one after the other.
async fn transactions(
    site: &Site,
    broker: &edge_broker::RouterHandle,
    computer: &crate::support::Computer,
) {
    site.wait_for(broker, "clambda0", 1).await;
    let input = "x".repeat(1000);
    let service_ms = 25.1;
    let mut overhead_ms = Vec::new();
    for _ in 0..50 {
        let begin = Instant::now();
        let answer = site
            .ask(broker, &LambdaRequest::new("clambda0", &input))
            .await;
        let measured_ms = begin.elapsed().as_secs_f64() * 1e3;
        assert_eq!((answer.retcode.as_str(), answer.hops), ("OK", 2));
        assert_eq!(answer.responder, computer.endpoint().to_string());
        assert_eq!((answer.output, answer.dataout.len()), (input.clone(), 0));
        let ptime_ms = f64::from(answer.ptime);
        // Half a millisecond of rounding on either side; the clock decides the rest.
        assert!(ptime_ms >= service_ms - 0.5, "{ptime_ms}");
        assert!(ptime_ms <= measured_ms + 0.5, "{ptime_ms} > {measured_ms}");
        overhead_ms.push(measured_ms - ptime_ms);
    }
    overhead_ms.sort_by(f64::total_cmp);
    println!(
        "measured minus ptime: median {:.1} ms (the rows allow 10)",
        overhead_ms[25]
    );
}

#[tokio::test]
async fn tx1_lambdas_run_through_the_router() {
    let mut site = Site::controller().await;
    let computer = computer(&mut site).await;
    let router = site
        .router(|config| {
            config.table = TableConfig::Random {};
            config.optimizer = OptimizerSection::Trivial {
                period: 10.0,
                stat: Stat::Mean,
            };
        })
        .await;
    transactions(&site, &router, &computer).await;
}

/// As in the default conf strings, without output.
fn estimators() -> [EstimatorConfig; 4] {
    [
        EstimatorConfig::default(),
        EstimatorConfig::Util {
            rtt_window_size: 50,
            rtt_stale_period: 10.0,
            util_load_timeout: 10.0,
            util_window_size: 50,
            util_stale_period: 60.0,
            output: None,
        },
        EstimatorConfig::Delay {
            util_load_timeout: 10.0,
            util_window_size: 50,
            util_stale_period: 60.0,
            output: None,
        },
        EstimatorConfig::Probe {
            max_clients: 10,
            timeout: 0.05,
            output: None,
        },
    ]
}

#[tokio::test]
async fn tx2_lambdas_run_through_a_dispatcher_of_each_type() {
    for estimator in estimators() {
        let mut site = Site::controller().await;
        let computer = computer(&mut site).await;
        let dispatcher = site.dispatcher(estimator.clone()).await;
        transactions(&site, &dispatcher, &computer).await;
        let table = dispatcher.tables().by_id(0).unwrap().to_string();
        assert!(table.contains("clambda0 [1] "), "{estimator:?}: {table}");
    }
}

/// Whatever the clock of the test does, a worker for which a request waits is
/// busy: one core of twenty.
#[tokio::test]
async fn tx2_a_busy_worker_shows_as_a_twentieth() {
    let mut site = Site::controller().await;
    let platform = PlatformConfig::IntelServer {
        num_containers: 1,
        num_workers: 1,
    };
    let computer = site
        .computer(|config| {
            config.platform = platform;
            config.utilization.endpoint = anywhere().into();
        })
        .await;
    computer.set_speed_factor(SPEED).unwrap();
    let server = Endpoint::from(computer.utilization_address().unwrap());
    let mut client = EdgeComputerClient::new(control::streaming_channel(&server, None));
    let mut samples = client.stream_util(Void {}).await.unwrap().into_inner();

    let dispatcher = site.dispatcher(estimators()[1].clone()).await;
    site.wait_for(&dispatcher, "clambda0", 1).await;
    let input = "x".repeat(1000);
    let keep_busy = || async {
        loop {
            let request = LambdaRequest::new("clambda0", &input);
            assert!(site.ask(&dispatcher, &request).await.is_ok());
        }
    };
    let watch = async {
        loop {
            let sample = samples.message().await.unwrap().unwrap();
            let busiest = sample.values.values().copied().fold(0.0, f32::max);
            assert!(busiest <= 0.06, "one worker, one core: {sample:?}");
            // Seconds in which the requests began or had not yet begun show less.
            if busiest >= 0.04 {
                return;
            }
        }
    };
    tokio::select! {
        () = keep_busy() => {}
        () = keep_busy() => {}
        () = keep_busy() => {}
        watched = tokio::time::timeout(crate::support::PATIENCE, watch) => watched.expect("a sample of 0.05"),
    }
}

/// Keeps what computers call back with.
#[derive(Debug, Default, Clone)]
struct Callbacks(Arc<Mutex<Vec<LambdaResponse>>>);

#[tonic::async_trait]
impl CallbackServer for Callbacks {
    async fn receive_response(
        &self,
        request: Request<LambdaResponse>,
    ) -> Result<Response<Void>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(Void {}))
    }
}

#[tokio::test]
async fn tx3_asynchronous_requests_are_acknowledged_and_called_back() {
    const CALLS: usize = 50;
    let mut site = Site::controller().await;
    let computer = site
        .computer(|config| config.asynchronous.enabled = true)
        .await;
    let router = site.router(|_| {}).await;
    site.wait_for(&router, "clambda0", 1).await;

    let callbacks = Callbacks::default();
    let cores = Arc::new(Cores::start("callback", std::num::NonZeroUsize::MIN).unwrap());
    let routes = Routes::new(CallbackServerServer::new(callbacks.clone()));
    let server = Server::new(routes).serve(Listener::bind(&anywhere()).unwrap(), &cores);
    let states: BTreeMap<_, _> = ["s0", "s1"]
        .map(|name| {
            (
                name.to_owned(),
                State {
                    content: name.into(),
                    ..State::default()
                },
            )
        })
        .into();

    let mut asked = BTreeMap::new();
    for _ in 0..CALLS {
        let request = LambdaRequest {
            callback: server.local_addr().to_string(),
            states: states.clone(),
            ..LambdaRequest::new("clambda0", "AAAAAAAAAA")
        };
        let answer = site.ask(&router, &request).await;
        assert!(answer.is_ok() && answer.asynchronous, "{answer:?}");
        asked.insert(request.uuid.clone(), request);
    }
    eventually("all called back", || {
        callbacks.0.lock().unwrap().len() == CALLS
    })
    .await;
    for answer in callbacks.0.lock().unwrap().iter() {
        assert!(answer.is_ok() && !answer.asynchronous, "{answer:?}");
        assert_eq!((answer.hops, answer.output.as_str()), (2, "AAAAAAAAAA"));
        assert_eq!(answer.responder, computer.endpoint().to_string());
        assert_eq!(answer.states, states);
        assert!(
            asked.remove(&answer.uuid).is_some(),
            "each once: {}",
            answer.uuid
        );
    }
    // Acknowledgements are no measurements: the weight is still the announced one.
    let weight = router.destinations()[0].weight;
    assert_eq!(weight.to_bits(), 1.0f32.to_bits());
}
