//! What is understood of the headers of a request.

use http::{HeaderMap, HeaderValue};

/// The headers that count, found in one go. Of several of one name the first does.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heard<'a> {
    /// Names a request.
    pub(super) request_id: Option<&'a HeaderValue>,
    /// A promise of the client: one key, one execution.
    pub(super) idempotency_key: Option<&'a HeaderValue>,
    /// Nodes that the request has passed.
    pub(super) hops: Option<&'a HeaderValue>,
    /// What travels on, so that traces stay together.
    pub(super) traceparent: Option<&'a HeaderValue>,
    pub(super) tracestate: Option<&'a HeaderValue>,
}

impl<'a> Heard<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut heard = Self::default();
        for (name, value) in headers {
            let place = match name.as_str() {
                "x-request-id" => &mut heard.request_id,
                "idempotency-key" => &mut heard.idempotency_key,
                "x-soe-hops" => &mut heard.hops,
                "traceparent" => &mut heard.traceparent,
                "tracestate" => &mut heard.tracestate,
                _ => continue,
            };
            place.get_or_insert(value);
        }
        heard
    }
}

/// A value as text, if it is some.
pub(super) fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_values_the_first_counts() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-request-id", "1"),
            ("accept", "2"),
            ("x-request-id", "3"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let heard = Heard::of(&headers);
        assert_eq!(text(heard.request_id), Some("1"));
        assert!(heard.hops.is_none());
    }
}
