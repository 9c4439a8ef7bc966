//! Every message of the contract, byte by byte: a changed number or type fails here.
//!
//! The bytes are written by hand from the numbers of the specification: the
//! key of a field is `number * 8 + wire type` (0 number, 2 text, bytes or
//! message, 5 fixed 32 bits), followed by the value or by length and content.

use std::collections::BTreeMap;
use std::fmt::Debug;

use edge_proto::rpc::{
    ComputerInfo, Dag, EdgeRouterConf, ForwardingTable, FunctionList, IndexList, LambdaRequest,
    LambdaResponse, NumTables, Outcome, Return, RouterInfo, State, StateResponse, TableId,
    Utilization, Void, computer_info, edge_router_conf, forwarding_table,
};
use prost::Message;

/// Asserts that `message` encodes to the concatenation of `fields`, and back.
#[track_caller]
fn golden<M: Message + Default + PartialEq + Debug>(message: &M, fields: &[&[u8]]) {
    let expected = fields.concat();
    assert_eq!(message.encode_to_vec(), expected);
    assert_eq!(
        &M::decode(expected.as_slice()).expect("golden bytes are valid"),
        message
    );
}

fn map<V>(key: &str, value: V) -> BTreeMap<String, V> {
    BTreeMap::from([(key.to_owned(), value)])
}

#[test]
fn void() {
    golden(&Void {}, &[]);
}

#[test]
fn return_has_no_field_1() {
    golden(&Return { msg: "OK".into() }, &[b"\x12\x02OK"]);
}

#[test]
fn state() {
    let state = State {
        name: "s".into(),
        location: "h:1".into(),
        content: "xy".into(),
    };
    golden(&state, &[b"\x0a\x01s", b"\x12\x03h:1", b"\x1a\x02xy"]);
}

#[test]
fn state_response() {
    let response = StateResponse {
        retcode: "OK".into(),
        state: Some(State {
            name: "s".into(),
            ..State::default()
        }),
    };
    golden(&response, &[b"\x0a\x02OK", b"\x12\x03\x0a\x01s"]);
}

#[test]
fn function_list() {
    golden(
        &FunctionList {
            functions: vec!["f".into(), "g".into()],
        },
        &[b"\x0a\x01f", b"\x0a\x01g"],
    );
}

#[test]
fn index_list_is_packed() {
    golden(
        &IndexList {
            functions: vec![1, 300],
        },
        &[b"\x0a\x03\x01\xac\x02"],
    );
}

#[test]
fn dag() {
    let dag = Dag {
        successors: vec![IndexList { functions: vec![1] }],
        names: vec!["f".into(), "g".into()],
    };
    golden(&dag, &[b"\x0a\x03\x0a\x01\x01", b"\x12\x01f", b"\x12\x01g"]);
}

#[test]
fn lambda_request() {
    let request = LambdaRequest {
        name: "l".into(),
        input: "in".into(),
        datain: "\x01".into(),
        dry: true,
        forward: true,
        hops: 300,
        states: map(
            "s",
            State {
                location: "h:1".into(),
                ..State::default()
            },
        ),
        callback: "c:2".into(),
        chain: vec!["f".into()],
        dag: Some(Dag {
            successors: vec![],
            names: vec!["f".into()],
        }),
        dependencies: map(
            "s",
            FunctionList {
                functions: vec!["f".into()],
            },
        ),
        next_function_index: 2,
        uuid: "u".into(),
        idempotent: true,
        max_wait_us: 5,
        previous_function: 7,
        given_up: true,
    };
    golden(
        &request,
        &[
            b"\x0a\x01l",
            b"\x12\x02in",
            b"\x1a\x01\x01",
            b"\x20\x01",
            b"\x28\x01",
            b"\x30\xac\x02",
            b"\x3a\x0a\x0a\x01s\x12\x05\x12\x03h:1",
            b"\x42\x03c:2",
            b"\x4a\x01f",
            b"\x52\x03\x12\x01f",
            b"\x5a\x08\x0a\x01s\x12\x03\x0a\x01f",
            b"\x60\x02",
            b"\x6a\x01u",
            b"\xa0\x06\x01",
            b"\xa8\x06\x05",
            b"\xb0\x06\x07",
            b"\xb8\x06\x01",
        ],
    );
}

