//! Mutual TLS, as `--secure` sets it up.

use std::path::Path;
use std::process::{Command, Output};

use edge_transport::tls::TlsFiles;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::support::Computer;

/// Writes a CA and the certificates of both roles into `folder`.
fn certificates(folder: &Path) -> TlsFiles {
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write("ca.crt", ca.self_signed(&ca_key).unwrap().pem());
    let issuer = Issuer::new(ca, ca_key);
    for (role, name) in [("server", "127.0.0.1"), ("client", "client")] {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &issuer).unwrap();
        write(&format!("{role}.crt"), certificate.pem());
        write(&format!("{role}.key"), key.serialize_pem());
    }
    TlsFiles::from_variables(|name| (name == "CERT_DIR").then(|| folder.to_owned())).unwrap()
}

fn run(computer: &Computer, folder: &Path, secure: bool) -> Output {
    let endpoint = computer.endpoint().to_string();
    Command::new(env!("CARGO_BIN_EXE_edgeclient"))
        .args(["--server", &endpoint, "--max-requests", "1"])
        .args(secure.then_some("--secure"))
        .env("CERT_DIR", folder)
        .output()
        .unwrap()
}

#[test]
fn a_secure_client_talks_to_a_secure_server_only() {
    let folder = tempfile::tempdir().unwrap();
    let secure = Computer::secure(&certificates(folder.path()));
    let plain = Computer::start(|request| async move { crate::support::echo(&request) });
    for (computer, flag, code) in [
        (&secure, true, 0),
        (&secure, false, 1),
        (&plain, true, 1),
        (&plain, false, 0),
    ] {
        let output = run(computer, folder.path(), flag);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

#[test]
fn certificates_that_are_missing_are_an_error_of_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let computer = Computer::secure(&certificates(folder.path()));
    std::fs::remove_file(folder.path().join("client.key")).unwrap();
    for (place, message) in [
        (folder.path(), "cannot read the client key from"),
        (Path::new("/nowhere"), "Invalid CERT_DIR: /nowhere"),
    ] {
        let output = run(&computer, place, true);
        assert_eq!(output.status.code(), Some(2));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(message), "{errors}");
    }
}
