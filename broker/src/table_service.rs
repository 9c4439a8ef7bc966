//! The table server: `EdgeRouter` over gRPC.

use std::sync::Arc;
use std::time::Instant;

use edge_proto::CONFIGURE_PATH;
use edge_proto::rpc::edge_router_conf::Action;
use edge_proto::rpc::edge_router_server::EdgeRouter;
use edge_proto::rpc::{
    EdgeRouterConf, ForwardingTable, NumTables, Return, TableId, Void, forwarding_table,
};
use edge_transport::{Core, LambdaCall, LambdaReply, LambdaService, Metadata, Peer, Seldom};
use prost::Message as _;
use tonic::{Request, Response, Status};

use crate::clock::Clock;
use crate::configure::{Weights, configure};
use crate::tables::Tables;

/// Entries of a table that are listed at a time, before requests have their turn.
const PORTION: usize = 500;

/// Serves the tables of a broker.
#[derive(Debug, Clone)]
pub(crate) struct TableService {
    pub(crate) tables: Arc<Tables>,
    pub(crate) clock: Clock,
    pub(crate) weights: Weights,
    /// Anybody who reaches the port can have operations refused, as often and as long as they like.
    pub(crate) refused: Arc<Seldom>,
}

impl TableService {
    /// The status is always OK; errors are in `msg`.
    fn carry_out(&self, operation: &EdgeRouterConf) -> Return {
        let now = self.clock.now();
        let done = configure(&self.tables, self.weights, operation, now);
        if operation.action() != Action::Flush {
            self.tables.first().configured(operation.filling(), now);
        }
        let msg = match done {
            Ok(()) => "OK".to_owned(),
            Err(error) => {
                let msg = format!("Error: {error}");
                self.tell_refused(operation, &msg);
                msg
            }
        };
        Return { msg }
    }

    fn tell_refused(&self, operation: &EdgeRouterConf, msg: &str) {
        let Some(others) = self.refused.due(Instant::now()) else {
            return;
        };
        tracing::warn!(
            others,
            action = operation.action,
            lambda = beginning(&operation.lambda),
            destination = beginning(&operation.destination),
            owner = beginning(&operation.owner),
            weight = operation.weight,
            is_final = operation.r#final,
            msg = beginning(msg),
            "table operation refused"
        );
    }
}

/// As much of a text from outside as a log line takes.
fn beginning(text: &str) -> &str {
    const MOST: usize = 128;
    &text[..text.floor_char_boundary(MOST)]
}

/// `Configure` comes up to a thousand times per second, and is spared the way through tonic.
impl LambdaService for TableService {
    const METHOD: &'static str = CONFIGURE_PATH;

    async fn run(&self, _: &Core, _: Peer, call: LambdaCall) -> Result<LambdaReply, Status> {
        let operation = EdgeRouterConf::decode(call.message)
            .map_err(|error| Status::internal(format!("Configure: {error}")))?;
        Ok(LambdaReply {
            message: self.carry_out(&operation).encode_to_vec().into(),
            trailers: Metadata::default(),
        })
    }
}

#[tonic::async_trait]
impl EdgeRouter for TableService {
    async fn configure(
        &self,
        request: Request<EdgeRouterConf>,
    ) -> Result<Response<Return>, Status> {
        Ok(Response::new(self.carry_out(&request.into_inner())))
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
        let owners = self.tables.owners();
        let mut listing = table.list(offset, limit);
        let paged = id.offset != 0 || id.limit != 0;
        let total = if paged { listing.total() as u64 } else { 0 };
        let mut entries = Vec::with_capacity(listing.left());
        while listing.left() > 0 {
            let portion = listing.take(PORTION).into_iter();
            entries.extend(portion.map(|entry| forwarding_table::Entry {
                lambda: entry.lambda,
                destination: entry.destination,
                weight: entry.weight,
                r#final: entry.is_final,
                owner: owners.name(entry.owner).to_owned(),
            }));
            tokio::task::yield_now().await;
        }
        Ok(Response::new(ForwardingTable {
            entries,
            total,
            has_owners: true,
        }))
    }

    async fn get_num_tables(&self, _: Request<Void>) -> Result<Response<NumTables>, Status> {
        Ok(Response::new(NumTables {
            value: self.tables.count(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_balance::{OptimizerConfig, PolicyConfig, RouteChange};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// Tasks of one thread.
    #[tokio::test]
    async fn others_have_their_turn_while_a_large_table_is_listed() {
        let clock = Clock::start();
        let tables = Tables::new(&PolicyConfig::default(), &[], &OptimizerConfig::None, None);
        let names: Vec<_> = (0..4 * PORTION).map(|n| format!("10.0.0.1:{n}")).collect();
        let routes: Vec<_> = names
            .iter()
            .map(|destination| RouteChange {
                destination,
                weight: 1.0,
                is_final: true,
            })
            .collect();
        tables.preload(&["f"], &routes, clock.now()).unwrap();
        let service = TableService {
            tables: Arc::new(tables),
            clock,
            weights: Weights::Costs,
            refused: Arc::default(),
        };
        let turns = Arc::new(AtomicUsize::new(0));
        let other = tokio::spawn({
            let turns = turns.clone();
            async move {
                loop {
                    turns.fetch_add(1, Relaxed);
                    tokio::task::yield_now().await;
                }
            }
        });
        let table = service.get_table(Request::new(TableId::default())).await;
        assert_eq!(table.unwrap().into_inner().entries.len(), names.len());
        assert!(turns.load(Relaxed) >= 3);
        other.abort();
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(beginning("short"), "short");
        assert_eq!(beginning(&"x".repeat(1000)).len(), 128);
        let umlauts = format!("x{}", "ü".repeat(1000));
        assert_eq!(beginning(&umlauts).len(), 127);
    }
}
