//! The table server: `EdgeRouter` over gRPC.

use std::sync::Arc;

use edge_proto::rpc::edge_router_server::EdgeRouter;
use edge_proto::rpc::{
    EdgeRouterConf, ForwardingTable, NumTables, Return, TableId, Void, forwarding_table,
};
use tonic::{Request, Response, Status};

use crate::clock::Clock;
use crate::configure::{Weights, configure};
use crate::tables::Tables;

/// Serves the tables of a broker.
#[derive(Debug, Clone)]
pub(crate) struct TableService {
    pub(crate) tables: Arc<Tables>,
    pub(crate) clock: Clock,
    pub(crate) weights: Weights,
}

#[tonic::async_trait]
impl EdgeRouter for TableService {
    /// The status is always OK; errors are in `msg`.
    async fn configure(
        &self,
        request: Request<EdgeRouterConf>,
    ) -> Result<Response<Return>, Status> {
        let operation = request.into_inner();
        let msg = match configure(&self.tables, self.weights, &operation, self.clock.now()) {
            Ok(()) => "OK".to_owned(),
            Err(error) => {
                tracing::warn!(%error, ?operation, "table operation refused");
                format!("Error: {error}")
            }
        };
        Ok(Response::new(Return { msg }))
    }

    /// A table that does not exist is an empty one.
    async fn get_table(
        &self,
        request: Request<TableId>,
    ) -> Result<Response<ForwardingTable>, Status> {
        let id = request.into_inner();
        let Some(table) = self.tables.by_id(id.value) else {
            return Ok(Response::new(ForwardingTable::default()));
        };
        let offset = usize::try_from(id.offset).unwrap_or(usize::MAX);
        let limit = if id.limit == 0 {
            usize::MAX
        } else {
            id.limit as usize
        };
        let entries = table
            .page(offset, limit)
            .into_iter()
            .map(|entry| forwarding_table::Entry {
                lambda: entry.lambda,
                destination: entry.destination,
                weight: entry.weight,
                r#final: entry.is_final,
            });
        let entries = entries.collect();
        let paged = id.offset != 0 || id.limit != 0;
        let total = if paged { table.len() as u64 } else { 0 };
        Ok(Response::new(ForwardingTable { entries, total }))
    }

    async fn get_num_tables(&self, _: Request<Void>) -> Result<Response<NumTables>, Status> {
        Ok(Response::new(NumTables {
            value: self.tables.count(),
        }))
    }
}
