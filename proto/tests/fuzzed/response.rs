//! What holds for any bytes that claim to be a response.

use bytes::Bytes;
use edge_proto::rpc::LambdaResponse;
use edge_proto::view::{BrokerLoad, ResponseView};
use prost::Message as _;

/// Panics if the view of `data` is not what decoding says, or passing it back changes what it must
/// not.
pub(crate) fn check(data: &[u8]) {
    let decoded = LambdaResponse::decode(data);
    let Ok(view) = ResponseView::parse(data) else {
        assert!(decoded.is_err(), "decoding accepts what the view refuses");
        return;
    };
    let load = BrokerLoad {
        in_flight: u32::MAX,
        workers: 0,
        residence_us: u64::MAX,
    };
    let loaded = ResponseView::with_load(data, load);
    assert!(loaded.starts_with(data) && loaded.len() <= data.len() + 32);
    let message = Bytes::copy_from_slice(data);
    let named = ResponseView::with_responder(message, "127.0.0.1:6473");
    assert!(named.starts_with(data));
    let again = ResponseView::parse(&named).expect("it is as valid as before");
    assert!(!again.responder.is_empty());
    assert_eq!(again.outcome(), view.outcome());

    let Ok(response) = decoded else { return };
    assert_eq!(view.retcode, response.retcode);
    assert_eq!(view.responder, response.responder);
    assert_eq!(
        (view.ptime_ms, view.load1),
        (response.ptime, response.load1)
    );
    assert_eq!(
        (view.hops, view.asynchronous),
        (response.hops, response.asynchronous)
    );
    assert_eq!(
        (view.in_flight, view.workers),
        (response.in_flight, response.workers)
    );
    assert_eq!(view.service_us, response.service_us);
    assert_eq!(view.residence_us, response.residence_us);
    assert_eq!(view.cold_start_us, response.cold_start_us);
    let expected = LambdaResponse {
        in_flight: load.in_flight,
        workers: load.workers,
        residence_us: load.residence_us,
        ..response
    };
    assert_eq!(LambdaResponse::decode(loaded), Ok(expected));
}
