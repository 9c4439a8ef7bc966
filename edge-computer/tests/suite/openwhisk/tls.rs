//! Certificates are verified, and credentials are not shown.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use edge_computer::executor::Executor as _;
use edge_computer::whisk::{User, WhiskHandle};
use rcgen::{CertifiedIssuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;

use super::support::{Api, ECHO, ask, computer, eventually, fronting, platform, serves};

/// A platform with a certificate of its own authority, whose certificate is written to `ca`.
async fn encrypted(ca: &Path) -> WhiskHandle {
    let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(ca, authority.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    platform(|config| config.tls = Some(Arc::new(tls))).await
}

#[tokio::test]
async fn the_right_authority_is_trusted_a_wrong_one_refused_and_insecure_takes_anything() {
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (
        folder.path().join("right.pem"),
        folder.path().join("wrong.pem"),
    );
    let platform = encrypted(&right).await;
    Api::of(&platform).put("f", ECHO).await;
    drop(encrypted(&wrong).await);
    let ca = |path: &Path| format!("ca-file = '{}'", path.display());
    for trusting in [ca(&right), "insecure = true".to_owned()] {
        let computer = computer(&fronting(&platform, &trusting)).await;
        serves(&computer, "f").await;
        assert!(ask(&computer, "f", "").await.is_ok());
    }
    for distrusting in [ca(&wrong), String::new()] {
        let computer = computer(&fronting(&platform, &distrusting)).await;
        let backend = || computer.executor().snapshot().backends.remove(0);
        eventually("it has been tried", || backend().failures > 0).await;
        let fault = backend().last_fault;
        assert!(fault.contains("certificate"), "{fault}");
        assert!(computer.executor().containers().is_empty());
    }
    platform.stop().await;
}

#[tokio::test]
async fn credentials_are_never_in_the_log_nor_in_what_is_printed() {
    let platform = platform(|_| {}).await;
    Api::of(&platform).put("f", ECHO).await;
    let program = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgecomputerwsk"));
        command.env_clear().stdin(Stdio::null()).args([
            "--wsk-api-root",
            platform.url(),
            "--wsk-auth",
            &User::guest().auth(),
            "--server-endpoint=127.0.0.1:0",
            "--utilization-endpoint=",
            "--admin-endpoint=",
            "--log=trace",
        ]);
        command
    };
    let printed = program().arg("--print-config").output().unwrap();
    let config = String::from_utf8(printed.stdout).unwrap();
    assert!(config.contains("auth = \"(hidden)\""), "{config}");
    let user = User::guest();
    let mut child = program().stderr(Stdio::piped()).spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let read = tokio::task::spawn_blocking(move || {
        let mut lines = Vec::new();
        for line in stderr.lines().map_while(Result::ok) {
            let found = line.contains("the actions have changed");
            lines.push(line);
            if found {
                break;
            }
        }
        lines
    });
    let lines = tokio::time::timeout(super::support::PATIENCE, read)
        .await
        .unwrap()
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(lines.len() > 3, "{lines:?}");
    let encoded = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(user.auth())
    };
    for secret in [&user.key, &encoded, &encoded[..40].to_owned()] {
        assert!(!config.contains(secret.as_str()));
        assert!(!lines.iter().any(|line| line.contains(secret.as_str())));
    }
    platform.stop().await;
}
