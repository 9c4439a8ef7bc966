//! Chains, graphs and states from the client's side, through real daemons: rows X1 to X7.

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;

use super::support::{Computer, PATIENCE, Site, anywhere, platform};
use edge_broker::RouterHandle;
use edge_client::callback::CallbackReceiver;
use edge_client::config::WorkflowConfig;
use edge_client::load::{self, Progress};
use edge_client::workflow::{Plan, RemoteStates, Session};
use edge_client::{Answer, Caller, ErrorKind, RequestError};
use edge_computer::sim::PlatformConfig;
use edge_daemon::lifecycle::Shutdown;
use edge_proto::rpc::state_server_client::StateServerClient;
use edge_proto::rpc::{Dag, IndexList, LambdaRequest, LambdaResponse, Outcome, State};
use edge_proto::workflow::{Chain, Dag as Graph, Dependencies};
use edge_transport::{ClientOptions, Core, Endpoint, LambdaClient, control};
use tokio::task::JoinSet;

const CALLS: usize = 50;
const INPUT: &str = "AAAAAAAAAA";

/// A router in front, and a computer for each function with a companion router and a state
/// server of its own.
struct World {
    site: Site,
    router: RouterHandle,
    companions: Vec<RouterHandle>,
    computers: Vec<Computer>,
    _folder: tempfile::TempDir,
}

impl World {
    /// Computers that serve `functions`, one each.
    async fn start(functions: &[&str]) -> Self {
        let mut site = Site::controller().await;
        let folder = tempfile::tempdir().unwrap();
        let router = site.router(|_| {}).await;
        let (mut companions, mut computers) = (Vec::new(), Vec::new());
        for (number, function) in functions.iter().enumerate() {
            let companion = site.router(|_| {}).await;
            let path = folder.path().join(format!("{number}.json"));
            std::fs::write(&path, platform(function)).unwrap();
            let configure = |config: &mut edge_computer::config::Config| {
                config.platform = PlatformConfig::File { path };
                config.asynchronous.companion = Endpoint::from(companion.lambda_address()).into();
                config.state.endpoint = anywhere().into();
            };
            computers.push(site.computer(configure).await);
            companions.push(companion);
        }
        let world = Self {
            site,
            router,
            companions,
            computers,
            _folder: folder,
        };
        for router in world.companions.iter().chain([&world.router]) {
            for function in functions {
                let count = functions.iter().filter(|other| *other == function).count();
                world.site.wait_for(router, function, count).await;
            }
        }
        world
    }

    /// The two computers of the rows.
    async fn two() -> Self {
        Self::start(&["f0", "f1"]).await
    }

    fn entry(&self) -> Endpoint {
        self.router.lambda_address().into()
    }

    fn synchronous(&self) -> Arc<Caller> {
        self.caller(None)
    }

    fn asynchronous(&self) -> Arc<Caller> {
        let callbacks = CallbackReceiver::start(&anywhere()).unwrap();
        self.caller(Some(Arc::new(callbacks)))
    }

    fn caller(&self, callbacks: Option<Arc<CallbackReceiver>>) -> Arc<Caller> {
        let client = LambdaClient::new(Core::current(), Arc::new(ClientOptions::default()));
        let caller = Caller::new(Arc::new(client), &[self.entry()], 0.0, 0, callbacks);
        Arc::new(caller.unwrap())
    }

    /// The state server of a computer.
    fn states_of(&self, computer: usize) -> Endpoint {
        self.computers[computer].state_address().unwrap().into()
    }
}

