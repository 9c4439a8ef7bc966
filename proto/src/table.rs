//! Reads the table of a router that may lie about it.

use tonic::client::{Grpc, GrpcService};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{Body, Bytes, StdError};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::counted::Counted;
use crate::rpc::{ForwardingTable, TableId};

/// Entries that one answer may have, of whatever length. Routers that know pages send as many as they were
/// asked for; those of the C++ reference, which send all they have, have far fewer: their own clients accept
/// four megabytes.
pub const MOST_AT_ONCE: usize = 1_000_000;

/// A page of a table, from an answer of at most so many bytes.
///
/// # Errors
///
/// What gRPC says, and `RESOURCE_EXHAUSTED` for an answer with more than [`MOST_AT_ONCE`] entries, of which
/// no more than these take memory.
pub async fn page<T>(router: T, id: TableId, most_bytes: usize) -> Result<ForwardingTable, Status>
where
    T: GrpcService<tonic::body::Body>,
    T::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    type Answer = Counted<ForwardingTable, MOST_AT_ONCE>;
    let mut router = Grpc::new(router).max_decoding_message_size(most_bytes);
    let path = PathAndQuery::from_static("/uiiit.rpc.EdgeRouter/GetTable");
    let ready = router.ready().await;
    ready.map_err(|error| Status::from_error(error.into()))?;
    let codec = ProstCodec::<TableId, Answer>::default();
    let answer = router
        .unary(Request::new(id), path, codec)
        .await?
        .into_inner();
    if answer.exceeds() {
        let text = format!("more than {MOST_AT_ONCE} entries in one answer, which no router has");
        return Err(Status::resource_exhausted(text));
    }
    Ok(answer.0)
}
