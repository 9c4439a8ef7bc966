//! The services that every port of ours offers: health and reflection.

use tonic::service::Routes;
pub use tonic_health::server::HealthReporter;

/// `grpc.health.v1.Health` and server reflection over the whole contract. The
/// reporter says whether the server, named by the empty string, is serving.
pub fn standard() -> (HealthReporter, Routes) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(edge_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors were compiled from valid files");
    (reporter, Routes::new(health).add_service(reflection))
}
