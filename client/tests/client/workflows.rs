//! Chains and graphs: what leaves the client, and what it makes of the answers.

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use edge_client::callback::CallbackReceiver;
use edge_client::config::WorkflowConfig;
use edge_client::load::{self, Progress};
use edge_client::workflow::{Plan, RemoteStates, Session};
use edge_client::{Caller, Config, ErrorKind};
use edge_daemon::lifecycle::Shutdown;
use edge_proto::rpc::callback_server_client::CallbackServerClient;
use edge_proto::rpc::state_server_client::StateServerClient;
use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome, State};
use edge_proto::workflow::{Chain, Dag, Dependencies, Workflow};
use edge_transport::{Endpoint, control};

use crate::support::{Computer, PATIENCE, config, transport};

/// A computer whose functions add their names to input and states.
fn adding() -> Computer {
    Computer::start(|request| async move { add(&request) })
}

fn add(request: &LambdaRequest) -> LambdaResponse {
    if request.name == "fX" {
        return LambdaResponse::error(Outcome::NotFound, "No destinations found for fX");
    }
    let mut states = request.states.clone();
    for state in states
        .values_mut()
        .filter(|state| state.location.is_empty())
    {
        state.content = [&state.content[..], request.name.as_bytes()]
            .concat()
            .into();
    }
    LambdaResponse {
        retcode: edge_proto::OK.to_owned(),
        output: format!("{}+{}", request.input, request.name),
        dataout: request.name.clone().into(),
        responder: "computer:1".to_owned(),
        hops: request.hops + 2,
        ptime: 5,
        load1: 42,
        states,
        ..LambdaResponse::default()
    }
}

fn caller(computer: &Computer, callbacks: Option<Arc<CallbackReceiver>>) -> Caller {
    Caller::new(transport(), &[computer.endpoint()], 0.0, 0, callbacks).unwrap()
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn dependencies(states: &[(&str, &[&str])]) -> Dependencies {
    let states = states.iter();
    Dependencies::new(
        states
            .map(|(state, functions)| (state.to_string(), strings(functions)))
            .collect(),
    )
}

fn chain(functions: &[&str], states: &[(&str, &[&str])]) -> Arc<Plan> {
    let chain = Chain::new(strings(functions), dependencies(states)).unwrap();
    let sizes = states.iter().map(|(state, _)| (state.to_string(), 1));
    Arc::new(Plan::chain(chain, sizes.collect()).unwrap())
}

fn contents(states: &BTreeMap<String, State>) -> Vec<(&str, &str)> {
    let states = states.iter();
    states
        .map(|(name, state)| (name.as_str(), std::str::from_utf8(&state.content).unwrap()))
        .collect()
}

const STATES: &[(&str, &[&str])] = &[("s0", &["f0"]), ("s1", &["f0", "f1"]), ("free", &[])];

#[tokio::test]
async fn a_chain_is_walked_with_outputs_and_states_passed_on() {
    let computer = adding();
    let session = Session::new(chain(&["f0", "f1", "f0"], STATES));
    let caller = caller(&computer, None);
    let request = LambdaRequest::new("", "x");
    let uuid = request.uuid.clone();
    let answer = session
        .call(&caller, request, PATIENCE)
        .await
        .unwrap()
        .response;
    assert_eq!(answer.output, "x+f0+f1+f0");
    assert_eq!((answer.hops, answer.ptime, answer.load1), (6, 15, 0));
    assert_eq!((answer.responder.as_str(), answer.uuid), ("", uuid));
    assert_eq!(
        contents(&answer.states),
        [("s0", "Af0f0"), ("s1", "Af0f1f0")]
    );

    let seen = computer.seen();
    let inputs: Vec<_> = seen
        .iter()
        .map(|r| (r.name.as_str(), r.input.as_str()))
        .collect();
    assert_eq!(inputs, [("f0", "x"), ("f1", "x+f0"), ("f0", "x+f0+f1")]);
    assert_eq!(seen[1].datain, "f0");
    // Each is a chain of its own, with the states that it needs.
    assert_eq!(contents(&seen[1].states), [("s1", "Af0")]);
    assert_eq!(
        (seen[1].chain.as_slice(), seen[1].hops),
        (&["f1".to_owned()][..], 0)
    );
    let workflow = Workflow::of(&seen[1]).unwrap();
    let needed: Vec<_> = workflow.states_of("f1").into_iter().collect();
    assert_eq!(needed, ["s1"]);
    assert!(seen.iter().all(|request| request.callback.is_empty()));

    // The next time begins with the states as they are by now.
    session
        .call(&caller, LambdaRequest::new("", "y"), PATIENCE)
        .await
        .unwrap();
    let fourth = &computer.seen()[3];
    assert_eq!(
        contents(&fourth.states),
        [("s0", "Af0f0"), ("s1", "Af0f1f0")]
    );
    assert_eq!(session.states()["free"].content, "A");
}

#[tokio::test]
async fn one_function_keeps_what_its_answer_says() {
    let computer = adding();
    let session = Session::new(chain(&["f0"], &[]));
    let request = LambdaRequest::new("", "x");
    let answer = session
        .call(&caller(&computer, None), request, PATIENCE)
        .await
        .unwrap();
    assert_eq!(
        (answer.response.responder.as_str(), answer.response.load1),
        ("computer:1", 42)
    );
}

#[tokio::test]
async fn a_walk_ends_with_the_first_failure_and_says_which_function_it_was() {
    let computer = adding();
    let session = Session::new(chain(&["f0", "fX", "f0"], &[]));
    let request = LambdaRequest::new("", "x");
    let error = session
        .call(&caller(&computer, None), request, PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "function 1 (fX): No destinations found for fX"
    );
    assert_eq!(error.kind(), ErrorKind::Retcode(Outcome::NotFound));
    assert_eq!(computer.seen().len(), 2);
}

#[tokio::test]
async fn a_walk_has_one_deadline_for_all_functions() {
    let computer = Computer::start(|request| async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        add(&request)
    });
    let session = Session::new(chain(&["f0"; 10], &[]));
    // Long enough for each, too short for all.
    let (request, timeout) = (LambdaRequest::new("", "x"), Duration::from_millis(300));
    let call = session
        .call(&caller(&computer, None), request, timeout)
        .await;
    assert_eq!(call.unwrap_err().kind(), ErrorKind::Deadline);
}

