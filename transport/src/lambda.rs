//! The seam between moving bytes and deciding where they go.

use std::future::Future;
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use tonic::Status;

use crate::{Core, Metadata};

/// One request to run a lambda, as it came from the wire or is to go there.
#[derive(Debug, Clone)]
pub struct LambdaCall {
    /// The encoded [`LambdaRequest`](edge_proto::rpc::LambdaRequest).
    pub message: Bytes,
    /// Metadata of the caller, without what belongs to one hop only.
    pub metadata: Metadata,
    /// When the caller stops waiting.
    pub deadline: Instant,
}

/// The answer to a [`LambdaCall`].
#[derive(Debug, Clone, Default)]
pub struct LambdaReply {
    /// The encoded [`LambdaResponse`](edge_proto::rpc::LambdaResponse).
    pub message: Bytes,
    /// Trailing metadata for the caller.
    pub trailers: Metadata,
}

/// Who sent a request, as far as being fair to all is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its address, without the port.
    pub host: IpAddr,
    /// One connection of the host; never the same for two of them.
    pub connection: u64,
}

/// Whoever answers `RunLambda`: a broker, a computer. Or another method that is called as often, with
/// one message each way and nothing in between.
///
/// Errors of lambdas and platforms are part of the reply. A [`Status`] is for
/// faults of the frame only, because clients of the reference stop at one.
pub trait LambdaService: Send + Sync + 'static {
    /// gRPC path of the method.
    const METHOD: &'static str = edge_proto::RUN_LAMBDA_PATH;

    /// Answers one call of `peer` that arrived on `core`. The future is dropped when the
    /// caller cancels; the server does not watch the deadline.
    fn run(
        &self,
        core: &Core,
        peer: Peer,
        call: LambdaCall,
    ) -> impl Future<Output = Result<LambdaReply, Status>> + Send;

    /// Several calls have arrived together, and [`Self::run`] is about to begin for one after the
    /// other: what they need can be looked for together. Not every transport says so.
    fn came_together<'a>(&self, calls: impl Iterator<Item = &'a LambdaCall>) {
        drop(calls);
    }
}

/// The service of a server without a lambda plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLambda {}

impl LambdaService for NoLambda {
    async fn run(&self, _: &Core, _: Peer, _: LambdaCall) -> Result<LambdaReply, Status> {
        match *self {}
    }
}