#[test]
fn lambda_response() {
    let response = LambdaResponse {
        retcode: "OK".into(),
        output: "out".into(),
        responder: "h:1".into(),
        ptime: 7,
        dataout: "\x02".into(),
        load1: 1,
        load10: 2,
        load30: 3,
        hops: 4,
        states: map("s", State::default()),
        asynchronous: true,
        uuid: "u".into(),
        outcome: Outcome::NotFound as i32,
        in_flight: 8,
        workers: 9,
        service_us: 10,
        residence_us: 11,
        cold_start_us: 12,
    };
    golden(
        &response,
        &[
            b"\x0a\x02OK",
            b"\x12\x03out",
            b"\x1a\x03h:1",
            b"\x20\x07",
            b"\x2a\x01\x02",
            b"\x30\x01",
            b"\x38\x02",
            b"\x40\x03",
            b"\x48\x04",
            b"\x52\x03\x0a\x01s",
            b"\x58\x01",
            b"\xa2\x06\x01u",
            b"\xa8\x06\x07",
            b"\xb0\x06\x08",
            b"\xb8\x06\x09",
            b"\xc0\x06\x0a",
            b"\xc8\x06\x0b",
            b"\xd0\x06\x0c",
        ],
    );
}

#[test]
fn outcomes() {
    let numbers = [
        (Outcome::Unspecified, 0),
        (Outcome::Ok, 1),
        (Outcome::ApplicationError, 2),
        (Outcome::Refused, 3),
        (Outcome::Overloaded, 4),
        (Outcome::Unavailable, 5),
        (Outcome::Deadline, 6),
        (Outcome::NotFound, 7),
    ];
    for (outcome, number) in numbers {
        assert_eq!(outcome as i32, number);
    }
}

#[test]
fn edge_router_conf() {
    let conf = EdgeRouterConf {
        action: edge_router_conf::Action::Remove as i32,
        lambda: "l".into(),
        destination: "d:1".into(),
        weight: 1.0,
        r#final: true,
        owner: "o".into(),
        filling: edge_router_conf::Filling::Complete as i32,
    };
    golden(
        &conf,
        &[
            b"\x08\x02",
            b"\x12\x01l",
            b"\x1a\x03d:1",
            b"\x25\x00\x00\x80\x3f",
            b"\x28\x01",
            b"\xa2\x06\x01o",
            b"\xa8\x06\x02",
        ],
    );
}

#[test]
fn an_empty_edge_router_conf_means_flush() {
    let conf = EdgeRouterConf::decode(&[][..]).expect("an empty message is valid");
    assert_eq!(conf.action(), edge_router_conf::Action::Flush);
    assert_eq!(edge_router_conf::Action::Change as i32, 1);
}

#[test]
fn forwarding_table() {
    let table = ForwardingTable {
        entries: vec![forwarding_table::Entry {
            lambda: "l".into(),
            destination: "d:1".into(),
            weight: 0.5,
            r#final: true,
            owner: "o".into(),
        }],
        total: 9,
        has_owners: true,
    };
    golden(
        &table,
        &[
            b"\x0a\x13",
            b"\x0a\x01l",
            b"\x12\x03d:1",
            b"\x1d\x00\x00\x00\x3f",
            b"\x20\x01",
            b"\xa2\x06\x01o",
            b"\xa0\x06\x09",
            b"\xa8\x06\x01",
        ],
    );
}

#[test]
fn table_id() {
    let id = TableId {
        value: 1,
        offset: 2,
        limit: 3,
    };
    golden(&id, &[b"\x08\x01", b"\xa0\x06\x02", b"\xa8\x06\x03"]);
}

#[test]
fn num_tables() {
    golden(&NumTables { value: 2 }, &[b"\x08\x02"]);
}

