//! The services that every port of ours offers: health and reflection.

use http::{HeaderMap, Response};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_health::ServingStatus;
pub use tonic_health::server::HealthReporter;

/// What `grpc.health.v1.Health` says of one port: of all of it, under the empty name
/// that `grpc_health_probe` and Kubernetes ask for by default, and of each service under
/// its full name, which is what gRPC clients ask for that check health by themselves.
#[derive(Debug)]
pub struct Health {
    reporter: HealthReporter,
    services: &'static [&'static str],
}

impl Health {
    /// From now on the port and its services are not serving. Whoever watches one is told
    /// at once.
    pub async fn leave(&self) {
        self.say(ServingStatus::NotServing).await;
    }

    async fn say(&self, status: ServingStatus) {
        for service in self.services.iter().chain([&""]) {
            self.reporter.set_service_status(service, status).await;
        }
    }
}

/// `grpc.health.v1.Health` and server reflection over the whole contract. `services`, by
/// their full names, are serving until the port [leaves](Health::leave).
pub async fn healthy(services: &'static [&'static str]) -> (Health, Routes) {
    let (reporter, routes) = standard();
    let health = Health { reporter, services };
    health.say(ServingStatus::Serving).await;
    (health, routes)
}

/// As [`healthy`], of no service by name. The reporter says whether the server, named by
/// the empty string, is serving.
pub fn standard() -> (HealthReporter, Routes) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(edge_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let valid = "the descriptors were compiled from valid files";
    let routes = Routes::new(health)
        .add_service(described().build_v1().expect(valid))
        // The only version that Python's `grpcio-reflection` and older tools ask for.
        .add_service(described().build_v1alpha().expect(valid));
    (reporter, routes)
}

/// Whether calls of this method last as long as the caller likes, tell what concerns the
/// server as a whole, and therefore end when it leaves: nobody loses anything.
pub(crate) fn ends_with_the_server(path: &str) -> bool {
    path == "/grpc.health.v1.Health/Watch" || path.starts_with("/grpc.reflection.")
}

/// Characters of a path that are repeated to whoever asked for it.
const MOST_OF_PATH: usize = 256;

/// The answer to a request for `path`, with words where a method is unknown, for which `tonic` has none.
pub(crate) fn explained(answer: Response<Body>, path: &str) -> Response<Body> {
    let status = Status::from_header_map(answer.headers());
    let is_bare =
        |status: Status| status.code() == Code::Unimplemented && status.message().is_empty();
    if !status.is_some_and(is_bare) {
        return answer;
    }
    let path: String = path.chars().take(MOST_OF_PATH).collect();
    Status::unimplemented(format!("nobody serves {path} here")).into_http()
}

/// Ends when an answer that lasts has to end; never where there is nothing to wait for.
pub(crate) async fn until(over: Option<CancellationToken>) {
    match over {
        Some(over) => over.cancelled_owned().await,
        None => std::future::pending().await,
    }
}

/// What an answer ends with that would outlast the server.
pub(crate) fn leaving() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // It fits: there are no details in it.
    let _added = Status::unavailable("the server is leaving").add_header(&mut trailers);
    trailers
}
