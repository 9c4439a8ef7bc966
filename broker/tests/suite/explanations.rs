//! Why a request went where it went: what the admin endpoint tells of sampled decisions.

use std::time::Duration;

use crate::support::{
    Computer, Conduct, Running, ask_until, config_with_admin, report, request, start,
};
use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use serde_json::Value;

const SERVICE: Duration = Duration::from_millis(1);

/// A router that keeps the decisions about this share of all requests, the latest `keep`.
async fn router(sample: f64, keep: usize, computers: &[&Computer]) -> Running {
    let mut config = config_with_admin();
    config.explain.sample = sample;
    config.explain.keep = keep;
    let mut running = start(config).await;
    for computer in computers {
        running.route("f", &computer.name(), true).await;
    }
    running
}

fn with_uuid(uuid: &str) -> LambdaRequest {
    LambdaRequest {
        uuid: uuid.to_owned(),
        ..request("f")
    }
}

async fn ask_explained(running: &Running, request: &LambdaRequest) -> LambdaResponse {
    let mut metadata = edge_transport::Metadata::new();
    let name = http::HeaderName::from_static("edge-explain");
    metadata.insert(&name, &"1".parse().unwrap());
    running.try_ask_with(request, metadata).await.unwrap()
}

async fn decisions(running: &Running, path: &str) -> Vec<Value> {
    serde_json::from_str(&running.page(path).await).unwrap()
}

#[tokio::test]
async fn a_request_with_the_metadata_is_explained_and_no_other() {
    let worker = || Computer::start(Conduct::Work(SERVICE, report(SERVICE, 0, 2)));
    let (one, other) = (worker(), worker());
    let router = router(0.0, 10, &[&one, &other]).await;
    ask_until(&router, &with_uuid("silent"), "both are known", || {
        one.count() > 0 && other.count() > 0
    })
    .await;
    assert!(decisions(&router, "/explain").await.is_empty());

    let answer = ask_explained(&router, &with_uuid("u-1")).await;
    let kept = decisions(&router, "/explain").await;
    assert_eq!(decisions(&router, "/explain/u-1").await, kept);
    assert!(decisions(&router, "/explain/silent").await.is_empty());
    let [decision] = &kept[..] else {
        panic!("one decision: {kept:?}");
    };
    assert_eq!(decision["uuid"], "u-1");
    assert_eq!(decision["lambda"], "f");
    assert_eq!(decision["policy"], "predicted-completion");
    assert_eq!(decision["attempt"], 1);
    assert_eq!(decision["chosen"], answer.responder);
    assert_eq!(decision["outcome"], "ok");
    assert!(decision["latency_us"].as_u64().unwrap() > 0);
    assert!(decision["predicted_us"].as_u64().unwrap() > 0);
    let candidates = decision["candidates"].as_array().unwrap();
    let mut names: Vec<_> = candidates.iter().map(|c| &c["destination"]).collect();
    names.sort_by_key(ToString::to_string);
    let mut expected = [one.name(), other.name()];
    expected.sort();
    assert_eq!(names, expected.iter().collect::<Vec<_>>());
    let costs: Vec<_> = candidates
        .iter()
        .map(|c| c["cost"].as_f64().unwrap())
        .collect();
    assert!(costs[0] <= costs[1], "the cheapest first: {costs:?}");
    if decision["reason"] == "best" {
        assert_eq!(candidates[0]["destination"], answer.responder);
    } else {
        // One in 1024 requests looks around.
        assert_eq!(decision["reason"], "exploration");
    }
    for candidate in candidates {
        assert_eq!(candidate["standing"], "healthy");
        assert_eq!(candidate["terms"]["workers"], 2.0);
    }
}

#[tokio::test]
async fn every_attempt_of_a_request_is_explained_with_its_outcome() {
    let (full, free) = (Computer::echo(), Computer::echo());
    full.conduct(Conduct::Say(LambdaResponse::error(
        Outcome::Overloaded,
        "full",
    )));
    let router = router(1.0, 1000, &[&full, &free]).await;
    let mut uuid = String::new();
    for number in 0.. {
        assert!(number < 100_000, "one of them is never used");
        uuid = format!("request-{number}");
        router.ask(&with_uuid(&uuid)).await;
        if full.count() > 0 {
            break;
        }
    }
    // The latest first.
    let kept = decisions(&router, &format!("/explain/{uuid}")).await;
    let told: Vec<_> = kept
        .iter()
        .map(|d| {
            let word = |key: &str| d[key].as_str().unwrap().to_owned();
            (
                d["attempt"].as_u64().unwrap(),
                word("chosen"),
                word("outcome"),
            )
        })
        .collect();
    let expected = [
        (2, free.name(), "ok".to_owned()),
        (1, full.name(), "overloaded".to_owned()),
    ];
    assert_eq!(told, expected);
    assert_eq!(
        kept[0]["candidates_total"], 1,
        "the one that failed is no candidate"
    );
}

#[tokio::test]
async fn no_more_decisions_are_kept_than_wanted_and_those_the_latest() {
    let computer = Computer::echo();
    let router = router(1.0, 3, &[&computer]).await;
    for number in 0..10 {
        router.ask(&with_uuid(&number.to_string())).await;
    }
    let kept = decisions(&router, "/explain").await;
    let uuids: Vec<_> = kept.iter().map(|d| d["uuid"].as_str().unwrap()).collect();
    assert_eq!(uuids, ["9", "8", "7"]);
}

#[tokio::test]
async fn of_a_long_uuid_the_beginning_is_kept() {
    let computer = Computer::echo();
    let router = router(0.0, 10, &[&computer]).await;
    let uuid = "u".repeat(1_000_000);
    assert!(ask_explained(&router, &with_uuid(&uuid)).await.is_ok());
    let kept = decisions(&router, "/explain").await;
    assert_eq!(kept[0]["uuid"], uuid[..256]);
    for asked in [&uuid[..256], &uuid[..1000]] {
        assert_eq!(decisions(&router, &format!("/explain/{asked}")).await, kept);
    }
}

#[tokio::test]
async fn a_router_that_keeps_none_keeps_none_even_if_asked_to() {
    let computer = Computer::echo();
    let router = router(1.0, 0, &[&computer]).await;
    assert!(ask_explained(&router, &with_uuid("u-1")).await.is_ok());
    assert!(decisions(&router, "/explain").await.is_empty());
}

#[tokio::test]
async fn a_refusal_by_the_broker_itself_is_explained_too() {
    let busy = Computer::start(Conduct::Work(SERVICE, report(SERVICE, 40, 4)));
    let router = router(0.0, 10, &[&busy]).await;
    let from_a_broker = LambdaRequest {
        forward: true,
        ..with_uuid("u-1")
    };
    ask_until(&router, &from_a_broker, "it is known", || busy.count() > 0).await;
    let impatient = LambdaRequest {
        max_wait_us: 1,
        ..from_a_broker
    };
    let answer = ask_explained(&router, &impatient).await;
    assert_eq!(answer.outcome(), Outcome::Refused);
    let kept = decisions(&router, "/explain/u-1").await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(
        (&kept[0]["chosen"], &kept[0]["outcome"]),
        (&busy.name().into(), &"refused".into())
    );
    assert_eq!(kept[0]["latency_us"], 0);
    assert!(kept[0]["predicted_us"].as_u64().unwrap() > 1);
}
