//! The requests of these experiments, each of which has a number that computers find in it.

use edge_proto::rpc::LambdaRequest;

/// The lambda that all computers serve.
pub(super) const LAMBDA: &str = "chaos";
/// The input that makes the function fail.
pub(super) const POISON: &str = "poison";

/// The request of that number.
pub(super) fn numbered(number: u64, idempotent: bool, input: &str) -> LambdaRequest {
    LambdaRequest {
        idempotent,
        uuid: identity(number),
        ..LambdaRequest::new(LAMBDA, input)
    }
}

/// The identity of the request of that number, in the form of a UUID.
pub(super) fn identity(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// The number of the request of that identity; `None` if it is not one of ours.
pub(super) fn number(identity: &str) -> Option<u64> {
    let (_, last) = identity.rsplit_once('-')?;
    u64::from_str_radix(last, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_tells_the_number() {
        for expected in [0, 1, 1_000_000, (1 << 48) - 1] {
            assert_eq!(identity(expected).len(), 36);
            assert_eq!(number(&identity(expected)), Some(expected));
        }
        assert_eq!(number("nobody"), None);
    }
}
