//! Which cipher suites our servers and clients agree upon.

use std::sync::Arc;

use super::support::certificates;
use edge_transport::tls::{ClientConfig, ServerConfig};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CipherSuite, ClientConnection, RootCertStore, ServerConnection};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A handshake without sockets.
fn agreed(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> CipherSuite {
    let mut client = ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut said = Vec::new();
        client.write_tls(&mut said).unwrap();
        let mut rest = &said[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        let mut answered = Vec::new();
        server.write_tls(&mut answered).unwrap();
        let mut rest = &answered[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
        assert!(!(said.is_empty() && answered.is_empty()), "nobody goes on");
    }
    client.negotiated_cipher_suite().unwrap().suite()
}

#[test]
fn ours_agree_upon_aes_128_and_others_get_what_they_prefer() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificates(folder.path(), &["localhost"]);
    let server = files.server_config().unwrap();
    let ours = files.client_config().unwrap();
    assert_eq!(
        agreed(ours, server.clone()),
        CipherSuite::TLS13_AES_128_GCM_SHA256
    );
    let all = aws_lc_rs::default_provider().cipher_suites;
    assert_eq!(server.crypto_provider().cipher_suites.len(), all.len());
    for suite in all.into_iter().filter(|suite| suite.tls13().is_some()) {
        let provider = CryptoProvider {
            cipher_suites: vec![suite],
            ..aws_lc_rs::default_provider()
        };
        let pem = |name: &str| folder.path().join(name);
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(pem("ca.crt")).unwrap();
        roots.add(authority).unwrap();
        let chain = vec![CertificateDer::from_pem_file(pem("client.crt")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(pem("client.key")).unwrap();
        let other = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        assert_eq!(agreed(Arc::new(other), server.clone()), suite.suite());
    }
}
