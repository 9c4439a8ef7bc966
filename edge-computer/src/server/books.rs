//! The books balance: whatever comes, goes and is cut off, each arrival ends in exactly one way.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use edge_proto::rpc::LambdaRequest;
use edge_transport::{Core, LambdaHandler as _, Seldom};
use futures_util::future::{join_all, poll_immediate};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use proptest::prelude::*;

use super::channels::Channels;
use super::handler::Handler;
use super::metrics::Metrics;
use super::service::Service;
use crate::platform::Simulated;
use crate::sim::{Computer, Estimator, Lambda, Processor, ProcessorKind, Requirements};

const HOUR: Duration = Duration::from_secs(3600);

/// One worker each for `quick`, `slow` (ten minutes) and `large`, which does not fit.
fn handler() -> Handler<Simulated> {
    let mut builder = Computer::builder("computer");
    let cpu = Processor::new("cpu", ProcessorKind::GenericCpu, 1e3, 4, 100).unwrap();
    builder.add_processor(cpu).unwrap();
    for (name, ops, memory) in [("quick", 0, 1), ("slow", 600_000, 1), ("large", 0, 101)] {
        let lambda = Lambda::copying(name, Requirements::Fixed { ops, memory });
        builder.add_container(name, "cpu", lambda, 1).unwrap();
    }
    builder.max_pending(3);
    let platform = Simulated::start(builder.build(), Estimator::Exact, HOUR / 3).unwrap();
    Handler(Arc::new(Service {
        executor: Arc::new(platform),
        endpoint: "127.0.0.1:1".parse().unwrap(),
        channels: Channels::new(None, HOUR),
        home: None,
        asynchronous: None,
        metrics: Metrics::default(),
        lost: Seldom::default(),
        draining_until: OnceLock::new(),
    }))
}

/// A request, how long its caller waits, and whether it goes away earlier.
#[derive(Clone, Debug)]
struct Caller {
    request: LambdaRequest,
    patience: Duration,
    leaves: bool,
}

fn callers() -> impl Strategy<Value = Vec<Caller>> {
    let lambda = prop::sample::select(vec!["quick", "slow", "slow", "large", "nobody"]);
    let patience = prop::sample::select(vec![Duration::ZERO, HOUR / 4, HOUR]);
    let caller = (lambda, patience, any::<(bool, bool, bool, bool)>()).prop_map(
        |(lambda, patience, (leaves, dry, impatient, callback))| Caller {
            request: LambdaRequest {
                dry: dry && !callback,
                max_wait_us: if impatient { 1 } else { 0 },
                callback: if callback && dry { "127.0.0.1:1" } else { "" }.to_owned(),
                ..LambdaRequest::new(lambda, "x")
            },
            patience,
            leaves,
        },
    );
    prop::collection::vec(caller, 1..40)
}

/// Arrivals, those in flight, and those that ended in any way.
fn books(metrics: &Metrics) -> (u64, u64, u64) {
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let mut page = String::new();
    encode(&mut page, &registry).unwrap();
    let sum = |metric: &str| {
        let lines = page.lines().filter(|line| line.starts_with(metric));
        let values = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
        values.sum()
    };
    let ended = sum("edge_computer_requests_total");
    (
        sum("edge_computer_arrivals_total"),
        sum("edge_computer_in_flight"),
        ended,
    )
}

/// Lets `callers` come one after the other, some of them go again, and the platform stop after
/// `before_stop` of them.
async fn run(callers: Vec<Caller>, before_stop: usize) {
    let handler = handler();
    let core = Core::current();
    let mut staying = Vec::new();
    let mut arrived = 0;
    for (index, caller) in callers.into_iter().enumerate() {
        if index == before_stop {
            handler.0.executor.stop();
        }
        let deadline = Instant::now() + caller.patience;
        let mut handled = Box::pin(handler.handle(&core, caller.request, deadline));
        let answered = poll_immediate(&mut handled).await.is_some();
        arrived += 1;
        let (arrivals, in_flight, ended) = books(&handler.0.metrics);
        assert_eq!(arrivals, arrived);
        assert_eq!(arrivals, in_flight + ended);
        if !answered && !caller.leaves {
            staying.push(handled);
        }
    }
    assert_eq!(
        books(&handler.0.metrics).1,
        u64::try_from(staying.len()).unwrap()
    );
    handler.0.executor.stop();
    join_all(staying).await;
    assert_eq!(books(&handler.0.metrics), (arrived, 0, arrived));
}

proptest! {
    #[test]
    fn every_arrival_ends_in_exactly_one_way(callers in callers(), before_stop in 0..40_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(callers, before_stop));
    }
}
