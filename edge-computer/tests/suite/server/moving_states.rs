//! Remote states on their way through chains and graphs.

use bytes::Bytes;
use edge_computer::server::Handle;
use edge_proto::rpc::{Dag, IndexList, LambdaRequest, Outcome};

use super::states::{OWN_STATES, chain, dependencies, get, located, put, states_of};
use super::support::{Caller, Router, ask, computer};

/// Computers of `f0`, `f1` and `f2` behind a router, each with a state server.
async fn three() -> (Router, [Handle; 3]) {
    let router = Router::start();
    let companion = &router.served.endpoint;
    let toml = format!("{OWN_STATES}asynchronous = {{companion = '{companion}'}}");
    let computers = [
        computer(&toml).await,
        computer(&toml).await,
        computer(&toml).await,
    ];
    for (function, computer) in ["f0", "f1", "f2"].into_iter().zip(&computers) {
        router.route(function, computer);
    }
    (router, computers)
}

#[tokio::test]
async fn x6_states_follow_a_chain() {
    let (_router, computers) = three().await;
    let elsewhere = computer(OWN_STATES).await;
    let away = states_of(&elsewhere);
    let homes = computers.each_ref().map(states_of);
    let mut caller = Caller::start();
    for name in ["s0", "s1"] {
        put(&away, name, name).await;
    }
    let request = LambdaRequest {
        states: located(&["s0", "s1"], &away),
        dependencies: dependencies(&[("s0", &["f0", "f1"]), ("s1", &["f1"])]),
        ..chain(&["f0", "f1", "f0"], caller.request("f0", "x"))
    };
    assert!(ask(&computers[0], &request).await.asynchronous);
    let answer = caller.next().await;
    assert_eq!(answer.retcode, "OK");
    // One less than through a router in front.
    assert_eq!(answer.hops, 5);
    assert_eq!(answer.states["s0"].location, homes[0].to_string());
    assert_eq!(answer.states["s1"].location, homes[1].to_string());
    for (name, home) in [("s0", 0), ("s1", 1)] {
        for server in homes.iter().chain([&away]) {
            let expected = (*server == homes[home]).then(|| Bytes::from(name));
            assert_eq!(get(server, name).await, expected);
        }
    }
}

#[tokio::test]
async fn v9_branches_of_a_graph_keep_the_states_that_moved_on_either() {
    let (_router, computers) = three().await;
    let elsewhere = computer(OWN_STATES).await;
    let away = states_of(&elsewhere);
    let homes = computers.each_ref().map(states_of);
    let mut caller = Caller::start();
    for name in ["s0", "s1", "s2"] {
        put(&away, name, name).await;
    }
    let mut states = located(&["s0", "s1", "s2"], &away);
    // In the reference the second one never returned.
    for _ in 0..4 {
        let lists = [&[1, 2][..], &[3], &[3]].map(|list| IndexList {
            functions: list.to_vec(),
        });
        let request = LambdaRequest {
            states,
            dag: Some(Dag {
                successors: lists.to_vec(),
                names: ["f0", "f1", "f2", "f0"].map(str::to_owned).to_vec(),
            }),
            dependencies: dependencies(&[("s0", &["f0"]), ("s1", &["f1"]), ("s2", &["f2"])]),
            ..caller.request("f0", "x")
        };
        assert!(ask(&computers[0], &request).await.asynchronous);
        let answer = caller.next().await;
        assert_eq!(answer.retcode, "OK");
        for (name, home) in [("s0", 0), ("s1", 1), ("s2", 2)] {
            assert_eq!(
                answer.states[name].location,
                homes[home].to_string(),
                "{name}"
            );
            assert_eq!(get(&homes[home], name).await.unwrap(), name);
        }
        states = answer.states;
    }
}

#[tokio::test]
async fn a_state_that_is_longer_than_the_computer_takes_stays_where_it_is() {
    let elsewhere = computer("state = {endpoint = '127.0.0.1:0'}").await;
    let away = states_of(&elsewhere);
    let bounded = computer(OWN_STATES).await;
    // Beyond the bound of a content, and beyond that of the message around it.
    for bytes in [1_001, 200_000] {
        put(&away, "s0", &"x".repeat(bytes)).await;
        let request = LambdaRequest {
            states: located(&["s0"], &away),
            dependencies: dependencies(&[("s0", &["f0"])]),
            ..chain(&["f0"], LambdaRequest::new("f0", "x"))
        };
        let answer = ask(&bounded, &request).await;
        assert_eq!(answer.outcome(), Outcome::ApplicationError);
        let text = format!(
            "state 's0' at {away} is longer than the 1000 bytes that this computer takes \
             (state.max-state-bytes)"
        );
        assert_eq!(answer.retcode, text);
        assert_eq!(get(&away, "s0").await.unwrap().len(), bytes);
    }
}
