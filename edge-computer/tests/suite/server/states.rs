//! The state server, and remote states that move to those who need them.

use std::collections::BTreeMap;

use bytes::Bytes;
use edge_computer::server::Handle;
use edge_proto::rpc::state_server_client::StateServerClient;
use edge_proto::rpc::{FunctionList, LambdaRequest, Outcome, State};
use edge_transport::control::Channel;
use edge_transport::{Endpoint, control};

use super::support::{Caller, PATIENCE, ask, computer, two_states};

pub(crate) const OWN_STATES: &str = "state = {endpoint = '127.0.0.1:0', max-state-bytes = 1000}\n";

pub(crate) fn states_of(computer: &Handle) -> Endpoint {
    computer.state_address().unwrap().into()
}

pub(crate) fn client(server: &Endpoint) -> StateServerClient<Channel> {
    StateServerClient::new(control::channel(server, None, PATIENCE))
}

pub(crate) fn named(name: &str) -> State {
    State {
        name: name.to_owned(),
        ..State::default()
    }
}

pub(crate) async fn put(server: &Endpoint, name: &str, content: &str) -> String {
    let state = State {
        content: Bytes::from(content.to_owned()),
        ..named(name)
    };
    client(server)
        .put(state)
        .await
        .unwrap()
        .into_inner()
        .retcode
}

/// The content of a state; `None` if there is none.
pub(crate) async fn get(server: &Endpoint, name: &str) -> Option<Bytes> {
    let answer = client(server).get(named(name)).await.unwrap().into_inner();
    assert_eq!(answer.retcode == "OK", answer.state.is_some(), "{answer:?}");
    answer.state.map(|state| {
        assert!(state.name.is_empty() && state.location.is_empty());
        state.content
    })
}

pub(crate) async fn del(server: &Endpoint, name: &str) -> bool {
    let answer = client(server).del(named(name)).await.unwrap();
    answer.into_inner().retcode == "OK"
}

/// States as a caller refers to them, all of which are at `server`.
pub(crate) fn located(names: &[&str], server: &Endpoint) -> BTreeMap<String, State> {
    let states = names.iter().map(|name| {
        let state = State {
            location: server.to_string(),
            ..named(name)
        };
        (name.to_string(), state)
    });
    states.collect()
}

pub(crate) fn dependencies(states: &[(&str, &[&str])]) -> BTreeMap<String, FunctionList> {
    let list = |functions: &[&str]| FunctionList {
        functions: functions.iter().map(ToString::to_string).collect(),
    };
    let states = states.iter();
    states
        .map(|(state, functions)| (state.to_string(), list(functions)))
        .collect()
}

pub(crate) fn chain(functions: &[&str], request: LambdaRequest) -> LambdaRequest {
    LambdaRequest {
        chain: functions.iter().map(ToString::to_string).collect(),
        ..request
    }
}

#[tokio::test]
async fn s1_states_over_the_wire() {
    let computer = computer(OWN_STATES).await;
    let server = states_of(&computer);
    for name in ["s0", "s1", "s2", "s3", "s4"] {
        assert_eq!(put(&server, name, name).await, "OK");
    }
    assert_eq!(get(&server, "s3").await.unwrap(), "s3");
    assert_eq!(put(&server, "s0", "new").await, "OK");
    assert_eq!(get(&server, "s0").await.unwrap(), "new");
    for name in ["", "sX"] {
        assert_eq!(get(&server, name).await, None);
        assert!(!del(&server, name).await);
    }
    assert!(del(&server, "s0").await);
    assert_eq!(get(&server, "s0").await, None);
    assert!(!del(&server, "s0").await);
    assert_eq!(put(&server, "s0", "again").await, "OK");
    let refused = put(&server, "large", &"A".repeat(1000)).await;
    assert!(refused.contains("the limit is 1000"), "{refused}");
}

