//! HTTP/2, encrypted or not, and certificates of both sides.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::Stack;

/// Certificates in a folder.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.crt"), certificate.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        for role in ["server", "client"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            let file = |kind| folder.path().join(format!("{role}.{kind}"));
            std::fs::write(file("crt"), certificate.pem()).unwrap();
            std::fs::write(file("key"), key.serialize_pem()).unwrap();
        }
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn stack(&self, mutual: bool) -> Stack {
        Stack::with(|config| {
            config.server.api_root = "https://127.0.0.1:0".parse().unwrap();
            config.tls.certificate = Some(self.file("server.crt"));
            config.tls.key = Some(self.file("server.key"));
            config.tls.client_ca = mutual.then(|| self.file("ca.crt"));
        })
        .await
    }

    fn client(&self, with_certificate: bool, alpn: &[u8]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for certificate in read(&self.file("ca.crt")) {
            roots.add(certificate).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = if with_certificate {
            let key = PrivateKeyDer::from_pem_file(self.file("client.key")).unwrap();
            let chain = read(&self.file("client.crt"));
            builder.with_client_auth_cert(chain, key).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        config
    }
}

fn read(path: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn invocation(address: SocketAddr) -> Request<Full<Bytes>> {
    let path = "/api/v1/namespaces/_/actions/echo?blocking=true&result=true";
    Request::post(format!("https://{address}{path}"))
        .header("host", "proxy")
        .body(Full::new(Bytes::from_static(br#"{"a":1}"#)))
        .unwrap()
}

/// What a client gets to see that uses `config`.
async fn call(address: SocketAddr, config: ClientConfig) -> Result<String, String> {
    let is_http2 = config.alpn_protocols == [b"h2"];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::IpAddress(address.ip().into());
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|e| e.to_string())?;
    let io = TokioIo::new(stream);
    let response = if is_http2 {
        let shaken = http2::handshake(TokioExecutor::new(), io).await;
        let (mut requests, connection) = shaken.map_err(|e| e.to_string())?;
        tokio::spawn(async move { drop(connection.await) });
        requests.send_request(invocation(address)).await
    } else {
        let (mut requests, connection) = http1::handshake(io).await.map_err(|e| e.to_string())?;
        tokio::spawn(async move { drop(connection.await) });
        requests.send_request(invocation(address)).await
    };
    let body = response.map_err(|e| e.to_string())?.into_body();
    let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_over_tls() {
    let authority = Authority::new();
    let stack = authority.stack(false).await;
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let answer = call(stack.proxy.address(), authority.client(false, alpn)).await;
        assert_eq!(answer.as_deref(), Ok(r#"{"a":1}"#));
    }
    let stranger = Authority::new();
    let refused = call(stack.proxy.address(), stranger.client(false, b"h2")).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn with_a_client_ca_only_clients_with_a_certificate_of_it_are_served() {
    let authority = Authority::new();
    let stack = authority.stack(true).await;
    let answer = call(stack.proxy.address(), authority.client(true, b"h2")).await;
    assert_eq!(answer.as_deref(), Ok(r#"{"a":1}"#));
    let refused = call(stack.proxy.address(), authority.client(false, b"http/1.1")).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn an_answer_to_head_is_that_to_get_without_its_body() {
    let stack = Stack::start().await;
    let address = stack.proxy.address();
    let connect = async || TokioIo::new(TcpStream::connect(address).await.unwrap());
    let shaken = http2::handshake(TokioExecutor::new(), connect().await).await;
    let (mut over_http2, connection) = shaken.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let (mut over_http1, connection) = http1::handshake(connect().await).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    for (path, status) in [("api/v1", 200), ("ping", 200), ("nowhere", 404)] {
        let mut lengths = Vec::new();
        for method in ["GET", "HEAD"] {
            for is_http2 in [false, true] {
                let host = if is_http2 { "http://proxy" } else { "" };
                let request = Request::builder().method(method).header("host", "proxy");
                let request = request.header("x-request-id", "same");
                let request = request.uri(format!("{host}/{path}"));
                let request = request.body(Full::new(Bytes::new())).unwrap();
                let answer = if is_http2 {
                    over_http2.send_request(request).await.unwrap()
                } else {
                    over_http1.send_request(request).await.unwrap()
                };
                assert_eq!(answer.status(), status, "{method} {path}");
                lengths.push(answer.headers()["content-length"].clone());
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(body.is_empty(), method == "HEAD", "{method} {path}");
            }
        }
        assert!(
            lengths.iter().all(|length| *length == lengths[0]),
            "{lengths:?}"
        );
    }
}

#[tokio::test]
async fn http2_without_tls_works_for_those_who_know() {
    let stack = Stack::start().await;
    let stream = TcpStream::connect(stack.proxy.address()).await.unwrap();
    let io = TokioIo::new(stream);
    let (requests, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let mut requests = requests.clone();
        let request = invocation(stack.proxy.address());
        calls.spawn(async move { requests.send_request(request).await.unwrap().status() });
    }
    while let Some(status) = calls.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(stack.platform.executed("echo"), 100);
}
