//! Mutual TLS, on the lambda service and on the rest.

#[path = "../../../../transport/tests/suite/support/certificates.rs"]
mod certificates;

use std::sync::Arc;

use certificates::certificates;
use edge_computer::config::Config;
use edge_computer::server::{EdgeComputer, Handle};
use edge_proto::rpc::edge_computer_client::EdgeComputerClient;
use edge_proto::rpc::{LambdaRequest, Void};
use edge_transport::tls::TlsFiles;
use edge_transport::{ClientOptions, Core, Endpoint, LambdaClient, control};

use super::support::{client, try_ask};

async fn computer(secure: bool, control: bool, files: &TlsFiles) -> Handle {
    let mut config = Config::default();
    config.server.endpoint = "127.0.0.1:0".parse().unwrap();
    config.server.advertise = "localhost:6473".parse::<Endpoint>().unwrap().into();
    config.server.num_threads = Some(1);
    config.server.secure = secure;
    config.utilization.endpoint = "127.0.0.1:0".parse::<Endpoint>().unwrap().into();
    config.tls.control = control;
    config.tls.files = Some(files.clone());
    config.admin.0.endpoint = "".parse().unwrap();
    EdgeComputer::start(config).await.unwrap()
}

#[tokio::test]
async fn each_plane_is_secured_on_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificates(folder.path(), &["localhost"]);
    let options = ClientOptions {
        tls: Some(files.client_config().unwrap()),
        ..ClientOptions::default()
    };
    let with_certificate = LambdaClient::new(Core::current(), Arc::new(options));
    let request = LambdaRequest::new("clambda0", "x");
    for secure in [true, false] {
        let computer = computer(secure, !secure, &files).await;
        let lambdas = Endpoint::new("localhost", computer.address().port());
        let encrypted = try_ask(&with_certificate, &lambdas, &request).await;
        let plain = try_ask(&client(), &lambdas, &request).await;
        assert_eq!((encrypted.is_ok(), plain.is_ok()), (secure, !secure));

        let port = computer.utilization_address().unwrap().port();
        let stream = Endpoint::new("localhost", port);
        let tls = files.client_config().unwrap();
        for (tls, works) in [(Some(tls), !secure), (None, secure)] {
            let mut client = EdgeComputerClient::new(control::streaming_channel(&stream, tls));
            assert_eq!(client.stream_util(Void {}).await.is_ok(), works);
        }
    }
}