#[tokio::test]
async fn a_graph_is_walked_in_parallel_and_branches_meet() {
    // Neither branch is answered before both are there.
    let arrived = Arc::new(AtomicUsize::new(0));
    let computer = Computer::start(move |request| {
        let arrived = arrived.clone();
        async move {
            if ["f1", "f2"].contains(&request.name.as_str()) {
                arrived.fetch_add(1, Ordering::SeqCst);
                while arrived.load(Ordering::SeqCst) < 2 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            add(&request)
        }
    });
    let successors = vec![vec![1, 2], vec![3], vec![3]];
    let names = strings(&["f0", "f1", "f2", "f3"]);
    let states = dependencies(&[("s1", &["f1", "f3"]), ("s2", &["f2", "f3"])]);
    let dag = Dag::new(successors, names, states).unwrap();
    let sizes = ["s1", "s2"].map(|state| (state.to_owned(), 1));
    let session = Session::new(Arc::new(Plan::dag(dag, sizes.into()).unwrap()));
    let request = LambdaRequest::new("", "x");
    let answer = session
        .call(&caller(&computer, None), request, PATIENCE)
        .await
        .unwrap();
    assert_eq!(answer.response.output, "x+f0+f2+f3");
    assert_eq!((answer.response.hops, answer.response.ptime), (8, 20));
    assert_eq!(
        contents(&answer.response.states),
        [("s1", "Af1f3"), ("s2", "Af2f3")]
    );
}

#[tokio::test]
async fn dry_plans_are_walked_and_their_estimates_summed() {
    let computer = Computer::start(|request| async move {
        let LambdaResponse { retcode, hops, .. } = add(&request);
        let ptime = u32::try_from(request.input.len()).unwrap();
        LambdaResponse {
            retcode,
            hops,
            ptime,
            ..LambdaResponse::default()
        }
    });
    let callbacks = CallbackReceiver::start(&Endpoint::new("127.0.0.1", 0)).unwrap();
    let session = Session::new(chain(&["f0", "f1", "f0"], &[]));
    let caller = caller(&computer, Some(Arc::new(callbacks)));
    let dry = LambdaRequest {
        dry: true,
        ..LambdaRequest::new("", "12345")
    };
    let answer = session.call(&caller, dry, PATIENCE).await.unwrap();
    assert_eq!((answer.response.ptime, answer.response.hops), (15, 6));
    assert!(computer.seen().iter().all(|request| request.dry));
}

#[tokio::test]
async fn states_that_are_not_ours_are_ignored() {
    let computer = Computer::start(|request| async move {
        let alien = BTreeMap::from([("alien".to_owned(), State::default())]);
        LambdaResponse {
            states: alien,
            ..add(&request)
        }
    });
    let session = Session::new(chain(&["f0", "f1"], STATES));
    let request = LambdaRequest::new("", "x");
    session
        .call(&caller(&computer, None), request, PATIENCE)
        .await
        .unwrap();
    let names: Vec<_> = session.states().into_keys().collect();
    assert_eq!(names, ["free", "s0", "s1"]);
}

/// Calls back with the answer to the whole request.
fn calling_back() -> Computer {
    Computer::start(|request| async move {
        let endpoint: Endpoint = request.callback.parse().unwrap();
        let result = LambdaResponse {
            uuid: request.uuid.clone(),
            hops: 6,
            ptime: 0,
            ..add(&request)
        };
        let channel = control::channel(&endpoint, None, PATIENCE);
        let mut callback = CallbackServerClient::new(channel);
        tokio::spawn(async move { callback.receive_response(result).await.unwrap() });
        LambdaResponse::acknowledgement()
    })
}

#[tokio::test]
async fn with_a_callback_one_request_carries_the_whole() {
    for plan in [Plan::example_chain(), Plan::example_dag()] {
        let computer = calling_back();
        let callbacks = CallbackReceiver::start(&Endpoint::new("127.0.0.1", 0)).unwrap();
        let callback = callbacks.endpoint().to_string();
        let session = Session::new(Arc::new(plan.clone()));
        let caller = caller(&computer, Some(Arc::new(callbacks)));
        let request = LambdaRequest::new("", "x");
        let answer = session
            .call(&caller, request, PATIENCE)
            .await
            .unwrap()
            .response;
        assert_eq!((answer.responder.as_str(), answer.hops), ("computer:1", 6));

        let [request] = computer.seen().try_into().unwrap();
        assert_eq!(Workflow::of(&request).as_ref(), Ok(plan.workflow()));
        assert_eq!(
            (request.next_function_index, request.callback),
            (0, callback)
        );
        assert_eq!(request.name, plan.workflow().functions()[0]);
        let sizes: Vec<_> = request.states.values().map(|s| s.content.len()).collect();
        assert_eq!(sizes, [10_000, 20_000, 30_000]);
        assert!(
            session.states()["s0"]
                .content
                .ends_with(request.name.as_bytes())
        );
    }
}

#[tokio::test]
async fn remote_states_are_put_once_and_passed_by_location() {
    let computer = adding();
    let remote = Arc::new(RemoteStates::serve(&Endpoint::new("127.0.0.1", 0)).unwrap());
    let plan = chain(&["f0", "f1", "fX"], STATES);
    let session = Session::remote(plan, remote.clone(), PATIENCE)
        .await
        .unwrap();
    let mut server = StateServerClient::new(control::channel(remote.endpoint(), None, PATIENCE));
    let named = |name: &str| State {
        name: name.to_owned(),
        ..State::default()
    };
    for name in ["s0", "s1", "free"] {
        let got = server.get(named(name)).await.unwrap().into_inner();
        assert_eq!(got.state.unwrap().content, "A");
        assert_eq!(session.states()[name].location, remote.endpoint().as_str());
    }
    // A computer takes one away and then fails, so that nobody knows where it is.
    server.del(named("s0")).await.unwrap();
    let request = LambdaRequest::new("", "x");
    session
        .call(&caller(&computer, None), request, PATIENCE)
        .await
        .unwrap_err();
    let seen = computer.seen();
    let sent = &seen[0].states["s0"];
    assert_eq!(
        (sent.location.as_str(), sent.content.len()),
        (remote.endpoint().as_str(), 0)
    );
    let again = server.get(named("s0")).await.unwrap().into_inner();
    assert_eq!(again.state.unwrap().content, "A");
    remote.stop().await;
}

#[tokio::test]
async fn states_can_be_put_at_the_server_of_somebody_else() {
    let other = RemoteStates::serve(&Endpoint::new("127.0.0.1", 0)).unwrap();
    let remote = Arc::new(RemoteStates::elsewhere(other.endpoint().clone()));
    let session = Session::remote(chain(&["f0", "f1"], STATES), remote, PATIENCE)
        .await
        .unwrap();
    assert_eq!(session.states()["s0"].location, other.endpoint().as_str());
    let mut server = StateServerClient::new(control::channel(other.endpoint(), None, PATIENCE));
    let s0 = State {
        name: "s0".to_owned(),
        ..State::default()
    };
    let got = server.get(s0).await.unwrap().into_inner();
    assert_eq!(got.state.unwrap().content, "A");
    other.stop().await;
}

#[tokio::test]
async fn both_loops_execute_plans_and_count_their_failures() {
    let computer = adding();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, plan: &Plan| {
        let filename = folder.path().join(name);
        std::fs::write(&filename, plan.to_json()).unwrap();
        Some(WorkflowConfig::File { filename })
    };
    let good = file("good", &Plan::example_chain());
    let bad = file("bad", &chain(&["f0", "fX"], &[]));
    for rate in [None, Some(200.0)] {
        let config = Config {
            chain: good.clone(),
            rate,
            num_threads: NonZeroUsize::new(if rate.is_none() { 4 } else { 1 }).unwrap(),
            max_requests: NonZeroU64::new(if rate.is_none() { 5 } else { 20 }),
            output_file: Some(folder.path().join("lines")),
            ..config(&[&computer])
        };
        let silent = Progress::Silent;
        let report = load::run(&config, &Shutdown::new(), silent).await.unwrap();
        assert_eq!((report.tally.sent, report.tally.ok), (20, 20));
        let endpoint = computer.endpoint().to_string();
        assert_eq!(report.tally.destinations[&endpoint].count, 20);
        let lines = std::fs::read_to_string(folder.path().join("lines")).unwrap();
        assert_eq!(lines.lines().count(), 20);
        assert!(
            lines.lines().all(|line| line.ends_with(" 0 - f1-f2-f1 6")),
            "{lines}"
        );

        let config = Config {
            chain: bad.clone(),
            ..config
        };
        let report = load::run(&config, &Shutdown::new(), silent).await.unwrap();
        let failures = &report.tally.errors[&ErrorKind::Retcode(Outcome::NotFound)];
        assert_eq!((report.tally.ok, failures.count), (0, 20));
        assert!(failures.example.starts_with("function 1 (fX): "));
    }
}