#[tokio::test]
async fn x4_x5_states_move_to_the_function_that_needs_them() {
    let asynchronous = "asynchronous = {enabled = true}\n";
    let computer = computer(&format!("{OWN_STATES}{asynchronous}")).await;
    let home = states_of(&computer);
    let elsewhere = super::support::computer(OWN_STATES).await;
    let away = states_of(&elsewhere);
    let mut caller = Caller::start();
    for callback in [false, true] {
        for name in ["s0", "s1", "sX"] {
            put(&away, name, name).await;
        }
        let mut states = located(&["s0", "s1", "sX"], &away);
        for _ in 0..5 {
            let template = if callback {
                caller.request("f0", "x")
            } else {
                LambdaRequest::new("f0", "x")
            };
            let request = LambdaRequest {
                states,
                dependencies: dependencies(&[("s0", &["f0"]), ("s1", &["f0"]), ("sX", &[])]),
                ..chain(&["f0"], template)
            };
            let mut answer = ask(&computer, &request).await;
            if callback {
                assert!(answer.asynchronous);
                answer = caller.next().await;
            }
            assert_eq!(answer.retcode, "OK");
            assert_eq!(answer.states["s0"].location, home.to_string());
            assert_eq!(answer.states["s1"].location, home.to_string());
            assert_eq!(answer.states["sX"].location, away.to_string());
            states = answer.states;
        }
        for name in ["s0", "s1"] {
            assert_eq!(get(&home, name).await.unwrap(), name);
            assert_eq!(get(&away, name).await, None);
        }
        assert_eq!(get(&away, "sX").await.unwrap(), "sX");
    }
}

#[tokio::test]
async fn states_outside_of_chains_and_embedded_ones_stay_as_they_are() {
    let computer = computer(OWN_STATES).await;
    let mut states = located(&["remote"], &"127.0.0.1:1".parse().unwrap());
    states.extend(two_states());
    let request = LambdaRequest {
        states: states.clone(),
        dependencies: dependencies(&[("remote", &["f0"]), ("s0", &["f0"])]),
        ..LambdaRequest::new("f0", "x")
    };
    let answer = ask(&computer, &request).await;
    assert_eq!((answer.retcode.as_str(), answer.states), ("OK", states));
}

#[tokio::test]
async fn without_a_state_server_only_a_state_that_is_needed_is_an_error() {
    let computer = computer("").await;
    let needed = dependencies(&[("s", &["f0"])]);
    let free = dependencies(&[("s", &[])]);
    for (dependencies, outcome) in [(free, Outcome::Ok), (needed, Outcome::ApplicationError)] {
        let request = LambdaRequest {
            states: located(&["s"], &"127.0.0.1:1".parse().unwrap()),
            dependencies,
            ..chain(&["f0"], LambdaRequest::new("f0", "x"))
        };
        assert_eq!(ask(&computer, &request).await.outcome(), outcome);
    }
}

#[tokio::test]
async fn a_state_that_is_not_there_is_an_error_that_names_it() {
    let computer = computer(OWN_STATES).await;
    let elsewhere = super::support::computer(OWN_STATES).await;
    let request = LambdaRequest {
        states: located(&["s0"], &states_of(&elsewhere)),
        dependencies: dependencies(&[("s0", &["f0"])]),
        ..chain(&["f0"], LambdaRequest::new("f0", "x"))
    };
    let answer = ask(&computer, &request).await;
    assert_eq!(answer.outcome(), Outcome::ApplicationError);
    assert!(
        answer.retcode.contains("could not find state 's0'"),
        "{}",
        answer.retcode
    );
}

#[tokio::test]
async fn a_state_server_of_somebody_else_can_be_home() {
    let shared = computer(OWN_STATES).await;
    let home = states_of(&shared);
    let toml = format!("state = {{endpoint = '{home}', serve = false}}");
    let using = computer(&toml).await;
    assert_eq!(using.state_address(), None);
    let elsewhere = computer(OWN_STATES).await;
    put(&states_of(&elsewhere), "s0", "content").await;
    let request = LambdaRequest {
        states: located(&["s0"], &states_of(&elsewhere)),
        dependencies: dependencies(&[("s0", &["f0"])]),
        ..chain(&["f0"], LambdaRequest::new("f0", "x"))
    };
    let answer = ask(&using, &request).await;
    assert_eq!(answer.states["s0"].location, home.to_string());
    assert_eq!(get(&home, "s0").await.unwrap(), "content");
}