#[test]
fn computer_info() {
    let info = ComputerInfo {
        edge_server_endpoint: "h:1".into(),
        containers: vec![computer_info::Container {
            name: "c".into(),
            processor: "p".into(),
            lambda: "l".into(),
            num_workers: 4,
        }],
        lease_ms: 10,
        generation: 11,
    };
    golden(
        &info,
        &[
            b"\x0a\x03h:1",
            b"\x12\x0b\x0a\x01c\x12\x01p\x1a\x01l\x20\x04",
            b"\xa0\x06\x0a",
            b"\xa8\x06\x0b",
        ],
    );
}

#[test]
fn router_info() {
    let info = RouterInfo {
        edge_server_endpoint: "h:1".into(),
        forwarding_table_endpoint: "h:2".into(),
        lease_ms: 10,
        generation: 11,
    };
    golden(
        &info,
        &[
            b"\x0a\x03h:1",
            b"\x12\x03h:2",
            b"\xa0\x06\x0a",
            b"\xa8\x06\x0b",
        ],
    );
}

#[test]
fn utilization() {
    golden(
        &Utilization {
            values: map("p", 1.0),
        },
        &[b"\x0a\x08\x0a\x01p\x15\x00\x00\x80\x3f"],
    );
}

#[test]
fn the_services_have_the_methods_of_the_reference() {
    use prost::Message as _;
    let set = prost_types::FileDescriptorSet::decode(edge_proto::FILE_DESCRIPTOR_SET)
        .expect("the descriptors are valid");
    let mut methods = Vec::new();
    // What lies in `edge` is of our own.
    let of_reference = set
        .file
        .iter()
        .filter(|f| f.package().starts_with("uiiit."));
    for file in of_reference {
        for service in &file.service {
            for method in &service.method {
                let short = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
                methods.push(format!(
                    "{}.{}/{} {}->{}{}",
                    file.package(),
                    service.name(),
                    method.name(),
                    short(method.input_type()),
                    if method.server_streaming() {
                        "stream "
                    } else {
                        ""
                    },
                    short(method.output_type()),
                ));
            }
        }
    }
    methods.sort();
    assert_eq!(
        methods,
        [
            "uiiit.etsimec.rpc.UeAppLcmProxy/addLambda Lambda->Void",
            "uiiit.etsimec.rpc.UeAppLcmProxy/associateAddress AddressTuple->Void",
            "uiiit.etsimec.rpc.UeAppLcmProxy/contexts Void->Contexts",
            "uiiit.etsimec.rpc.UeAppLcmProxy/delLambda Lambda->Void",
            "uiiit.etsimec.rpc.UeAppLcmProxy/numContexts Void->Number",
            "uiiit.etsimec.rpc.UeAppLcmProxy/removeAddress AddressTuple->Void",
            "uiiit.etsimec.rpc.UeAppLcmProxy/table Void->Table",
            "uiiit.rpc.CallbackServer/ReceiveResponse LambdaResponse->Void",
            "uiiit.rpc.EdgeComputer/StreamUtil Void->stream Utilization",
            "uiiit.rpc.EdgeController/AnnounceComputer ComputerInfo->Void",
            "uiiit.rpc.EdgeController/AnnounceRouter RouterInfo->Void",
            "uiiit.rpc.EdgeController/RemoveComputer ComputerInfo->Void",
            "uiiit.rpc.EdgeRouter/Configure EdgeRouterConf->Return",
            "uiiit.rpc.EdgeRouter/GetNumTables Void->NumTables",
            "uiiit.rpc.EdgeRouter/GetTable TableId->ForwardingTable",
            "uiiit.rpc.EdgeServer/RunLambda LambdaRequest->LambdaResponse",
            "uiiit.rpc.StateServer/Del State->StateResponse",
            "uiiit.rpc.StateServer/Get State->StateResponse",
            "uiiit.rpc.StateServer/Put State->StateResponse",
        ]
    );
}
