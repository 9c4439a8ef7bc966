//! What requests and responses keep and lose on their way: rows MS1 to MS3.

use std::collections::BTreeMap;

use edge_proto::rpc::{Dag, FunctionList, IndexList, LambdaRequest, LambdaResponse, State};

fn request() -> LambdaRequest {
    LambdaRequest {
        datain: "\0\u{1}".into(),
        callback: "127.0.0.1:6480".into(),
        states: BTreeMap::from([
            (
                "here".into(),
                State {
                    content: "abc".into(),
                    ..State::default()
                },
            ),
            (
                "there".into(),
                State {
                    location: "127.0.0.1:6481".into(),
                    ..State::default()
                },
            ),
        ]),
        dependencies: BTreeMap::from([(
            "here".into(),
            FunctionList {
                functions: vec!["f1".into()],
            },
        )]),
        ..LambdaRequest::new("lambda", "input")
    }
}

fn with_chain() -> LambdaRequest {
    LambdaRequest {
        chain: vec!["f1".into(), "f2".into(), "f1".into()],
        ..request()
    }
}

fn with_dag() -> LambdaRequest {
    let dag = Dag {
        successors: vec![IndexList { functions: vec![1] }],
        names: vec!["f1".into(), "f2".into()],
    };
    LambdaRequest {
        dag: Some(dag),
        ..request()
    }
}

fn over_the_wire<M: prost::Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).expect("what was encoded can be decoded")
}

#[test]
fn ms1_a_request_passed_on_is_equal_except_forward_and_hops() {
    for sent in [request(), with_chain(), with_dag()] {
        let received = over_the_wire(&sent);
        assert_eq!(received, sent);
        let passed_on = over_the_wire(&received.one_more_hop());
        assert!(passed_on.forward && !sent.forward);
        assert_eq!(
            LambdaRequest {
                forward: false,
                hops: 0,
                ..passed_on
            },
            sent
        );
    }
}

#[test]
fn ms2_one_more_hop_keeps_the_identity() {
    let first = request();
    let copy = first.clone();
    assert_eq!(copy, first);
    let next = first.clone().one_more_hop();
    assert_eq!(next.uuid, first.uuid);
    assert_eq!(next.hops, first.hops + 1);
    assert_ne!(next, first);
    assert_ne!(
        request().uuid,
        first.uuid,
        "each request has an identity of its own"
    );
}

#[test]
fn ms3_responses_survive_the_wire() {
    let synchronous = LambdaResponse {
        retcode: "OK".into(),
        output: "out".into(),
        responder: "127.0.0.1:10000".into(),
        ptime: 42,
        dataout: "\u{1}\0".into(),
        hops: 2,
        states: request().states,
        ..LambdaResponse::default()
    }
    .with_loads(0.1, 0.2, 0.3);
    assert_eq!(
        (synchronous.load1, synchronous.load10, synchronous.load30),
        (10, 20, 30)
    );
    assert_eq!(over_the_wire(&synchronous), synchronous);

    let acknowledgement = LambdaResponse::acknowledgement();
    assert!(acknowledgement.is_ok() && acknowledgement.asynchronous);
    assert_eq!(over_the_wire(&acknowledgement), acknowledgement);
}

#[test]
fn the_next_function_gets_output_and_states_and_counts_a_hop() {
    let sent = LambdaRequest {
        forward: true,
        hops: 3,
        ..with_chain()
    };
    let states = BTreeMap::from([("here".to_owned(), State::default())]);
    let answer = LambdaResponse {
        output: "out".into(),
        dataout: "d".into(),
        states: states.clone(),
        ..LambdaResponse::default()
    };
    let next = sent.next_function("f2", 1, answer);
    assert_eq!(
        (next.name.as_str(), next.input.as_str(), &next.datain[..]),
        ("f2", "out", &b"d"[..])
    );
    assert_eq!(
        (next.forward, next.hops, next.next_function_index),
        (false, 4, 1)
    );
    assert_eq!(next.states, states);
    assert_eq!(
        (next.uuid, next.callback, next.chain),
        (sent.uuid, sent.callback, sent.chain)
    );
}

#[test]
fn a_request_beyond_254_hops_is_looping() {
    assert!(
        !LambdaRequest {
            hops: 254,
            ..request()
        }
        .is_looping()
    );
    assert!(
        LambdaRequest {
            hops: 255,
            ..request()
        }
        .is_looping()
    );
}

#[test]
fn loads_round_half_up_and_never_go_below_zero() {
    let response = LambdaResponse::default().with_loads(0.005, 0.0049, -1.0);
    assert_eq!(
        (response.load1, response.load10, response.load30),
        (1, 0, 0)
    );
}
