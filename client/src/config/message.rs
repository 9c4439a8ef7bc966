//! Whether requests fit into messages.

use edge_proto::rpc::LambdaRequest;
use edge_transport::{Endpoint, Limits};
use prost::Message as _;

use super::{Config, ConfigProblem, require};
use crate::workflow::Plan;

impl Config {
    /// Whether the largest input can be sent, be it for `plan` or for the lambda.
    pub(super) fn validate_message(&self, plan: Option<&Plan>) -> Result<(), ConfigProblem> {
        let limit = Limits::default().max_message_bytes;
        let (key, input) = match &self.content {
            Some(content) => ("content", content.len()),
            None => ("sizes", self.sizes.iter().copied().max().unwrap_or(0)),
        };
        // The field's key is one byte.
        let around =
            self.without_input(plan).encoded_len() + 1 + prost::length_delimiter_len(input);
        require(
            key,
            input.saturating_add(around) <= limit,
            format!(
                "messages cannot be larger than {limit} bytes, of which {around} are not input"
            ),
        )
    }

    fn without_input(&self, plan: Option<&Plan>) -> LambdaRequest {
        // Port 0 becomes a free one, maybe of five digits.
        let callback = |at: &Endpoint| Endpoint::new(at.host(), u16::MAX).to_string();
        let request = LambdaRequest {
            dry: self.dry,
            idempotent: self.idempotent,
            callback: self
                .callback_endpoint
                .as_ref()
                .map(callback)
                .unwrap_or_default(),
            ..LambdaRequest::new(self.lambda.as_str(), "")
        };
        match plan {
            Some(plan) => plan.workflow().begin(request),
            None => request,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_input_is_what_fits_beside_the_rest_of_a_request() {
        let limit = Limits::default().max_message_bytes;
        let of = |size| Config {
            sizes: vec![100, size],
            ..Config::default()
        };
        assert!(of(limit).validate().is_err());
        let fits = (0..200).find(|less| of(limit - less).validate().is_ok());
        let largest = limit - fits.unwrap();
        let request = LambdaRequest::new("clambda0", "x".repeat(largest));
        assert_eq!(request.encoded_len(), limit);
        let content = |length| Config {
            content: Some("x".repeat(length)),
            ..Config::default()
        };
        assert!(content(largest).validate().is_ok());
        assert_eq!(content(largest + 1).validate().unwrap_err().key, "content");
    }
}
