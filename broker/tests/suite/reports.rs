//! What destinations say of themselves: believed where it can be true, harmless where it cannot.

use std::time::{Duration, Instant};

use crate::dispatcher::of_each_type;
use crate::support::{
    Computer, Conduct, PATIENCE, Running, ask_until, config, dispatcher, report, request, start,
    start_dispatcher,
};
use edge_broker::config::TableConfig;
use edge_broker::{DestinationStatus, Standing};
use edge_proto::rpc::LambdaResponse;
use prost::Message as _;

const SERVICE: Duration = Duration::from_millis(2);

async fn broker_before(computer: &Computer) -> Running {
    let mut broker = start(config()).await;
    broker.route("f", &computer.name(), true).await;
    broker
}

#[tokio::test]
async fn of_two_brokers_behind_the_one_with_less_to_do_is_preferred() {
    let working =
        |in_flight| Computer::start(Conduct::Work(SERVICE, report(SERVICE, in_flight, 4)));
    let (busy, idle) = (working(400), working(0));
    let (behind_busy, behind_idle) = (broker_before(&busy).await, broker_before(&idle).await);
    let mut explaining = config();
    explaining.explain.sample = 1.0;
    let mut front = start(explaining).await;
    for behind in [&behind_busy, &behind_idle] {
        front.route("f", behind.endpoint.as_str(), false).await;
    }
    ask_until(&front, &request("f"), "both have been heard", || {
        busy.count() > 0 && idle.count() > 0
    })
    .await;
    // Whoever was slow once, since the machine was, has to be looked at again first.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = busy.count();
        for _ in 0..100 {
            assert!(front.ask(&request("f")).await.is_ok());
        }
        // Now and then somebody looks whether it is still that busy.
        let sent_there = busy.count() - before;
        if sent_there <= 10 {
            break;
        }
        let is_over = Instant::now() >= deadline;
        assert!(!is_over, "{sent_there} of 100 to the busy one");
    }
    let decision = &front.router.decisions()[0];
    for candidate in &decision.candidates {
        assert_eq!(
            candidate.terms.get("workers"),
            Some(4.0),
            "learnt from the replies: {decision:?}"
        );
    }
}

/// The policies that look at reports, or might.
fn policies() -> impl Iterator<Item = TableConfig> {
    let named = |name: &str| serde_json::json!({"type": name, "alpha": 1, "beta": 1});
    edge_balance::PolicyConfig::NAMES
        .into_iter()
        .map(move |name| {
            let mut written = named(name);
            if name != "proportional-fairness" {
                written = serde_json::json!({"type": name});
            }
            serde_json::from_value(written).unwrap()
        })
}

/// Answers that cannot be true, by what is wrong with them.
fn lies() -> Vec<(&'static str, Vec<u8>)> {
    let ok = || report(Duration::ZERO, 0, 0);
    let eternal = LambdaResponse {
        ptime: u32::MAX,
        service_us: u64::MAX,
        residence_us: u64::MAX,
        ..ok()
    };
    let crowded = LambdaResponse {
        in_flight: u32::MAX,
        workers: u32::MAX,
        load1: u32::MAX,
        load10: u32::MAX,
        load30: u32::MAX,
        hops: u32::MAX,
        ..ok()
    };
    let cold = LambdaResponse {
        cold_start_us: u64::MAX,
        ..ok()
    };
    let everything = LambdaResponse {
        cold_start_us: u64::MAX,
        workers: 1,
        ..eternal.clone()
    };
    let outcome = LambdaResponse {
        outcome: i32::MIN,
        ..ok()
    };
    // Fields 4 and 6 are ptime and load1; -1 is written with ten bytes.
    let mut negative = ok().encode_to_vec();
    for key in [4 << 3, 6 << 3] {
        negative.push(key);
        negative.extend([0xff; 9]);
        negative.push(0x01);
    }
    vec![
        ("eternal", eternal.encode_to_vec()),
        ("crowded", crowded.encode_to_vec()),
        ("cold", cold.encode_to_vec()),
        ("everything", everything.encode_to_vec()),
        ("unknown outcome", outcome.encode_to_vec()),
        ("negative", negative),
    ]
}

#[tokio::test]
async fn absurd_reports_fail_no_request_under_any_policy() {
    for table in policies() {
        let liar = Computer::echo();
        let good = Computer::echo();
        let mut any = config();
        any.table = table.clone();
        let mut router = start(any).await;
        for computer in [&liar, &good] {
            router.route("f", &computer.name(), true).await;
        }
        for (lie, message) in lies() {
            liar.conduct(Conduct::Utter(Duration::ZERO, message.into()));
            for _ in 0..20 {
                let answer = router.ask(&request("f")).await;
                assert_eq!(answer.retcode, "OK", "{lie} under {table:?}");
            }
        }
    }
}

#[tokio::test]
async fn absurd_reports_fail_no_request_under_any_estimator() {
    for estimator in of_each_type(None) {
        let liar = Computer::echo();
        let good = Computer::echo();
        let mut running = start_dispatcher(dispatcher(estimator.clone())).await;
        for computer in [&liar, &good] {
            running.route("f", &computer.name(), true).await;
        }
        for (lie, message) in lies() {
            liar.conduct(Conduct::Utter(Duration::ZERO, message.into()));
            for _ in 0..20 {
                let answer = running.ask(&request("f")).await;
                assert_eq!(answer.retcode, "OK", "{lie} under {estimator:?}");
            }
        }
    }
}

#[tokio::test]
async fn whoever_is_slow_and_reports_absurdly_gets_no_more_than_its_share() {
    const REQUESTS: usize = 60;
    for (lie, message) in lies() {
        // So slow that what a busy machine adds to the times of both does not hide it.
        let liar = Computer::start(Conduct::Utter(100 * SERVICE, message.into()));
        let good = Computer::start(Conduct::Work(SERVICE, report(SERVICE, 0, 4)));
        let mut router = start(config()).await;
        for computer in [&liar, &good] {
            router.route("f", &computer.name(), true).await;
        }
        ask_until(&router, &request("f"), lie, || {
            good.count() > 0 && liar.count() > 0
        })
        .await;
        // Whoever was slow once, since the machine was, has to be looked at again first.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let before = good.count();
            for _ in 0..REQUESTS {
                assert_eq!(router.ask(&request("f")).await.retcode, "OK", "{lie}");
            }
            let share = good.count() - before;
            if share >= REQUESTS / 2 {
                break;
            }
            let is_over = Instant::now() >= deadline;
            assert!(!is_over, "{share} of {REQUESTS} beside {lie}");
        }
        let healthy = |d: &DestinationStatus| d.standing == Standing::Healthy;
        assert!(router.router.destinations().iter().all(healthy), "{lie}");
    }
}
