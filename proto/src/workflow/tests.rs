//! Rows H2, H3 and D2 to D6, validation of graphs, and what requests may say.

use std::collections::BTreeMap;

use crate::rpc::{self, FunctionList, IndexList};

use super::*;

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn set<'a>(names: &[&'a str]) -> BTreeSet<&'a str> {
    names.iter().copied().collect()
}

fn dependencies(states: &[(&str, &[&str])]) -> Dependencies {
    let states = states.iter();
    Dependencies::new(
        states
            .map(|(state, functions)| (state.to_string(), strings(functions)))
            .collect(),
    )
}

fn chain() -> Chain {
    let states = dependencies(&[
        ("s0", &["f1"]),
        ("s1", &["f1", "f2"]),
        ("s2", &["f2"]),
        ("s3", &[]),
    ]);
    Chain::new(strings(&["f1", "f2", "f1"]), states).unwrap()
}

fn dag_of(successors: &[&[u64]], names: &[&str]) -> Result<Dag, WorkflowError> {
    let successors = successors.iter().map(|list| list.to_vec()).collect();
    let states = dependencies(&[
        ("s0", &["f0"]),
        ("s1", &["f0", "f1"]),
        ("s2", &["f2"]),
        ("s3", &[]),
    ]);
    let known = |function: &str| names.contains(&function);
    let states = if ["f0", "f1", "f2"].into_iter().all(known) {
        states
    } else {
        Dependencies::default()
    };
    Dag::new(successors, strings(names), states)
}

fn dag() -> Dag {
    dag_of(&[&[1, 2], &[3], &[3]], &["f0", "f1", "f2", "f2"]).unwrap()
}

#[test]
fn h2_the_example_chain() {
    let chain = chain();
    assert_eq!(chain.functions(), ["f1", "f2", "f1"]);
    assert_eq!(chain.unique_functions(), set(&["f1", "f2"]));
    let states = chain.dependencies();
    assert_eq!(states.all_states(true), set(&["s0", "s1", "s2", "s3"]));
    assert_eq!(states.all_states(false), set(&["s0", "s1", "s2"]));
    assert_eq!(states.states("fX"), set(&[]));
    assert_eq!(states.states("f1"), set(&["s0", "s1"]));
    assert_eq!(states.states("f2"), set(&["s1", "s2"]));
    assert_eq!((chain.name().as_str(), chain.entry()), ("f1-f2-f1", "f1"));
    let single = chain.single_function("f2");
    assert_eq!(single.functions(), ["f2"]);
    assert_eq!(
        single.dependencies(),
        &dependencies(&[("s1", &["f2"]), ("s2", &["f2"])])
    );
}

#[test]
fn h3_a_state_of_an_unknown_function_or_no_function_is_an_error() {
    let states = dependencies(&[("s0", &["fX"])]);
    let error = Chain::new(strings(&["f1"]), states).unwrap_err();
    assert!(matches!(error, WorkflowError::UnknownFunction { .. }));
    let error = Chain::new(Vec::new(), Dependencies::default()).unwrap_err();
    assert_eq!(error, WorkflowError::EmptyChain);
}

#[test]
fn d2_the_example_graph() {
    let dag = dag();
    assert_eq!(dag.unique_functions(), set(&["f0", "f1", "f2"]));
    assert_eq!(dag.dependencies().states("f0"), set(&["s0", "s1"]));
    assert_eq!(dag.dependencies().states("f1"), set(&["s1"]));
    assert_eq!(dag.name(), "f0-f1-f2-f2");
    assert_eq!((dag.functions().len(), dag.to_name(4)), (4, ""));
}

#[test]
fn d3_successors_and_predecessors() {
    let dag = dag();
    let successors = [&["f1", "f2"][..], &["f2"], &["f2"], &[]];
    let predecessors = [&[][..], &["f0"], &["f0"], &["f1", "f2"]];
    for index in 0..4 {
        assert_eq!(dag.successor_names(index), Some(set(successors[index])));
        assert_eq!(dag.predecessor_names(index), Some(set(predecessors[index])));
    }
    assert_eq!(dag.successor_names(4), None);
    assert_eq!(dag.predecessor_names(4), None);
}

