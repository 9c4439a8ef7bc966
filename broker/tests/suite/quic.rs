//! A router process in front of a computer, each over QUIC or TCP, and what it is told.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use crate::support::process::Process;
use crate::support::{PATIENCE, request};
use assert_cmd::cargo::CommandCargoExt as _;
use edge_proto::rpc::{LambdaRequest, LambdaResponse};
use edge_transport::quic::{Congestion, Options};
use edge_transport::tls::TlsFiles;
use edge_transport::{
    ClientOptions, Core, Cores, Endpoint, LambdaCall, LambdaClient, LambdaHandler, Listener,
    Listens, Scheme, Server, Typed, TypedReply,
};
use prost::Message as _;
use tonic::service::Routes;

/// Writes a CA and certificates of both roles into `folder`.
fn certificates(folder: &Path) -> TlsFiles {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    std::fs::write(folder.join("ca.crt"), ca_certificate.pem()).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    for role in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        std::fs::write(folder.join(format!("{role}.crt")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{role}.key")), key.serialize_pem()).unwrap();
    }
    TlsFiles::from_variables(|name| (name == "CERT_DIR").then(|| folder.to_owned())).unwrap()
}

/// Answers with what it is given.
struct Echo;

impl LambdaHandler for Echo {
    async fn handle(
        &self,
        _: &Core,
        request: LambdaRequest,
        _: Instant,
    ) -> Result<TypedReply, String> {
        Ok(LambdaResponse {
            retcode: "OK".to_owned(),
            output: request.input,
            dataout: request.datain,
            ..LambdaResponse::default()
        }
        .into())
    }
}

#[tokio::test]
async fn a_router_takes_requests_by_one_way_and_passes_them_on_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificates(folder.path());
    let tls = files.server_config().unwrap();
    let cores = Arc::new(Cores::start("computer", NonZeroUsize::MIN).unwrap());
    let listener = Listener::bind_for(&Endpoint::new("127.0.0.1", 0), Listens::Both).unwrap();
    let computer = Server::new(Routes::default())
        .with_lambda(Arc::new(Typed(Echo)))
        .with_quic(Some(tls), Congestion::Cubic)
        .serve(listener, &cores);
    let folder = folder.path().to_str().unwrap();
    let options = [
        "--server-conf",
        "type=both,congestion=bbr",
        "--num-threads=1",
    ];
    let router = Process::start_with("edgerouter", &options, &[("CERT_DIR", folder)]);
    let client = LambdaClient::new(
        Core::current(),
        Arc::new(ClientOptions {
            quic: Options {
                tls: Some(files.client_config().unwrap()),
                ..Options::default()
            },
            ..ClientOptions::default()
        }),
    );
    let schemes = [Scheme::Unsaid, Scheme::Quic, Scheme::H3];
    for onwards in schemes {
        let destination = Endpoint::from(computer.local_addr()).with_scheme(onwards);
        let set = |action: &str| {
            let done = Command::cargo_bin("forwardingtableclient")
                .unwrap()
                .args(["--server", &router.tables, "--action", action])
                .args(["--lambda", "f", "--destination", destination.as_str()])
                .output()
                .unwrap();
            let stderr = String::from_utf8_lossy(&done.stderr);
            assert_eq!(done.status.code(), Some(0), "{stderr}");
        };
        set("change");
        for inwards in schemes {
            let router: Endpoint = router.lambda.parse().unwrap();
            for size in [0, 100_000] {
                let asked = LambdaRequest {
                    datain: vec![7; size].into(),
                    ..request("f")
                };
                let call = LambdaCall {
                    message: asked.encode_to_vec().into(),
                    metadata: edge_transport::Metadata::new(),
                    deadline: Instant::now() + PATIENCE,
                };
                let at = router.clone().with_scheme(inwards);
                let reply = client.call(&at, &call).await.unwrap();
                let answer = LambdaResponse::decode(reply.message).unwrap();
                assert_eq!(answer.retcode, "OK", "{inwards:?} to {onwards:?}");
                assert_eq!(answer.dataout.len(), size);
                assert_eq!(answer.responder, destination.as_str());
            }
        }
        set("remove");
    }
    assert_eq!(computer.quic().connections(), 2, "one for each protocol");
    computer.kill().await;
}

#[test]
fn quic_without_certificates_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Command::cargo_bin("edgerouter")
        .unwrap()
        .args([
            "--server-conf",
            "type=quic",
            "--server-endpoint",
            "127.0.0.1:0",
        ])
        .args([
            "--configuration-endpoint",
            "127.0.0.1:0",
            "--admin-endpoint",
            "",
        ])
        .env("CERT_DIR", folder.path())
        .output()
        .unwrap();
    assert!(!refused.status.success());
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(stderr.contains("server.crt"), "{stderr}");
}