type States<'a> = &'a [(&'a str, &'a [&'a str])];

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn dependencies(states: States<'_>) -> Dependencies {
    let states = states.iter();
    Dependencies::new(
        states
            .map(|(state, functions)| (state.to_string(), strings(functions)))
            .collect(),
    )
}

fn sizes(states: States<'_>) -> BTreeMap<String, usize> {
    let states = states.iter().enumerate();
    states
        .map(|(number, (state, _))| (state.to_string(), 100 * (number + 1)))
        .collect()
}

fn chain(functions: &[&str], states: States<'_>) -> Arc<Plan> {
    let chain = Chain::new(strings(functions), dependencies(states)).unwrap();
    Arc::new(Plan::chain(chain, sizes(states)).unwrap())
}

fn graph(successors: &[&[u64]], functions: &[&str], states: States<'_>) -> Arc<Plan> {
    let successors = successors.iter().map(|list| list.to_vec()).collect();
    let graph = Graph::new(successors, strings(functions), dependencies(states)).unwrap();
    Arc::new(Plan::dag(graph, sizes(states)).unwrap())
}

async fn once(session: &Session, caller: &Caller) -> Result<Answer, RequestError> {
    let request = LambdaRequest::new("", INPUT);
    session.call(caller, request, PATIENCE).await
}

/// As many calls as the rows ask for, at the same time.
async fn all_at_once(plan: Arc<Plan>, caller: Arc<Caller>) -> Vec<LambdaResponse> {
    let session = Arc::new(Session::new(plan));
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let (session, caller) = (session.clone(), caller.clone());
        calls.spawn(async move { once(&session, &caller).await.unwrap().response });
    }
    calls.join_all().await
}

async fn content(server: &Endpoint, state: &str) -> Option<usize> {
    let mut client = StateServerClient::new(control::channel(server, None, PATIENCE));
    let named = State {
        name: state.to_owned(),
        ..State::default()
    };
    let answer = client.get(named).await.unwrap().into_inner();
    answer.state.map(|state| state.content.len())
}

#[tokio::test]
async fn x1_x2_chains_pass_through_all_their_functions() {
    let world = World::two().await;
    let states: States<'_> = &[("s0", &["f0", "f1"]), ("s1", &["f1"])];
    for (functions, hops) in [
        (&["f0", "f1", "f0"][..], 6),
        (&["f1", "f1", "f0", "f1", "f1"], 10),
    ] {
        let plan = chain(functions, states);
        // Walked by the client, and passed on by the computers.
        for caller in [world.synchronous(), world.asynchronous()] {
            for answer in all_at_once(plan.clone(), caller).await {
                assert!(!answer.asynchronous && answer.dataout.is_empty());
                assert_eq!((answer.hops, answer.output.as_str()), (hops, INPUT));
                assert_eq!(answer.states, plan.initial_states());
            }
        }
    }
}

#[tokio::test]
async fn x1_x2_lines_show_what_the_whole_chain_took() {
    let world = World::two().await;
    let folder = tempfile::tempdir().unwrap();
    let filename = folder.path().join("chain.json");
    let plan = chain(&["f0", "f1", "f0"], &[("s0", &["f0", "f1"])]);
    std::fs::write(&filename, plan.to_json()).unwrap();
    let last = world.computers[0].endpoint().to_string();
    for (callback, responder) in [(None, "-"), (Some(anywhere()), last.as_str())] {
        let config = edge_client::Config {
            server_endpoints: vec![world.entry()],
            chain: Some(WorkflowConfig::File {
                filename: filename.clone(),
            }),
            callback_endpoint: callback,
            content: Some(INPUT.to_owned()),
            num_threads: NonZeroUsize::new(5).unwrap(),
            max_requests: NonZeroU64::new(4),
            output_file: Some(folder.path().join("lines")),
            ..edge_client::Config::default()
        };
        let report = load::run(&config, &Shutdown::new(), Progress::Silent).await;
        let tally = report.unwrap().tally;
        assert_eq!((tally.sent, tally.ok), (20, 20), "{:?}", tally.errors);
        let lines = std::fs::read_to_string(folder.path().join("lines")).unwrap();
        assert_eq!(lines.lines().count(), 20);
        let end = format!(" 0 {responder} f0-f1-f0 6");
        assert!(lines.lines().all(|line| line.ends_with(&end)), "{lines}");
    }
}

#[tokio::test]
async fn x3_a_chain_that_cannot_go_on_says_why_and_the_next_one_works() {
    let world = World::two().await;
    for (caller, place) in [
        (world.synchronous(), "function 2 (fX): "),
        (world.asynchronous(), "fX"),
    ] {
        let broken = Session::new(chain(&["f0", "f1", "fX"], &[]));
        let error = once(&broken, &caller).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(place), "{text}");
        assert!(text.contains("No destinations found"), "{text}");
        assert!(matches!(error.kind(), ErrorKind::Retcode(_)), "{error:?}");
        let valid = Session::new(chain(&["f0", "f1"], &[]));
        assert_eq!(once(&valid, &caller).await.unwrap().response.hops, 4);
    }
}

#[tokio::test]
async fn x4_x5_states_move_to_the_computer_that_needs_them_and_stay_there() {
    let world = World::two().await;
    let home = world.states_of(0);
    for caller in [world.asynchronous(), world.synchronous()] {
        let remote = Arc::new(RemoteStates::serve(&anywhere()).unwrap());
        let plan = chain(&["f0"], &[("s0", &["f0"]), ("s1", &["f0"]), ("sX", &[])]);
        let session = Session::remote(plan, remote.clone(), PATIENCE);
        let session = session.await.unwrap();
        for _ in 0..CALLS {
            let answer = once(&session, &caller).await.unwrap().response;
            assert_eq!((answer.hops, answer.output.as_str()), (2, INPUT));
            for state in ["s0", "s1"] {
                assert_eq!(answer.states[state].location, home.as_str());
            }
        }
        for (state, at_home, at_the_client) in [
            ("s0", Some(100), None),
            ("s1", Some(200), None),
            ("sX", None, Some(300)),
        ] {
            assert_eq!(content(&home, state).await, at_home, "{state}");
            assert_eq!(content(remote.endpoint(), state).await, at_the_client);
        }
        assert_eq!(session.states()["sX"].location, remote.endpoint().as_str());
        remote.stop().await;
    }
}

#[tokio::test]
async fn x6_states_follow_a_chain() {
    let world = World::two().await;
    let homes = [world.states_of(0), world.states_of(1)];
    for caller in [world.asynchronous(), world.synchronous()] {
        let remote = Arc::new(RemoteStates::serve(&anywhere()).unwrap());
        let plan = chain(
            &["f0", "f1", "f0"],
            &[("s0", &["f0", "f1"]), ("s1", &["f1"])],
        );
        let session = Session::remote(plan, remote.clone(), PATIENCE);
        let session = session.await.unwrap();
        for _ in 0..3 {
            let answer = once(&session, &caller).await.unwrap().response;
            assert_eq!(answer.hops, 6);
            for (state, home, bytes) in [("s0", 0, 100), ("s1", 1, 200)] {
                assert_eq!(answer.states[state].location, homes[home].as_str());
                assert_eq!(content(&homes[home], state).await, Some(bytes));
                for elsewhere in [&homes[1 - home], remote.endpoint()] {
                    assert_eq!(content(elsewhere, state).await, None, "{state}");
                }
            }
        }
        remote.stop().await;
    }
}

const DIAMOND: &[&[u64]] = &[&[1, 2], &[3], &[3]];

#[tokio::test]
async fn x7_graphs_pass_through_all_their_functions() {
    let world = World::two().await;
    let plan = graph(DIAMOND, &["f0", "f1", "f0", "f1"], &[]);
    // Passed on, hops are those of the longest path; walked, of all functions.
    for (caller, hops) in [(world.asynchronous(), 6), (world.synchronous(), 8)] {
        for answer in all_at_once(plan.clone(), caller).await {
            assert_eq!((answer.hops, answer.output.as_str()), (hops, INPUT));
            assert!(answer.states.is_empty());
        }
    }
}

#[tokio::test]
async fn v9_a_graph_can_be_repeated_with_the_states_that_have_moved() {
    let world = World::start(&["f0", "f1", "f2"]).await;
    let states: States<'_> = &[("s0", &["f0"]), ("s1", &["f0", "f1"]), ("s2", &["f2"])];
    let plan = graph(DIAMOND, &["f0", "f1", "f2", "f2"], states);
    for caller in [world.asynchronous(), world.synchronous()] {
        let remote = Arc::new(RemoteStates::serve(&anywhere()).unwrap());
        let session = Session::remote(plan.clone(), remote.clone(), PATIENCE);
        let session = session.await.unwrap();
        for _ in 0..5 {
            let answer = once(&session, &caller).await.unwrap().response;
            for (state, computer) in [("s0", 0), ("s1", 1), ("s2", 2)] {
                let home = world.states_of(computer);
                assert_eq!(answer.states[state].location, home.as_str(), "{state}");
            }
        }
        remote.stop().await;
    }
}

#[tokio::test]
async fn v11_a_graph_of_one_function_is_answered() {
    let world = World::two().await;
    for caller in [world.asynchronous(), world.synchronous()] {
        let session = Session::new(graph(&[], &["f1"], &[("s", &["f1"])]));
        let answer = once(&session, &caller).await.unwrap().response;
        assert_eq!((answer.hops, answer.output.as_str()), (2, INPUT));
        assert_eq!(answer.states, session.plan().initial_states());
    }
}

#[tokio::test]
async fn v12_hostile_requests_are_refused_and_harm_nobody() {
    let world = World::two().await;
    let request = |functions: &[&str], successors: &[&[u64]]| LambdaRequest {
        callback: "127.0.0.1:1".to_owned(),
        dag: Some(Dag {
            names: strings(functions),
            successors: successors
                .iter()
                .map(|list| IndexList {
                    functions: list.to_vec(),
                })
                .collect(),
        }),
        ..LambdaRequest::new("f0", INPUT)
    };
    let chained = |functions: &[&str]| LambdaRequest {
        chain: strings(functions),
        dag: None,
        ..request(&[], &[])
    };
    let four = ["f0", "f1", "f0", "f1"];
    let hostile = [
        ("cycle", request(&four, &[&[1], &[2], &[1, 3]])),
        ("itself", request(&four, &[&[1], &[1, 2], &[3]])),
        ("outside", request(&four, &[&[1, 2], &[u64::MAX], &[3]])),
        ("twice", request(&four, &[&[1, 1], &[2], &[3]])),
        ("unreachable", request(&four, &[&[3], &[3], &[3]])),
        ("few names", request(&["f0"], &[&[1, 2], &[3], &[3]])),
        (
            "both",
            LambdaRequest {
                chain: strings(&["f0", "f1"]),
                ..request(&four, DIAMOND)
            },
        ),
        (
            "no uuid",
            LambdaRequest {
                uuid: String::new(),
                ..request(&four, DIAMOND)
            },
        ),
        (
            "beyond the end",
            LambdaRequest {
                next_function_index: u32::MAX,
                ..chained(&["f0", "f1"])
            },
        ),
        ("too long", chained(&["f0"; 1000])),
        (
            "no callback",
            LambdaRequest {
                callback: String::new(),
                ..chained(&["f0", "f1"])
            },
        ),
        (
            "odd callback",
            LambdaRequest {
                callback: "nowhere at all".to_owned(),
                ..chained(&["f0", "f1"])
            },
        ),
    ];
    for (what, request) in &hostile {
        let answer = world.site.ask(&world.router, request).await;
        assert_eq!(
            answer.outcome(),
            Outcome::ApplicationError,
            "{what}: {answer:?}"
        );
        assert!(!answer.asynchronous && answer.retcode != "OK", "{what}");
    }
    // Nobody is taken for broken because of them.
    let healthy = edge_broker::Standing::Healthy;
    let destinations = world.router.destinations();
    assert!(
        destinations.iter().all(|d| d.standing == healthy),
        "{destinations:?}"
    );
    let session = Session::new(graph(DIAMOND, &four, &[]));
    let answer = once(&session, &world.asynchronous()).await.unwrap();
    assert_eq!(answer.response.output, INPUT);
}

#[tokio::test]
async fn v13_a_walked_graph_does_not_care_who_serves_the_function_where_branches_meet() {
    let world = World::start(&["f0", "f1", "f1"]).await;
    let plan = graph(DIAMOND, &["f0", "f0", "f0", "f1"], &[]);
    let answers = all_at_once(plan, world.synchronous()).await;
    assert!(answers.iter().all(|answer| answer.output == INPUT));
}
