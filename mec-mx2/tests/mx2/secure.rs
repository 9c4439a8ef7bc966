//! Encryption: `https` of the interfaces and of notifications, with and without certificates of
//! clients; and tokens that an authorisation server has signed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use assert_cmd::cargo::cargo_bin;
use mec_mx2::ApiRoot;
use mec_mx2::client::{ClientError, Device, Identity, Options, app_list};
use mec_mx2::model::Profile;
use rcgen::{CertifiedIssuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::json;

use crate::support::{
    Answer, PATIENCE, Receiver, context, create, eventually, parse, send, serve, server,
};

/// An authority, and those whom it vouches for, in files of a folder.
struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// With a certificate for a server on the loopback.
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), issuer.pem()).unwrap();
        let authority = Self { folder, issuer };
        authority.vouch("server", "127.0.0.1");
        authority
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ca(&self) -> PathBuf {
        self.file("ca.crt")
    }

    /// Certificate and key for `subject`.
    fn vouch(&self, file: &str, subject: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new([subject.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let identity = self.identity(file);
        std::fs::write(&identity.certificate, certificate.pem()).unwrap();
        std::fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }

    fn identity(&self, file: &str) -> Identity {
        Identity {
            certificate: self.file(&format!("{file}.crt")),
            key: self.file(&format!("{file}.key")),
        }
    }

    /// What a receiver on the loopback shows; and whether it asks for the like.
    fn receiver(&self, mutual: bool) -> Arc<rustls::ServerConfig> {
        let builder = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if mutual {
            let roots = Arc::new(roots(&self.ca()));
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let (chain, key) = material(&self.identity("server"));
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn roots(path: &Path) -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}

fn material(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_file_iter(&identity.certificate).unwrap();
    (
        chain.map(Result::unwrap).collect(),
        PrivateKeyDer::from_pem_file(&identity.key).unwrap(),
    )
}

/// The program, which finds its certificates by the environment.
struct Program {
    child: Child,
    root: ApiRoot,
}

impl Program {
    fn start(authority: &Authority, tls: &str) -> Self {
        let folder = authority.folder.path();
        std::fs::write(folder.join("routes"), "* clambda0 127.0.0.1:10000\n").unwrap();
        let mut child = Command::new(cargo_bin("ueapplcmproxy"))
            .env("CERT_DIR", folder)
            .env("UEAPPLCMPROXY__TLS__API", tls)
            .arg("--file")
            .arg(folder.join("routes"))
            .args(["--etsi-api-root", "https://127.0.0.1:0"])
            .args(["--server-endpoint", "127.0.0.1:0"])
            .args(["--admin-endpoint", "", "--log-format", "json"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let listens = lines.find(|line| line.contains("Mx2 listens"));
        let line: serde_json::Value = serde_json::from_str(&listens.unwrap()).unwrap();
        let root = line["fields"]["root"].as_str().unwrap().parse().unwrap();
        // Else it would wait for somebody to read.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, root }
    }

    /// How to ask it, trusting `ca`, as `identity`.
    fn options(&self, ca: PathBuf, identity: Option<Identity>) -> Options {
        Options {
            ca_file: Some(ca),
            identity,
            ..Options::new(self.root.clone())
        }
    }

    /// Sends a request as `identity`.
    async fn send(
        &self,
        authority: &Authority,
        identity: &Identity,
        method: &str,
        path: &str,
        body: String,
    ) -> Answer {
        let (chain, key) = material(identity);
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots(&authority.ca()))
            .with_client_auth_cert(chain, key)
            .unwrap();
        let endpoint = self.root.endpoint().to_string();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {endpoint}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let exchange = move || {
            let name = ServerName::try_from("127.0.0.1").unwrap();
            let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
            let stream = TcpStream::connect(endpoint).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream);
            stream.write_all(request.as_bytes()).unwrap();
            let mut text = Vec::new();
            // Not everybody says that this is the end.
            let _ = stream.read_to_end(&mut text);
            parse(&String::from_utf8(text).unwrap())
        };
        tokio::task::spawn_blocking(exchange).await.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn is_unreachable(answer: &Result<(Profile, Vec<mec_mx2::model::AppInfo>), ClientError>) -> bool {
    matches!(answer, Err(ClientError::Unreachable { .. }))
}

#[tokio::test]
async fn https_is_for_those_who_trust_the_authority_and_nobody_needs_a_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let program = Program::start(&authority, "server");
    let (profile, apps) = app_list(&program.options(authority.ca(), None))
        .await
        .unwrap();
    assert_eq!(
        (profile, apps[0].name.as_str()),
        (Profile::Standard, "clambda0")
    );
    let distrusting = app_list(&program.options(other.ca(), None)).await;
    assert!(is_unreachable(&distrusting), "{distrusting:?}");
    let plain = ApiRoot::plain(program.root.endpoint().clone());
    let plain = app_list(&Options::new(plain)).await;
    assert!(is_unreachable(&plain), "{plain:?}");
}

#[tokio::test]
async fn with_mutual_tls_a_certificate_says_whose_a_context_is() {
    let (authority, other) = (Authority::new(), Authority::new());
    let program = Program::start(&authority, "mutual");
    let alice = authority.vouch("alice", "alice.example");
    let bob = authority.vouch("bob", "bob.example");
    let mallory = other.vouch("alice", "alice.example");
    for nobody in [None, Some(mallory)] {
        let refused = app_list(&program.options(authority.ca(), nobody)).await;
        assert!(is_unreachable(&refused), "{refused:?}");
    }
    let body = context("http://127.0.0.1:1/").to_string();
    let contexts = "/dev_app/v1/app_contexts";
    let made = program
        .send(&authority, &alice, "POST", contexts, body.clone())
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    let own = format!("{contexts}/{}", made["contextId"].as_str().unwrap());
    program
        .send(&authority, &bob, "PUT", &own, body.clone())
        .await
        .problem(404);
    program
        .send(&authority, &bob, "DELETE", &own, String::new())
        .await
        .problem(404);
    let changed = program.send(&authority, &alice, "PUT", &own, body).await;
    assert_eq!(changed.status, 204);
    let gone = program
        .send(&authority, &alice, "DELETE", &own, String::new())
        .await;
    assert_eq!(gone.status, 204);
}

#[tokio::test]
async fn a_device_with_a_certificate_follows_its_application() {
    let authority = Authority::new();
    let program = Program::start(&authority, "mutual");
    let alice = authority.vouch("alice", "alice.example");
    let here: ApiRoot = "http://127.0.0.1:0".parse().unwrap();
    let device = Device::start(program.options(authority.ca(), Some(alice)), &here).unwrap();
    let followed = device.follow("clambda0").await.unwrap();
    assert_eq!(
        followed.reference().unwrap().to_string(),
        "grpc://127.0.0.1:10000"
    );
    device.stop(&[followed]).await;
}

#[tokio::test]
async fn notifications_go_to_receivers_that_are_who_they_say() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = server(|config| config.notifications.ca_file = Some(authority.ca())).await;
    serve(&server);
    let trusted = Receiver::encrypted(authority.receiver(false));
    let distrusted = Receiver::encrypted(other.receiver(false));
    create(&server, &trusted.uri("d")).await;
    let to_other = create(&server, &distrusted.uri("d")).await;
    server.state().associate("", "clambda0", "h:1").unwrap();
    assert_eq!(trusted.wait("d", 1).await[0]["referenceURI"], "grpc://h:1");
    let given_up = || {
        let contexts = server.state().contexts();
        let context = contexts
            .iter()
            .find(|c| c.id.to_string() == to_other)
            .unwrap();
        (context.state == "unreachable").then(|| context.last_error.clone())
    };
    eventually("the other one is given up", || given_up().is_some()).await;
    let why = given_up().unwrap();
    assert!(why.contains("certificate"), "{why}");
    assert_eq!(distrusted.heard(), []);
}

#[tokio::test]
async fn receivers_that_ask_for_a_certificate_get_to_see_ours() {
    let authority = Authority::new();
    let device = Receiver::encrypted(authority.receiver(true));
    let us = authority.vouch("client", "mx2.example");
    let with = server(|config| {
        config.notifications.ca_file = Some(authority.ca());
        config.notifications.certificate = Some(us.certificate);
        config.notifications.key = Some(us.key);
    });
    let without = server(|config| config.notifications.ca_file = Some(authority.ca()));
    let (with, without) = (with.await, without.await);
    for (server, path) in [(&with, "with"), (&without, "without")] {
        serve(server);
        create(server, &device.uri(path)).await;
        server.state().associate("", "clambda0", "h:1").unwrap();
    }
    assert_eq!(
        device.wait("with", 1).await[0]["referenceURI"],
        "grpc://h:1"
    );
    let state = || without.state().contexts()[0].state;
    eventually("nobody else is taken for us", || state() == "unreachable").await;
    assert_eq!(device.heard().len(), 1);
}

#[tokio::test]
async fn tokens_that_an_authorisation_server_signed_say_whose_a_context_is() {
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    let folder = tempfile::tempdir().unwrap();
    let (jwks, tokens) = (
        folder.path().join("jwks.json"),
        folder.path().join("tokens"),
    );
    let key = KeyPair::generate().unwrap();
    let signs = EncodingKey::from_ec_der(&key.serialize_der());
    let published = Jwk::from_encoding_key(&signs, Algorithm::ES256).unwrap();
    std::fs::write(&jwks, json!({"keys": [published]}).to_string()).unwrap();
    std::fs::write(&tokens, "carol three\n").unwrap();
    let server = server(|config| {
        config.auth.jwks_file = Some(jwks);
        config.auth.issuer = Some("https://issuer".to_owned());
        config.auth.audience = Some("mx2".to_owned());
        config.auth.tokens_file = Some(tokens);
    });
    let server = server.await;
    serve(&server);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.unwrap().as_secs();
    let token = |subject: &str, issuer: &str, until: u64| {
        let claims = json!({"sub": subject, "iss": issuer, "aud": "mx2", "exp": until});
        let token = encode(&Header::new(Algorithm::ES256), &claims, &signs).unwrap();
        format!("Bearer {token}")
    };
    let alice = token("alice", "https://issuer", now + 3600);
    let bob = token("bob", "https://issuer", now + 3600);
    let contexts = "/dev_app/v1/app_contexts";
    let body = || context("http://127.0.0.1:1/").to_string();
    let post = async |authorization: &str| {
        let headers = [("Authorization", authorization)];
        send(&server, "POST", contexts, &headers, body()).await
    };
    for bad in [
        "Bearer x".to_owned(),
        token("alice", "https://other", now + 3600),
        token("alice", "https://issuer", now - 3600),
        alice.replace('.', "x"),
    ] {
        let refused = post(&bad).await;
        refused.problem(401);
        assert!(refused.headers["www-authenticate"].starts_with("Bearer"));
    }
    // Those of the file are good as well.
    assert_eq!(post("Bearer three").await.status, 201);
    let made = post(&alice).await;
    assert_eq!(made.status, 201);
    let own = format!("{contexts}/{}", made.json()["contextId"].as_str().unwrap());
    let delete = async |authorization: &str| {
        let headers = [("Authorization", authorization)];
        send(&server, "DELETE", &own, &headers, "").await
    };
    delete(&bob).await.problem(404);
    assert_eq!(delete(&alice).await.status, 204);
}
