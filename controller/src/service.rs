//! The gRPC service: announcements in, `Void` out, without waiting for any router.

use std::sync::Arc;
use std::time::Instant;

use edge_proto::rpc::edge_controller_server::EdgeController;
use edge_proto::rpc::{ComputerInfo, RouterInfo, Void};
use edge_transport::Seldom;
use tonic::{Request, Response, Status};

use crate::announcement::{self, Invalid};
use crate::fleet::Fleet;
use crate::registry::Full;

/// `uiiit.rpc.EdgeController`.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) fleet: Arc<Fleet>,
    /// Anybody who reaches the port can have announcements refused, as often as they like.
    pub(crate) refused: Seldom,
}

/// Why an announcement is not accepted.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Full(#[from] Full),
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(invalid) => Self::invalid_argument(invalid.to_string()),
            Refused::Full(full) => Self::resource_exhausted(full.to_string()),
        }
    }
}

impl Service {
    fn announce_computer(&self, request: Request<ComputerInfo>) -> Result<(), Refused> {
        let peer = request.remote_addr();
        let announced = announcement::computer(request.into_inner(), peer)?;
        self.fleet
            .event(|registry, now| registry.announce_computer(now, announced))?;
        Ok(())
    }

    fn announce_router(&self, request: &Request<RouterInfo>) -> Result<(), Refused> {
        let announced = announcement::router(request.get_ref(), request.remote_addr())?;
        self.fleet
            .event(|registry, now| registry.announce_router(now, announced))?;
        Ok(())
    }

    fn remove_computer(&self, request: &Request<ComputerInfo>) -> Result<(), Refused> {
        let peer = request.remote_addr();
        let (computer, generation) = announcement::removal(request.get_ref(), peer)?;
        self.fleet
            .happens(|registry, _| registry.remove_computer(&computer, generation));
        Ok(())
    }

    fn answer(
        &self,
        method: &'static str,
        outcome: Result<(), Refused>,
    ) -> Result<Response<Void>, Status> {
        self.fleet.metrics().announced(method, outcome.is_ok());
        match outcome {
            Ok(()) => Ok(Response::new(Void {})),
            Err(refused) => {
                if let Some(others) = self.refused.due(Instant::now()) {
                    tracing::warn!(method, error = %refused, others, "announcement refused");
                }
                Err(refused.into())
            }
        }
    }
}

#[tonic::async_trait]
impl EdgeController for Service {
    async fn announce_computer(
        &self,
        request: Request<ComputerInfo>,
    ) -> Result<Response<Void>, Status> {
        self.answer("AnnounceComputer", self.announce_computer(request))
    }

    async fn announce_router(
        &self,
        request: Request<RouterInfo>,
    ) -> Result<Response<Void>, Status> {
        self.answer("AnnounceRouter", self.announce_router(&request))
    }

    async fn remove_computer(
        &self,
        request: Request<ComputerInfo>,
    ) -> Result<Response<Void>, Status> {
        self.answer("RemoveComputer", self.remove_computer(&request))
    }
}
