//! A router with all its ports encrypted, and who gets in.

use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Instant;

use crate::support::certificates::certificates;
use crate::support::process::Process;
use crate::support::{PATIENCE, request};
use assert_cmd::cargo::CommandCargoExt as _;
use edge_proto::rpc::LambdaResponse;
use edge_transport::{CallError, ClientOptions, Core, LambdaCall, LambdaClient};
use prost::Message as _;

async fn ask(router: &Process, options: ClientOptions) -> Result<LambdaResponse, CallError> {
    let client = LambdaClient::new(Core::current(), Arc::new(options));
    let call = LambdaCall {
        message: request("f").encode_to_vec().into(),
        metadata: edge_transport::Metadata::new(),
        deadline: Instant::now() + PATIENCE,
    };
    let reply = client.call(&router.lambda.parse().unwrap(), &call).await?;
    Ok(LambdaResponse::decode(reply.message).unwrap())
}

fn flush(router: &Process, folder: &str, more: &[&str]) -> Output {
    Command::cargo_bin("forwardingtableclient")
        .unwrap()
        .args(["--server", &router.tables, "--action", "flush"])
        .args(more)
        .env("CERT_DIR", folder)
        .output()
        .unwrap()
}

#[tokio::test]
async fn what_is_secured_is_closed_to_plain_clients_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificates(folder.path(), &["127.0.0.1"]);
    let folder = folder.path().to_str().unwrap();
    let secured = ["--secure", "--secure-control"];
    let router = Process::start_with("edgerouter", &secured, &[("CERT_DIR", folder)]);
    let encrypted = || ClientOptions {
        tls: Some(files.client_config().unwrap()),
        connect_timeout: PATIENCE,
        ..ClientOptions::default()
    };

    let error = ask(&router, ClientOptions::default()).await.unwrap_err();
    assert!(error.never_left(), "{error}");
    assert!(
        error.to_string().contains("maybe it expects TLS"),
        "{error}"
    );
    let answer = ask(&router, encrypted()).await.unwrap();
    assert_eq!(answer.retcode, "No destinations found for the entry");

    let plain = flush(&router, folder, &[]);
    assert_eq!(plain.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&plain.stderr);
    assert!(stderr.contains(&router.tables), "{stderr}");
    // On a slow machine a handshake may take longer than the program waits for one.
    let give_up = Instant::now() + PATIENCE;
    loop {
        let flushed = flush(&router, folder, &["--secure"]);
        if flushed.status.success() {
            break;
        }
        let stderr = String::from_utf8_lossy(&flushed.stderr);
        let is_late = stderr.contains("deadline has elapsed");
        assert!(is_late && Instant::now() < give_up, "{stderr}");
    }

    let open = Process::start(&[]);
    let error = ask(&open, encrypted()).await.unwrap_err();
    assert!(
        error.to_string().contains("TLS handshake failed"),
        "{error}"
    );
    let mixed = flush(&open, folder, &["--secure"]);
    assert_eq!(mixed.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&mixed.stderr);
    assert!(stderr.contains("TLS handshake failed"), "{stderr}");
}