#[test]
fn d4_callable_functions() {
    let dag = dag();
    let cases: [(&[usize], &[usize]); 8] = [
        (&[], &[0]),
        (&[0], &[1, 2]),
        (&[0, 1], &[2]),
        (&[0, 2], &[1]),
        (&[0, 1, 2], &[3]),
        (&[1, 2], &[0]),
        (&[1, 2, 3], &[0]),
        (&[0, 1, 2, 3], &[]),
    ];
    for (done, callable) in cases {
        let done = done.iter().copied().collect();
        let expected = callable.iter().copied().collect();
        assert_eq!(dag.callable(&done), expected, "{done:?}");
    }
}

#[test]
fn d5_a_function_of_the_graph_alone() {
    let single = dag().single_function("f1");
    assert_eq!(single.functions(), ["f1"]);
    assert_eq!(single.dependencies(), &dependencies(&[("s1", &["f1"])]));
    assert_eq!((single.to_name(0), single.to_name(1)), ("f1", ""));
}

#[test]
fn d6_sizes_that_do_not_fit_and_unknown_functions_are_errors() {
    let names = ["f0", "f1", "f2"];
    let error = dag_of(&[&[1], &[2], &[2]], &names).unwrap_err();
    assert!(matches!(error, WorkflowError::Sizes { .. }));
    let error = dag_of(&[&[1], &[2]], &["f0", "f1", "f2", "f3"]).unwrap_err();
    assert!(matches!(error, WorkflowError::Sizes { .. }));
    let states = dependencies(&[("s0", &["fX"])]);
    let error = Dag::new(vec![vec![1]], strings(&["f0", "f1"]), states).unwrap_err();
    assert!(matches!(error, WorkflowError::UnknownFunction { .. }));
}

#[test]
fn v12_graphs_that_cannot_be_executed_are_errors() {
    let names = ["a", "b", "c", "d"];
    let error = |successors: &[&[u64]]| dag_of(successors, &names).unwrap_err();
    assert_eq!(error(&[&[1], &[2], &[1, 3]]), WorkflowError::Cycle(1));
    assert_eq!(error(&[&[1, 3], &[3], &[3]]), WorkflowError::Unreachable(2));
    assert_eq!(
        error(&[&[1, 2], &[], &[3]]),
        WorkflowError::Sink { sink: 1, last: 3 }
    );
    assert_eq!(
        error(&[&[1, 1], &[2], &[3]]),
        WorkflowError::Duplicate { from: 0, to: 1 }
    );
    for to in [0, 4, u64::MAX] {
        let (from, last) = (1, 3);
        let expected = WorkflowError::Successor { from, to, last };
        assert_eq!(error(&[&[1, 2], &[to], &[3]]), expected);
    }
    // A cycle that nothing leads to.
    let apart = dag_of(&[&[3], &[2], &[1]], &names).unwrap_err();
    assert_eq!(apart, WorkflowError::Cycle(1));
    let own = dag_of(&[&[1], &[1, 2], &[3]], &names).unwrap_err();
    assert_eq!(own, WorkflowError::Cycle(1));
}

#[test]
fn the_last_meeting_is_where_all_branches_have_met() {
    let meeting = |successors: &[&[u64]]| {
        let names = (0..=successors.len()).map(|index| index.to_string());
        let lists = successors.iter().map(|list| list.to_vec()).collect();
        let dag = Dag::new(lists, names.collect(), Dependencies::default());
        dag.unwrap().last_meeting()
    };
    assert_eq!(meeting(&[]), None);
    assert_eq!(meeting(&[&[1], &[2]]), None);
    assert_eq!(meeting(&[&[1, 2], &[3], &[3]]), Some(3));
    assert_eq!(meeting(&[&[1, 2], &[3], &[3], &[4], &[5]]), Some(3));
    assert_eq!(
        meeting(&[&[1, 2, 3], &[4], &[4, 5], &[5], &[5], &[6]]),
        Some(5)
    );
}

fn request() -> LambdaRequest {
    LambdaRequest {
        callback: "localhost:6480".to_owned(),
        ..LambdaRequest::new("f", "x")
    }
}

fn graph(successors: &[&[u64]], names: &[&str]) -> Option<rpc::Dag> {
    let lists = successors.iter().map(|list| IndexList {
        functions: list.to_vec(),
    });
    Some(rpc::Dag {
        successors: lists.collect(),
        names: strings(names),
    })
}

