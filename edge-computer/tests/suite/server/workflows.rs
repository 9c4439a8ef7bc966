//! Chains and graphs, passed on hop by hop through a companion.

use std::collections::{BTreeMap, BTreeSet};

use edge_computer::server::Handle;
use edge_proto::rpc::callback_server_server::{CallbackServer, CallbackServerServer};
use edge_proto::rpc::{Dag, FunctionList, IndexList, LambdaRequest, LambdaResponse, Outcome, Void};
use tokio::sync::{Barrier, mpsc};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::support::{Caller, Router, Served, ask, computer, eventually, shows, two_states};

/// Two computers behind one router: the first one serves `f0`, the second one `f1`.
struct Pair {
    router: Router,
    first: Handle,
    second: Handle,
}

impl Pair {
    async fn start() -> Self {
        let router = Router::start();
        let toml = format!(
            "asynchronous = {{companion = '{}'}}",
            router.served.endpoint
        );
        let (first, second) = (computer(&toml).await, computer(&toml).await);
        router.route("f0", &first);
        router.route("f1", &second);
        Self {
            router,
            first,
            second,
        }
    }

    async fn ask(&self, request: &LambdaRequest) -> edge_proto::rpc::LambdaResponse {
        let client = super::support::client();
        let endpoint = &self.router.served.endpoint;
        super::support::try_ask(&client, endpoint, request)
            .await
            .unwrap()
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn dependencies(states: &[(&str, &[&str])]) -> BTreeMap<String, FunctionList> {
    let states = states.iter().map(|(state, functions)| {
        let functions = names(functions);
        (state.to_string(), FunctionList { functions })
    });
    states.collect()
}

fn graph(successors: &[&[u64]], functions: &[&str]) -> Option<Dag> {
    let lists = successors.iter().map(|list| IndexList {
        functions: list.to_vec(),
    });
    Some(Dag {
        successors: lists.collect(),
        names: names(functions),
    })
}

#[tokio::test]
async fn x1_x2_chains_pass_through_all_their_functions() {
    let pair = Pair::start().await;
    let mut caller = Caller::start();
    for (functions, hops) in [
        (&["f0", "f1", "f0"][..], 6),
        (&["f1", "f1", "f0", "f1", "f1"], 10),
    ] {
        for _ in 0..10 {
            let request = LambdaRequest {
                chain: names(functions),
                states: two_states(),
                dependencies: dependencies(&[("s0", &["f0", "f1"]), ("s1", &["f1"])]),
                ..caller.request(functions[0], "AAAAAAAAAA")
            };
            let answer = pair.ask(&request).await;
            assert!(answer.is_ok() && answer.asynchronous, "{}", answer.retcode);
        }
        for _ in 0..10 {
            let answer = caller.next().await;
            assert_eq!(answer.retcode, "OK");
            assert!(!answer.asynchronous && answer.dataout.is_empty());
            assert_eq!((answer.hops, answer.output.as_str()), (hops, "AAAAAAAAAA"));
            assert_eq!(answer.states, two_states());
        }
    }
}

#[tokio::test]
async fn x3_a_chain_that_cannot_go_on_is_called_back_with_the_reason() {
    let pair = Pair::start().await;
    let mut caller = Caller::start();
    let request = LambdaRequest {
        chain: names(&["f0", "f1", "fX"]),
        ..caller.request("f0", "x")
    };
    assert!(pair.ask(&request).await.asynchronous);
    let failure = caller.next().await;
    assert_eq!(failure.uuid, request.uuid);
    assert!(failure.retcode.contains("fX"), "{}", failure.retcode);
    assert!(failure.retcode.contains("No destinations found"));
    assert_eq!(failure.responder, pair.second.endpoint().as_str());
    let request = LambdaRequest {
        chain: names(&["f0", "f1"]),
        ..caller.request("f0", "x")
    };
    assert!(pair.ask(&request).await.asynchronous);
    assert_eq!(caller.next().await.retcode, "OK");
}

#[tokio::test]
async fn x7_branches_of_a_graph_meet_again() {
    let pair = Pair::start().await;
    let mut caller = Caller::start();
    for _ in 0..20 {
        let request = LambdaRequest {
            dag: graph(&[&[1, 2], &[3], &[3]], &["f0", "f1", "f0", "f1"]),
            ..caller.request("f0", "AAAAAAAAAA")
        };
        let answer = pair.ask(&request).await;
        assert!(answer.is_ok() && answer.asynchronous, "{}", answer.retcode);
    }
    let mut answered = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let answer = caller.next().await;
        assert_eq!((answer.retcode.as_str(), answer.hops), ("OK", 6));
        assert_eq!(answer.output, "AAAAAAAAAA");
        assert!(answered.insert(answer.uuid), "one callback per request");
    }
}

#[tokio::test]
async fn v10_without_a_companion_a_chain_is_turned_down() {
    let computer = computer("asynchronous = {enabled = true}").await;
    let mut caller = Caller::start();
    let chain = LambdaRequest {
        chain: names(&["f0", "f1"]),
        ..caller.request("f0", "x")
    };
    let answer = ask(&computer, &chain).await;
    assert_eq!(answer.outcome(), Outcome::ApplicationError);
    assert!(answer.retcode.contains("companion"), "{}", answer.retcode);
    // Its last function needs none.
    let last = LambdaRequest {
        next_function_index: 1,
        ..chain
    };
    assert!(ask(&computer, &last).await.asynchronous);
    assert!(caller.next().await.is_ok());
}

#[tokio::test]
async fn v11_a_graph_of_one_function_is_called_back() {
    let computer = computer("asynchronous = {enabled = true}").await;
    let mut caller = Caller::start();
    let request = LambdaRequest {
        dag: graph(&[], &["f0"]),
        ..caller.request("f0", "x")
    };
    assert!(ask(&computer, &request).await.asynchronous);
    assert_eq!(caller.next().await.output, "x");
}

#[tokio::test]
async fn v12_a_graph_with_a_cycle_is_an_error() {
    let pair = Pair::start().await;
    let caller = Caller::start();
    let request = LambdaRequest {
        dag: graph(&[&[1], &[2], &[1, 3]], &["f0", "f1", "f0", "f1"]),
        ..caller.request("f0", "x")
    };
    let answer = ask(&pair.first, &request).await;
    assert_eq!(answer.outcome(), Outcome::ApplicationError);
    assert!(answer.retcode.contains("cycle"), "{}", answer.retcode);
}

#[tokio::test]
async fn branches_that_wait_in_vain_are_called_back() {
    let computer =
        computer("asynchronous = {companion = '127.0.0.1:1', join-deadline = '10ms'}").await;
    let mut caller = Caller::start();
    let request = LambdaRequest {
        dag: graph(&[&[1, 2], &[3], &[3]], &["f0", "f1", "f0", "f1"]),
        next_function_index: 3,
        previous_function: 2,
        ..caller.request("f1", "x")
    };
    assert!(ask(&computer, &request).await.asynchronous);
    let failure = caller.next().await;
    assert_eq!(
        (failure.outcome(), failure.uuid),
        (Outcome::Deadline, request.uuid)
    );
    assert!(failure.retcode.contains("branches"), "{}", failure.retcode);
}

/// `f0`, then `f1` and `other`, then `f1`: of the pair, and of a caller that is called back.
fn forked(caller: &Caller, other: &str) -> LambdaRequest {
    LambdaRequest {
        dag: graph(&[&[1, 2], &[3], &[3]], &["f0", "f1", other, "f1"]),
        ..caller.request("f0", "x")
    }
}

/// The callbacks of `caller` until a graph that begins at the first computer of the `pair`, and goes
/// on at the second one alone, has come to its end.
async fn all_callbacks(pair: &Pair, caller: &mut Caller) -> Vec<LambdaResponse> {
    for computer in [&pair.first, &pair.second] {
        eventually("an end", || shows(computer, "edge_computer_accepted 0")).await;
    }
    caller.callbacks_so_far()
}

#[tokio::test]
async fn a_graph_of_which_one_branch_cannot_be_called_is_answered_once() {
    let pair = Pair::start().await;
    let mut caller = Caller::start();
    let request = forked(&caller, "fX");
    assert!(pair.ask(&request).await.asynchronous);
    let callbacks = all_callbacks(&pair, &mut caller).await;
    assert_eq!(callbacks.len(), 1, "{callbacks:?}");
    assert!(callbacks[0].retcode.contains("fX"), "{callbacks:?}");
}

#[tokio::test]
async fn a_graph_of_which_several_branches_fail_is_answered_once() {
    let pair = Pair::start().await;
    let mut caller = Caller::start();
    // There is not enough memory for any input of theirs.
    pair.router.route("large", &pair.first);
    let request = LambdaRequest {
        dag: graph(
            &[&[1, 2], &[3, 4], &[4], &[4]],
            &["f0", "f1", "large", "large", "f1"],
        ),
        ..caller.request("f0", "x")
    };
    assert!(pair.ask(&request).await.asynchronous);
    let callbacks = all_callbacks(&pair, &mut caller).await;
    assert_eq!(callbacks.len(), 1, "{callbacks:?}");
    assert!(!callbacks[0].is_ok());
    let refused = r#"edge_computer_requests_total{outcome="application_error"} 2"#;
    assert!(shows(&pair.first, refused).await, "both branches fail");
}

#[tokio::test]
async fn branches_that_fail_at_one_computer_are_answered_once_though_nobody_can_be_asked() {
    let computer = computer("asynchronous = {companion = '127.0.0.1:1'}").await;
    let mut caller = Caller::start();
    let graph = forked(&caller, "f2");
    let branch = |name: &str, next_function_index| LambdaRequest {
        name: name.to_owned(),
        next_function_index,
        previous_function: 1,
        ..graph.clone()
    };
    assert!(ask(&computer, &branch("f1", 1)).await.asynchronous);
    assert!(caller.next().await.retcode.contains("cannot be called"));
    assert!(ask(&computer, &branch("f2", 2)).await.asynchronous);
    assert!(computer.shutdown(super::support::PATIENCE).await);
    assert_eq!(caller.callbacks_so_far(), []);
}

/// Takes a callback once another one has come beside it.
struct InPairs(Barrier, mpsc::Sender<LambdaResponse>);

#[tonic::async_trait]
impl CallbackServer for InPairs {
    async fn receive_response(
        &self,
        response: Request<LambdaResponse>,
    ) -> Result<Response<Void>, Status> {
        self.0.wait().await;
        self.1.try_send(response.into_inner()).unwrap();
        Ok(Response::new(Void {}))
    }
}

#[tokio::test]
async fn branches_that_wait_in_vain_do_not_wait_for_the_callbacks_of_others() {
    let computer = computer("asynchronous = {companion = '127.0.0.1:1'}").await;
    let (sender, mut callbacks) = mpsc::channel(2);
    let server = CallbackServerServer::new(InPairs(Barrier::new(2), sender));
    let served = Served::start(Routes::new(server));
    for uuid in ["one", "other"] {
        let request = LambdaRequest {
            callback: served.endpoint.to_string(),
            uuid: uuid.to_owned(),
            dag: graph(&[&[1, 2], &[3], &[3]], &["f0", "f1", "f0", "f1"]),
            next_function_index: 3,
            ..LambdaRequest::new("f1", "x")
        };
        assert!(ask(&computer, &request).await.asynchronous);
    }
    assert!(computer.shutdown(super::support::PATIENCE).await);
    let uuids = [(); 2].map(|()| callbacks.try_recv().unwrap().uuid);
    assert_eq!(BTreeSet::from(uuids).len(), 2);
}

#[tokio::test]
async fn a_drain_gives_up_branches_that_nobody_will_join() {
    let computer = computer("asynchronous = {companion = '127.0.0.1:1'}").await;
    let mut caller = Caller::start();
    let request = LambdaRequest {
        dag: graph(&[&[1, 2], &[3], &[3]], &["f0", "f1", "f0", "f1"]),
        next_function_index: 3,
        ..caller.request("f1", "x")
    };
    assert!(ask(&computer, &request).await.asynchronous);
    assert!(computer.shutdown(super::support::PATIENCE).await);
    assert_eq!(caller.next().await.outcome(), Outcome::Unavailable);
}
