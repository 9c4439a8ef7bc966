//! The stream of utilisation: one sample per second to every subscriber.

use std::pin::Pin;
use std::sync::Arc;

use edge_proto::rpc::edge_computer_server::{EdgeComputer, EdgeComputerServer};
use edge_proto::rpc::{Utilization, Void};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::executor::Executor;

/// Answers `StreamUtil`.
#[derive(Debug)]
pub(super) struct UtilizationService<E> {
    executor: Arc<E>,
    stop: CancellationToken,
}

impl<E: Executor> UtilizationService<E> {
    /// Streams the utilisation of `executor` until `stop`.
    pub(super) fn server(executor: Arc<E>, stop: CancellationToken) -> EdgeComputerServer<Self> {
        EdgeComputerServer::new(Self { executor, stop })
    }
}

#[tonic::async_trait]
impl<E: Executor> EdgeComputer for UtilizationService<E> {
    type StreamUtilStream = Pin<Box<dyn Stream<Item = Result<Utilization, Status>> + Send>>;

    async fn stream_util(
        &self,
        _: Request<Void>,
    ) -> Result<Response<Self::StreamUtilStream>, Status> {
        let samples = self.executor.utilization();
        let stop = self.stop.clone();
        let stream = unfold((samples, stop), |(mut samples, stop)| async move {
            loop {
                match stop.run_until_cancelled(samples.recv()).await? {
                    Ok(sample) => return Some((Ok((*sample).clone()), (samples, stop))),
                    // A slow subscriber has missed some; it goes on with the next one.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }
}
