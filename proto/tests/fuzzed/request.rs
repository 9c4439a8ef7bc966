//! What holds for any bytes that claim to be a request.

use bytes::Bytes;
use edge_proto::rpc::LambdaRequest;
use edge_proto::view::RequestView;
use prost::Message as _;

/// Panics if the view of `data` is not what decoding says, or passing it on changes what it must
/// not.
pub(crate) fn check(data: &[u8]) {
    let decoded = LambdaRequest::decode(data);
    let Ok(view) = RequestView::parse(data) else {
        assert!(decoded.is_err(), "decoding accepts what the view refuses");
        return;
    };
    for max_wait_us in [0, 1, 1 << 20, u64::MAX] {
        passed_on(data, &view, decoded.as_ref().ok(), max_wait_us);
    }
    let Ok(request) = decoded else { return };
    assert_eq!(view.name, request.name);
    assert_eq!(view.uuid, request.uuid);
    assert_eq!((view.dry, view.forward), (request.dry, request.forward));
    assert_eq!(
        (view.hops, view.idempotent),
        (request.hops, request.idempotent)
    );
    assert_eq!(view.max_wait_us, request.max_wait_us);
    assert_eq!(view.asynchronous, !request.callback.is_empty());
    assert!(view.input_bytes >= request.input.len().max(request.datain.len()));
    assert!(view.input_bytes <= data.len());
    let asked = view.asking(data);
    let expected = LambdaRequest {
        dry: true,
        max_wait_us: 0,
        ..request.one_more_hop()
    };
    assert_eq!(LambdaRequest::decode(asked), Ok(expected));
}

/// Whether anybody can decode it or not, it stays as long as it was but for three numbers, and can
/// be passed on again.
fn passed_on(
    data: &[u8],
    view: &RequestView<'_>,
    decoded: Option<&LambdaRequest>,
    max_wait_us: u64,
) {
    let forwarded = view.forwarded(data, max_wait_us);
    assert!(forwarded.len() >= data.len() && forwarded.len() <= data.len() + 24);
    let changed = data.iter().zip(&forwarded).filter(|(old, new)| old != new);
    assert!(
        changed.count() <= 30,
        "more than three numbers have changed"
    );
    let again = RequestView::parse(&forwarded).expect("it is as valid as before");
    assert_eq!((again.name, again.uuid), (view.name, view.uuid));
    assert_eq!((again.forward, again.dry), (true, view.dry));
    assert_eq!(again.hops, view.hops.saturating_add(1));
    assert_eq!(again.max_wait_us, max_wait_us);
    if let Some(request) = decoded {
        let expected = LambdaRequest {
            max_wait_us,
            ..request.clone().one_more_hop()
        };
        let whole = Bytes::copy_from_slice(data);
        let pieces = view.forwarded_in_pieces(&whole, max_wait_us).concat();
        assert_eq!(LambdaRequest::decode(&pieces[..]).as_ref(), Ok(&expected));
        assert_eq!(LambdaRequest::decode(forwarded), Ok(expected));
    }
}
