//! What happens to requests and responses on their way: hops, forwarding, identity.

use uuid::Uuid;

use crate::rpc::{LambdaRequest, LambdaResponse, Outcome};
use crate::{MAX_HOPS, OK};

impl LambdaRequest {
    /// A request as a client makes it: fresh identity, no hops, not forwarded.
    pub fn new(name: impl Into<String>, input: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            input: input.into(),
            uuid: Uuid::new_v4().to_string(),
            ..Self::default()
        }
    }

    /// This request as an edge node passes it on: forwarded, one more hop,
    /// same identity.
    #[must_use]
    pub fn one_more_hop(mut self) -> Self {
        self.forward = true;
        self.hops = self.hops.saturating_add(1);
        self
    }

    /// The request for function `index` of the chain or graph that `self` is
    /// part of, given the answer of the function before it. It leaves as if a
    /// client had sent it (not forwarded), keeps identity, callback and
    /// structure, and takes input and states from the answer.
    #[must_use]
    pub fn next_function(
        &self,
        name: impl Into<String>,
        index: u32,
        answer: LambdaResponse,
    ) -> Self {
        Self {
            name: name.into(),
            input: answer.output,
            datain: answer.dataout,
            states: answer.states,
            forward: false,
            hops: self.hops.saturating_add(1),
            next_function_index: index,
            ..self.clone()
        }
    }

    /// True if the request has passed so many nodes that it must be going in
    /// circles.
    pub fn is_looping(&self) -> bool {
        self.hops > MAX_HOPS
    }

    /// The name a person reads: the functions of the chain joined with `-`,
    /// or the lambda.
    pub fn display_name(&self) -> String {
        if self.chain.is_empty() {
            self.name.clone()
        } else {
            self.chain.join("-")
        }
    }
}

impl LambdaResponse {
    /// An answer that carries nothing but an error.
    pub fn error(outcome: Outcome, retcode: impl Into<String>) -> Self {
        Self {
            retcode: retcode.into(),
            outcome: outcome as i32,
            ..Self::default()
        }
    }

    /// The immediate answer to a request with a callback.
    pub fn acknowledgement() -> Self {
        Self {
            retcode: OK.to_owned(),
            asynchronous: true,
            outcome: Outcome::Ok as i32,
            ..Self::default()
        }
    }

    /// True if the function was executed, or its execution was promised.
    pub fn is_ok(&self) -> bool {
        self.retcode == OK
    }

    /// Sets the three loads from fractions, rounded to whole per cents.
    #[must_use]
    pub fn with_loads(mut self, load1: f64, load10: f64, load30: f64) -> Self {
        self.load1 = per_cent(load1);
        self.load10 = per_cent(load10);
        self.load30 = per_cent(load30);
        self
    }
}

/// Rounds a fraction to whole per cents, as the reference does: floor(0.5 + 100 x).
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts from float saturate, and the value is clamped at 0"
)]
pub fn per_cent(fraction: f64) -> u32 {
    (0.5 + 100.0 * fraction).floor().max(0.0) as u32
}
