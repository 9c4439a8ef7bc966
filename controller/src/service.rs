//! The gRPC service: announcements in, `Void` out, without waiting for any router.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use edge_proto::counted::Counted;
use edge_proto::rpc::edge_controller_server::SERVICE_NAME;
use edge_proto::rpc::{ComputerInfo, RouterInfo, Void};
use edge_transport::Seldom;
use prost::Message;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::announcement::{self, Invalid, MAX_CONTAINERS};
use crate::fleet::Fleet;
use crate::registry::Full;

/// Largest announcement accepted, in bytes: as many containers as allowed,
/// with names as long as allowed.
const MAX_ANNOUNCEMENT_BYTES: usize = 16 << 20;

type Answer = Result<Response<Void>, Status>;

/// What a computer announces. With more containers than it may have it is found invalid.
type Announced = Counted<ComputerInfo, MAX_CONTAINERS>;

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
    fn announce_computer(&self, request: Request<Announced>) -> Result<(), Refused> {
        let peer = request.remote_addr();
        let announced = announcement::computer(request.into_inner().0, peer)?;
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

    fn remove_computer(&self, request: &Request<Announced>) -> Result<(), Refused> {
        let peer = request.remote_addr();
        let (computer, generation) = announcement::removal(&request.get_ref().0, peer)?;
        self.fleet
            .happens(|registry, _| registry.remove_computer(&computer, generation));
        Ok(())
    }

    fn answer(&self, method: &'static str, outcome: Result<(), Refused>) -> Answer {
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

/// The service as a server takes it. It is not the generated one, which would decode all of an
/// announcement before anybody looks at it.
#[derive(Debug, Clone)]
pub(crate) struct Served(pub(crate) Arc<Service>);

impl NamedService for Served {
    const NAME: &'static str = SERVICE_NAME;
}

impl tonic::codegen::Service<http::Request<Body>> for Served {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move {
            let (_, method) = request.uri().path().rsplit_once('/').unwrap_or_default();
            Ok(match method {
                "AnnounceComputer" => {
                    let announce = move |request: Request<Announced>| {
                        service.answer("AnnounceComputer", service.announce_computer(request))
                    };
                    unary(announce, request).await
                }
                "AnnounceRouter" => {
                    let announce = move |request: Request<RouterInfo>| {
                        service.answer("AnnounceRouter", service.announce_router(&request))
                    };
                    unary(announce, request).await
                }
                "RemoveComputer" => {
                    let remove = move |request: Request<Announced>| {
                        service.answer("RemoveComputer", service.remove_computer(&request))
                    };
                    unary(remove, request).await
                }
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

/// Decodes a request, and encodes what is answered.
async fn unary<M: Message + Default + 'static>(
    answer: impl FnMut(Request<M>) -> Answer,
    request: http::Request<Body>,
) -> http::Response<Body> {
    Grpc::new(ProstCodec::<Void, M>::default())
        .apply_max_message_size_config(Some(MAX_ANNOUNCEMENT_BYTES), None)
        .unary(Method(answer), request)
        .await
}

/// What answers the requests of one method.
struct Method<F>(F);

impl<M, F: FnMut(Request<M>) -> Answer> UnaryService<M> for Method<F> {
    type Response = Void;
    type Future = Ready<Answer>;

    fn call(&mut self, request: Request<M>) -> Self::Future {
        ready((self.0)(request))
    }
}
