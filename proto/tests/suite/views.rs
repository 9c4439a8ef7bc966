//! Views agree with full decoding on every message, and never panic on garbage.

use bytes::Bytes;
use edge_proto::rpc::{FunctionList, LambdaRequest, LambdaResponse, Outcome, State};
use edge_proto::view::{BrokerLoad, Malformed, RequestView, ResponseView};
use proptest::prelude::*;
use prost::Message as _;

prop_compose! {
    fn any_request()(
        name in ".{0,20}", input in ".{0,50}", datain in proptest::collection::vec(any::<u8>(), 0..300),
        flags in any::<(bool, bool, bool)>(), hops in any::<u32>(), uuid in ".{0,36}",
        states in proptest::collection::btree_map(".{0,5}", ".{0,9}", 0..4),
        dependencies in proptest::collection::btree_map(".{0,5}", ".{0,9}", 0..4),
        chain in proptest::collection::vec(".{0,9}", 0..4), index in any::<u32>(), max_wait_us in any::<u64>(),
    ) -> LambdaRequest {
        LambdaRequest {
            name, input, datain: datain.into(), dry: flags.0, forward: flags.1, hops, uuid,
            states: states.into_iter().map(|(k, v)| (k, State { location: v, ..State::default() })).collect(),
            dependencies: dependencies.into_iter().map(|(k, v)| (k, FunctionList { functions: vec![v] })).collect(),
            chain, next_function_index: index, idempotent: flags.2, max_wait_us,
            ..LambdaRequest::default()
        }
    }
}

prop_compose! {
    fn any_response()(
        retcode in "OK|.{0,20}", responder in "|.{1,20}", output in ".{0,50}",
        dataout in proptest::collection::vec(any::<u8>(), 0..300),
        numbers in any::<(u32, u32, u32, u32, u32)>(), times in any::<(u64, u64)>(),
        asynchronous in any::<bool>(), outcome in 0..8i32,
    ) -> LambdaResponse {
        LambdaResponse {
            retcode, responder, output, dataout: dataout.into(), asynchronous, outcome,
            ptime: numbers.0, load1: numbers.1, hops: numbers.2, in_flight: numbers.3, workers: numbers.4,
            service_us: times.0, residence_us: times.1,
            ..LambdaResponse::default()
        }
    }
}

proptest! {
    #[test]
    fn a_request_view_agrees_with_decoding(request in any_request()) {
        let encoded = request.encode_to_vec();
        let view = RequestView::parse(&encoded).expect("valid");
        prop_assert_eq!(view.name, &request.name);
        prop_assert_eq!(view.uuid, &request.uuid);
        prop_assert_eq!((view.dry, view.forward, view.idempotent), (request.dry, request.forward, request.idempotent));
        prop_assert_eq!((view.hops, view.max_wait_us), (request.hops, request.max_wait_us));
    }

    #[test]
    fn the_name_is_found_without_the_rest(request in any_request()) {
        let encoded = request.encode_to_vec();
        let name = RequestView::leading_name(&encoded);
        prop_assert_eq!(name.unwrap_or_default(), &request.name);
    }

    #[test]
    fn a_forwarded_request_is_one_more_hop_with_another_limit(request in any_request(), max_wait_us: u64) {
        let encoded = request.encode_to_vec();
        let forwarded = RequestView::parse(&encoded).expect("valid").forwarded(&encoded, max_wait_us);
        let decoded = LambdaRequest::decode(forwarded.clone()).expect("still valid");
        prop_assert_eq!(decoded, LambdaRequest { max_wait_us, ..request.one_more_hop() });
        // And again: within one width of the counter, the message keeps its size.
        let again = RequestView::parse(&forwarded).expect("valid").forwarded(&forwarded, max_wait_us);
        let grew = again.len() - forwarded.len();
        prop_assert!(grew == 0 || RequestView::parse(&again).expect("valid").hops.is_power_of_two());
    }

    #[test]
    fn a_request_is_the_same_in_pieces(request in any_request(), first: u64, then: u64) {
        let encoded = Bytes::from(request.encode_to_vec());
        let forwarded = RequestView::parse(&encoded).expect("valid").forwarded(&encoded, first);
        for (message, max_wait_us) in [(&encoded, first), (&forwarded, then)] {
            let view = RequestView::parse(message).expect("valid");
            let pieces = view.forwarded_in_pieces(message, max_wait_us);
            prop_assert_eq!(pieces.concat(), view.forwarded(message, max_wait_us));
        }
    }

    #[test]
    fn a_question_is_the_forwarded_request_not_to_be_executed(request in any_request()) {
        let encoded = request.encode_to_vec();
        let view = RequestView::parse(&encoded).unwrap();
        let asked = LambdaRequest::decode(view.asking(&encoded)).unwrap();
        let forwarded = LambdaRequest::decode(view.forwarded(&encoded, 0)).unwrap();
        prop_assert_eq!(asked, LambdaRequest { dry: true, ..forwarded });
    }

    #[test]
    fn a_response_view_agrees_with_decoding(response in any_response()) {
        let encoded = response.encode_to_vec();
        let view = ResponseView::parse(&encoded).expect("valid");
        prop_assert_eq!((view.retcode, view.responder), (response.retcode.as_str(), response.responder.as_str()));
        prop_assert_eq!((view.ptime_ms, view.load1, view.hops), (response.ptime, response.load1, response.hops));
        prop_assert_eq!((view.in_flight, view.workers), (response.in_flight, response.workers));
        prop_assert_eq!((view.service_us, view.residence_us), (response.service_us, response.residence_us));
        prop_assert_eq!(view.asynchronous, response.asynchronous);
    }

    #[test]
    fn the_responder_is_filled_in_only_where_it_is_empty(response in any_response()) {
        let encoded = Bytes::from(response.encode_to_vec());
        let filled = match ResponseView::parse(&encoded).expect("valid").responder {
            "" => ResponseView::with_responder(encoded.clone(), "d:1"),
            _ => encoded.clone(),
        };
        if response.responder.is_empty() {
            let alone = ResponseView::with_responder(Bytes::copy_from_slice(&encoded), "d:1");
            prop_assert_eq!(&alone, &filled);
        }
        let expected = match response.responder.as_str() { "" => "d:1", other => other };
        let decoded = LambdaResponse::decode(filled).expect("still valid");
        prop_assert_eq!(&decoded.responder, expected);
        prop_assert_eq!(LambdaResponse { responder: response.responder.clone(), ..decoded }, response);
    }

    #[test]
    fn garbage_is_an_error_or_a_view_but_never_a_panic(garbage in proptest::collection::vec(any::<u8>(), 0..200)) {
        let view = RequestView::parse(&garbage);
        if LambdaRequest::decode(garbage.as_slice()).is_ok() {
            prop_assert!(view.is_ok(), "what prost accepts, the view accepts");
        }
        if let Ok(view) = view {
            drop(view.forwarded(&garbage, 7));
        }
        drop(ResponseView::parse(&garbage));
    }

    #[test]
    fn a_message_cut_short_is_never_taken_for_a_longer_one(request in any_request(), cut in any::<prop::sample::Index>()) {
        let encoded = request.encode_to_vec();
        prop_assume!(!encoded.is_empty());
        let part = &encoded[..cut.index(encoded.len())];
        prop_assert_eq!(RequestView::parse(part).is_ok(), LambdaRequest::decode(part).is_ok());
    }
}