#[test]
fn requests_that_contradict_themselves_are_refused_in_order() {
    let both = LambdaRequest {
        chain: strings(&["f", "g"]),
        dag: graph(&[&[1]], &["f", "g"]),
        callback: String::new(),
        ..request()
    };
    assert_eq!(Workflow::of(&both), Err(WorkflowError::ChainAndDag));
    let chain = |callback: &str, index| LambdaRequest {
        chain: strings(&["f", "g"]),
        callback: callback.to_owned(),
        next_function_index: index,
        ..request()
    };
    let functions = 2;
    let no_callback = WorkflowError::NoCallback { functions };
    assert_eq!(Workflow::of(&chain("", 2)), Err(no_callback.clone()));
    let index = WorkflowError::Index {
        index: 2,
        functions,
    };
    assert_eq!(Workflow::of(&chain("h:1", 2)), Err(index.clone()));
    let dag = |uuid: &str, callback: &str, index| LambdaRequest {
        dag: graph(&[&[1]], &["f", "g"]),
        uuid: uuid.to_owned(),
        next_function_index: index,
        callback: callback.to_owned(),
        ..request()
    };
    assert_eq!(Workflow::of(&dag("", "", 2)), Err(no_callback));
    assert_eq!(Workflow::of(&dag("", "h:1", 2)), Err(index));
    assert_eq!(Workflow::of(&dag("", "h:1", 1)), Err(WorkflowError::NoUuid));
}

#[test]
fn chains_without_end_are_refused() {
    let long = LambdaRequest {
        chain: vec!["f".to_owned(); MAX_FUNCTIONS + 1],
        ..request()
    };
    let functions = MAX_FUNCTIONS + 1;
    assert_eq!(
        Workflow::of(&long),
        Err(WorkflowError::TooLarge { functions })
    );
}

#[test]
fn one_function_may_be_executed_synchronously_whatever_it_is_part_of() {
    let single = LambdaRequest::new("f", "x");
    assert_eq!(Workflow::of(&single), Ok(Workflow::Single));
    let chain = LambdaRequest {
        chain: strings(&["f"]),
        ..LambdaRequest::new("f", "x")
    };
    assert!(matches!(Workflow::of(&chain), Ok(Workflow::Chain(_))));
    let dag = LambdaRequest {
        dag: graph(&[], &["f"]),
        ..LambdaRequest::new("f", "x")
    };
    let dag = Workflow::of(&dag).unwrap();
    assert_eq!(dag.next(0), []);
    let empty = LambdaRequest {
        dag: graph(&[], &[]),
        ..LambdaRequest::new("f", "x")
    };
    assert_eq!(Workflow::of(&empty), Ok(Workflow::Single));
}

#[test]
fn the_next_functions_and_what_they_wait_for() {
    let dag = Workflow::Dag(dag());
    assert_eq!(dag.next(0), [(1, "f1"), (2, "f2")]);
    assert_eq!(dag.next(3), []);
    assert_eq!([0, 1, 2, 3].map(|i| dag.expected_arrivals(i)), [1, 1, 1, 2]);
    assert_eq!(dag.states_of("f1"), set(&["s1"]));
    let chain = Workflow::Chain(chain());
    assert_eq!(chain.next(0), [(1, "f2")]);
    assert_eq!(chain.next(2), []);
    assert_eq!(chain.expected_arrivals(1), 1);
    assert_eq!(Workflow::Single.states_of("f1"), set(&[]));
    let lists = BTreeMap::from([(
        "s".to_owned(),
        FunctionList {
            functions: strings(&["f"]),
        },
    )]);
    assert_eq!(Dependencies::from(&lists).states("f"), set(&["s"]));
}

#[test]
fn what_a_first_request_describes_is_read_back() {
    let single = Dag::new(Vec::new(), strings(&["f"]), Dependencies::default()).unwrap();
    for workflow in [
        Workflow::Single,
        Workflow::Chain(chain()),
        Workflow::Dag(dag()),
        Workflow::Dag(single),
    ] {
        let first = workflow.begin(LambdaRequest {
            next_function_index: 7,
            ..request()
        });
        assert_eq!(Workflow::of(&first).as_ref(), Ok(&workflow));
    }
    assert_eq!(Workflow::Chain(chain()).begin(request()).name, "f1");
    assert_eq!(Workflow::Dag(dag()).begin(request()).name, "f0");
}
