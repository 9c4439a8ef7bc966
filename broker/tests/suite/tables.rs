//! The table service over gRPC: operations, errors, pages.

use std::time::{Duration, Instant};

use crate::support::{Computer, Running, change, config, config_with_admin, request, start};
use edge_broker::config::{OptimizerSection, TableConfig};
use edge_proto::rpc::edge_router_conf::{Action, Filling};
use edge_proto::rpc::{EdgeRouterConf, Outcome, TableId, Void};

/// Requests that are being answered.
const IN_FLIGHT: &str = "edge_router_in_flight";

async fn entries(router: &mut Running, table: u32) -> Vec<(String, String, f32, bool)> {
    let id = TableId {
        value: table,
        ..TableId::default()
    };
    let table = router.tables.get_table(id).await.unwrap().into_inner();
    assert_eq!(
        table.total, 0,
        "a whole table says no total, as in the reference"
    );
    let fields = |e: edge_proto::rpc::forwarding_table::Entry| {
        (e.lambda, e.destination, e.weight, e.r#final)
    };
    table.entries.into_iter().map(fields).collect()
}

#[tokio::test]
async fn final_destinations_are_in_both_tables_and_others_in_the_first_only() {
    let mut router = start(config()).await;
    router.route("b", "127.0.0.1:2", true).await;
    router.route("a", "127.0.0.1:1", false).await;
    let a = ("a".to_owned(), "127.0.0.1:1".to_owned(), 1.0, false);
    let b = ("b".to_owned(), "127.0.0.1:2".to_owned(), 1.0, true);
    assert_eq!(entries(&mut router, 0).await, [a, b.clone()]);
    assert_eq!(entries(&mut router, 1).await, [b]);
    assert_eq!(
        entries(&mut router, 2).await,
        [],
        "a table that does not exist is empty"
    );
    assert_eq!(
        router
            .tables
            .get_num_tables(Void {})
            .await
            .unwrap()
            .into_inner()
            .value,
        2
    );
}

#[tokio::test]
async fn a_destination_that_is_no_longer_final_leaves_the_second_table() {
    let mut router = start(config()).await;
    router.route("f", "127.0.0.1:1", true).await;
    router.route("f", "127.0.0.1:1", false).await;
    assert_eq!(entries(&mut router, 0).await.len(), 1);
    assert_eq!(entries(&mut router, 1).await, []);
}

#[tokio::test]
async fn remove_takes_a_destination_from_both_tables() {
    let mut router = start(config()).await;
    router.route("f", "127.0.0.1:1", true).await;
    router.route("f", "127.0.0.1:2", true).await;
    let remove = EdgeRouterConf {
        action: Action::Remove as i32,
        ..change("f", "127.0.0.1:1", 0.0, false)
    };
    assert_eq!(router.configure(remove.clone()).await, "OK");
    assert_eq!(
        router.configure(remove).await,
        "OK",
        "once more does no harm"
    );
    for table in 0..2 {
        let left = entries(&mut router, table).await;
        assert_eq!(
            left,
            [("f".to_owned(), "127.0.0.1:2".to_owned(), 1.0, true)]
        );
    }
}

#[tokio::test]
async fn an_empty_message_flushes() {
    let mut router = start(config()).await;
    router.route("f", "127.0.0.1:1", true).await;
    assert_eq!(router.configure(EdgeRouterConf::default()).await, "OK");
    assert_eq!(entries(&mut router, 0).await, []);
    assert_eq!(entries(&mut router, 1).await, []);
}

#[tokio::test]
async fn what_is_not_acceptable_is_refused_and_leaves_no_trace() {
    let mut router = start(config()).await;
    let cases = [
        (
            change("f", "127.0.0.1:1", 0.0, true),
            "Error: Invalid destination towards '127.0.0.1:1' with weight 0.000000",
        ),
        (
            change("f", "127.0.0.1:1", -1.0, true),
            "Error: Invalid weight '-1.000000', must be > 0",
        ),
        (
            change("f", "127.0.0.1:1", f32::NAN, true),
            "Error: Invalid weight '",
        ),
        (
            change("f", "127.0.0.1:1", f32::INFINITY, true),
            "Error: Invalid weight 'inf'",
        ),
        (
            change("f", "", 1.0, true),
            "Error: Invalid destination towards '' with weight 1.000000",
        ),
        (change("", "127.0.0.1:1", 1.0, true), "Error: "),
        (
            change("f", "nonsense", 1.0, true),
            "Error: invalid end-point 'nonsense': the port is missing",
        ),
        (
            change(&"f".repeat(2000), "127.0.0.1:1", 1.0, true),
            "Error: Invalid lambda: a name of 2000 bytes",
        ),
        (
            EdgeRouterConf {
                action: 7,
                ..change("f", "127.0.0.1:1", 1.0, true)
            },
            "Error: Invalid action 7",
        ),
    ];
    for (operation, expected) in cases {
        let msg = router.configure(operation.clone()).await;
        assert!(msg.starts_with(expected), "{operation:?}: {msg}");
    }
    assert_eq!(entries(&mut router, 0).await, []);
}

#[tokio::test]
async fn a_table_beyond_four_megabytes_is_read_in_pages() {
    let mut many = config();
    many.fake.num_lambdas = 10;
    many.fake.num_destinations = 10_000;
    let mut router = start(many).await;
    let mut seen = Vec::new();
    loop {
        let id = TableId {
            value: 0,
            offset: seen.len() as u64,
            limit: 30_000,
        };
        let page = router.tables.get_table(id).await.unwrap().into_inner();
        assert_eq!(page.total, 100_000);
        if page.entries.is_empty() {
            break;
        }
        seen.extend(page.entries.into_iter().map(|e| (e.lambda, e.destination)));
    }
    assert_eq!(seen.len(), 100_000);
    assert!(seen.is_sorted(), "sorted by lambda, then destination");
    seen.dedup();
    assert_eq!(seen.len(), 100_000, "each once");
}

#[tokio::test]
async fn least_cost_shows_the_announced_weight_until_there_is_a_sample() {
    let computer = Computer::echo();
    let mut router = start(config()).await;
    assert_eq!(
        router
            .configure(change("f", &computer.name(), 42.0, true))
            .await,
        "OK"
    );
    assert_eq!(
        entries(&mut router, 0).await[0].2.to_bits(),
        42.0f32.to_bits()
    );
    router.ask(&request("f")).await;
    let learnt = entries(&mut router, 0).await[0].2;
    assert!(learnt > 0.0 && learnt < 42.0, "seconds: {learnt}");
    let other = entries(&mut router, 1).await[0].2;
    assert_eq!(other.to_bits(), 42.0f32.to_bits(), "no edge node has asked");
    assert_eq!(
        router
            .configure(change("f", &computer.name(), 42.0, true))
            .await,
        "OK"
    );
    let kept = entries(&mut router, 0).await[0].2;
    assert_eq!(
        kept.to_bits(),
        learnt.to_bits(),
        "announced again, nothing is forgotten"
    );
}

#[tokio::test]
async fn a_lambda_can_have_a_policy_of_its_own() {
    let computers = [Computer::echo(), Computer::echo(), Computer::echo()];
    let mut apart = config();
    apart.table = TableConfig::RoundRobin {};
    apart.lambda.entry("kept".into()).or_default().policy =
        Some(TableConfig::ConsistentHash { load_factor: 2.0 });
    let mut router = start(apart).await;
    for computer in &computers {
        router.route("kept", &computer.name(), true).await;
        router.route("spread", &computer.name(), true).await;
    }
    for _ in 0..6 {
        assert_eq!(router.ask(&request("kept")).await.retcode, "OK");
    }
    let served = || {
        computers
            .each_ref()
            .map(|computer| computer.received().len())
    };
    let mut kept = served();
    kept.sort_unstable();
    assert_eq!(kept, [0, 0, 6]);
    let before = served();
    for _ in 0..6 {
        assert_eq!(router.ask(&request("spread")).await.retcode, "OK");
    }
    for (after, before) in served().into_iter().zip(before) {
        assert_eq!(after - before, 2);
    }
}

#[tokio::test]
async fn an_optimizer_turns_latencies_into_weights() {
    let computer = Computer::echo();
    let mut learning = config();
    learning.table = TableConfig::Random {};
    learning.optimizer = OptimizerSection::Async { alpha: 0.5 };
    let mut router = start(learning).await;
    router.route("f", &computer.name(), true).await;
    router.ask(&request("f")).await;
    let learnt = entries(&mut router, 0).await[0].2;
    assert!(learnt > 0.0 && learnt < 1.0, "seconds: {learnt}");
}

#[tokio::test]
async fn dry_and_asynchronous_answers_teach_nothing() {
    let computer = Computer::echo();
    let mut router = start(config()).await;
    router.route("f", &computer.name(), true).await;
    router
        .ask(&edge_proto::rpc::LambdaRequest {
            dry: true,
            ..request("f")
        })
        .await;
    let acknowledgement = edge_proto::rpc::LambdaResponse::acknowledgement();
    computer.conduct(crate::support::Conduct::Say(acknowledgement));
    router.ask(&request("f")).await;
    let weight = entries(&mut router, 0).await[0].2;
    assert_eq!(weight.to_bits(), 1.0f32.to_bits());
}

#[tokio::test]
async fn a_full_table_says_so_and_takes_changes_of_what_it_holds() {
    let mut small = config();
    small.tables.max_entries = 2;
    let mut router = start(small).await;
    router.route("f", "127.0.0.1:1", true).await;
    router.route("g", "127.0.0.1:1", false).await;
    let one_more = change("f", "127.0.0.1:2", 1.0, true);
    let refused = router.configure(one_more.clone()).await;
    assert_eq!(
        refused,
        "Error: Too many entries: the table holds 2, which tables.max-entries allows"
    );
    assert_eq!(entries(&mut router, 0).await.len(), 2);
    assert_eq!(entries(&mut router, 1).await.len(), 1);
    // Nor does what is not acceptable, or removed twice, count.
    router.route("f", "127.0.0.1:1", false).await;
    let removal = EdgeRouterConf {
        action: Action::Remove as i32,
        ..change("g", "127.0.0.1:1", 1.0, false)
    };
    for _ in 0..2 {
        assert_eq!(router.configure(removal.clone()).await, "OK");
    }
    let invalid = change("f", "127.0.0.1:3", -1.0, true);
    assert!(
        router
            .configure(invalid)
            .await
            .starts_with("Error: Invalid")
    );
    assert_eq!(router.configure(one_more.clone()).await, "OK");
    assert_eq!(router.configure(removal).await, "OK");
    let third = change("f", "127.0.0.1:3", 1.0, true);
    assert!(
        router
            .configure(third.clone())
            .await
            .starts_with("Error: Too many")
    );
    let flush = EdgeRouterConf {
        action: Action::Flush as i32,
        ..EdgeRouterConf::default()
    };
    assert_eq!(router.configure(flush).await, "OK");
    for change in [third, one_more] {
        assert_eq!(router.configure(change).await, "OK");
    }
}

#[tokio::test]
async fn a_router_that_is_being_filled_waits_for_lambdas_that_are_yet_to_come() {
    let computer = Computer::echo();
    let filled = |lambda: &str, filling: Filling| EdgeRouterConf {
        filling: filling as i32,
        ..change(lambda, &computer.name(), 1.0, true)
    };
    // It waits for two seconds after its start only, which may be over before a slow machine is done.
    for _ in 0..100 {
        let began = Instant::now();
        let mut config = config_with_admin();
        config.controller.endpoint = Some("127.0.0.1:1".parse().unwrap());
        let mut router = start(config).await;
        assert_eq!(
            router.configure(filled("f", Filling::MoreFollow)).await,
            "OK"
        );
        let early = router.spawn(&request("g"));
        while router.metric(IN_FLIGHT).await < 0.5 && !early.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let known = router.ask(&request("f")).await;
        assert_eq!(router.configure(filled("g", Filling::Complete)).await, "OK");
        let early = early.await.unwrap().response;
        let missing = router.ask(&request("h")).await;
        let in_time = began.elapsed() < Duration::from_millis(1500);
        router.router.kill().await;
        if in_time {
            assert_eq!(known.retcode, "OK");
            assert_eq!(early.retcode, "OK");
            assert_eq!(missing.outcome(), Outcome::NotFound);
            return;
        }
    }
    panic!("this machine is too slow to tell");
}