#[test]
fn the_last_value_wins() {
    let twice = [
        LambdaRequest {
            name: "first".into(),
            hops: 1,
            ..LambdaRequest::default()
        }
        .encode_to_vec(),
        LambdaRequest {
            name: "last".into(),
            hops: 2,
            ..LambdaRequest::default()
        }
        .encode_to_vec(),
    ]
    .concat();
    let view = RequestView::parse(&twice).expect("valid");
    assert_eq!((view.name, view.hops), ("last", 2));
    let forwarded = LambdaRequest::decode(view.forwarded(&twice, 0)).expect("valid");
    assert_eq!((forwarded.hops, forwarded.forward), (3, true));
}

#[test]
fn errors_say_what_and_where() {
    let cases: [(&[u8], &str); 6] = [
        (b"\x0a\x05ab", "message ends within the field at byte 2"),
        (
            b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            "number of more than 64 bits at byte 1",
        ),
        (b"\x00\x01", "invalid field key at byte 0"),
        (b"\x32\x01x", "field 6 has wire type 2"),
        (b"\x08\x01", "field 1 has wire type 0"),
        (b"\x0a\x01\xff", "field 1 is not valid UTF-8"),
    ];
    for (message, expected) in cases {
        let error: Malformed = RequestView::parse(message).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_peer_that_knows_only_retcode_is_understood() {
    let outcome = |retcode: &str, outcome: i32| {
        let response = LambdaResponse {
            retcode: retcode.into(),
            outcome,
            ..LambdaResponse::default()
        };
        ResponseView::parse(&response.encode_to_vec())
            .expect("valid")
            .outcome()
    };
    assert_eq!(outcome("OK", 0), Outcome::Ok);
    assert_eq!(outcome("boom", 0), Outcome::ApplicationError);
    assert_eq!(
        outcome("boom", Outcome::Overloaded as i32),
        Outcome::Overloaded
    );
    assert_eq!(outcome("boom", 99), Outcome::ApplicationError);
}

#[test]
fn what_a_broker_says_of_itself_replaces_what_the_computer_said() {
    let response = LambdaResponse {
        in_flight: 7,
        workers: 1,
        service_us: 5,
        residence_us: 6,
        output: "kept".into(),
        ..LambdaResponse::default()
    };
    let load = BrokerLoad {
        in_flight: 70,
        workers: 8,
        residence_us: 900,
    };
    let message = ResponseView::with_load(&response.encode_to_vec(), load);
    let expected = LambdaResponse {
        in_flight: 70,
        workers: 8,
        residence_us: 900,
        ..response
    };
    assert_eq!(LambdaResponse::decode(message).expect("valid"), expected);
}
