//! A router process in front of a computer, each over QUIC or TCP, and what it is told.
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::certificates::certificates;
use crate::support::process::Process;
use crate::support::{PATIENCE, eventually, request};
use assert_cmd::cargo::CommandCargoExt as _;
use edge_proto::rpc::{LambdaRequest, LambdaResponse};
use edge_transport::quic::{ALPN_NATIVE, Congestion, Options};
use edge_transport::tls::TlsFiles;
use edge_transport::{
    ClientOptions, Core, Cores, Endpoint, LambdaCall, LambdaClient, LambdaHandler, Listener,
    Listens, Scheme, Server, ServerHandle, Typed, TypedReply,
};
use prost::Message as _;
use tempfile::TempDir;
use tonic::service::Routes;

/// Answers with what it is given; `never` never.
#[derive(Default)]
struct Echo(Arc<AtomicUsize>);

struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl LambdaHandler for Echo {
    async fn handle(
        &self,
        _: &Core,
        request: LambdaRequest,
        _: Instant,
    ) -> Result<TypedReply, String> {
        if request.name == "never" && !request.dry {
            self.0.fetch_add(1, Ordering::SeqCst);
            let _waiting = Waiting(self.0.clone());
            std::future::pending::<()>().await;
        }
        Ok(LambdaResponse {
            retcode: "OK".to_owned(),
            output: request.input,
            dataout: request.datain,
            ..LambdaResponse::default()
        }
        .into())
    }
}

/// A router process in front of a computer, both over TCP and QUIC.
struct Site {
    files: TlsFiles,
    computer: ServerHandle,
    /// Calls of `never` that have not been cancelled.
    waiting: Arc<AtomicUsize>,
    router: Process,
    _folder: TempDir,
    _cores: Arc<Cores>,
}

impl Site {
    fn new(program: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = certificates(folder.path(), &["127.0.0.1"]);
        let tls = files.server_config().unwrap();
        let cores = Arc::new(Cores::start("computer", NonZeroUsize::MIN).unwrap());
        let listener = Listener::bind_for(&Endpoint::new("127.0.0.1", 0), Listens::Both).unwrap();
        let echo = Echo::default();
        let waiting = echo.0.clone();
        let computer = Server::new(Routes::default())
            .with_lambda(Arc::new(Typed(echo)))
            .with_quic(Some(tls), Congestion::Cubic)
            .serve(listener, &cores);
        let options = [
            "--server-conf",
            "type=both,congestion=bbr",
            "--num-threads=1",
        ];
        let variables = [("CERT_DIR", folder.path().to_str().unwrap())];
        Self {
            router: Process::start_with(program, &options, &variables),
            files,
            computer,
            waiting,
            _folder: folder,
            _cores: cores,
        }
    }

    fn client(&self, attempt_early_data: bool) -> LambdaClient {
        let options = ClientOptions {
            quic: Options {
                tls: Some(self.files.client_config().unwrap()),
                attempt_early_data,
                ..Options::default()
            },
            ..ClientOptions::default()
        };
        LambdaClient::new(Core::current(), Arc::new(options))
    }

    /// Where requests are taken.
    fn at(&self, scheme: Scheme) -> Endpoint {
        let router: Endpoint = self.router.lambda.parse().unwrap();
        router.with_scheme(scheme)
    }

    fn destination(&self, scheme: Scheme) -> Endpoint {
        Endpoint::from(self.computer.local_addr()).with_scheme(scheme)
    }

    /// Changes where `lambda` is executed.
    fn set(&self, action: &str, lambda: &str, destination: &Endpoint) {
        let done = Command::cargo_bin("forwardingtableclient")
            .unwrap()
            .args(["--server", &self.router.tables, "--action", action])
            .args(["--lambda", lambda, "--destination", destination.as_str()])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(0), "{stderr}");
    }

    /// Waits until all of these are among the router's metrics.
    async fn counts(&self, lines: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let metrics = self.router.admin_answer("/metrics");
            let has = |line: &&str| metrics.lines().any(|there| there == *line);
            if lines.iter().all(has) {
                return;
            }
            assert!(Instant::now() < deadline, "{lines:?} in {metrics}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn call(request: &LambdaRequest) -> LambdaCall {
    LambdaCall {
        message: request.encode_to_vec().into(),
        metadata: edge_transport::Metadata::new(),
        deadline: Instant::now() + PATIENCE,
    }
}

#[tokio::test]
async fn a_router_takes_requests_by_one_way_and_passes_them_on_by_another() {
    let site = Site::new("edgerouter");
    let client = site.client(false);
    let schemes = [Scheme::Unsaid, Scheme::Quic, Scheme::H3];
    for onwards in schemes {
        let destination = site.destination(onwards);
        site.set("change", "f", &destination);
        for inwards in schemes {
            for size in [0, 100_000] {
                let asked = LambdaRequest {
                    datain: vec![7; size].into(),
                    ..request("f")
                };
                let reply = client.call(&site.at(inwards), &call(&asked)).await.unwrap();
                let answer = LambdaResponse::decode(reply.message).unwrap();
                assert_eq!(answer.retcode, "OK", "{inwards:?} to {onwards:?}");
                assert_eq!(answer.dataout.len(), size);
                assert_eq!(answer.responder, destination.as_str());
            }
        }
        site.set("remove", "f", &destination);
    }
    assert_eq!(
        site.computer.quic().connections(),
        2,
        "one for each protocol"
    );
    site.counts(&[
        "edge_quic_server_connections_total 2",
        "edge_quic_client_connections_total 2",
    ])
    .await;
    site.computer.kill().await;
}

#[tokio::test]
async fn who_cancels_at_the_router_cancels_at_the_computer_however_requests_travel() {
    let site = Site::new("edgerouter");
    let client = Arc::new(site.client(false));
    let schemes = [Scheme::Unsaid, Scheme::Quic, Scheme::H3];
    for onwards in schemes {
        let destination = site.destination(onwards);
        site.set("change", "never", &destination);
        for inwards in schemes {
            let (asking, at) = (client.clone(), site.at(inwards));
            let mut never = call(&request("never"));
            // Long after the test has ended.
            never.deadline = Instant::now() + Duration::from_secs(600);
            let asked = tokio::spawn(async move { asking.call(&at, &never).await });
            let waiting = |count| {
                let waiting = site.waiting.clone();
                eventually("so many are worked on", move || {
                    waiting.load(Ordering::SeqCst) == count
                })
            };
            waiting(1).await;
            asked.abort();
            waiting(0).await;
        }
        site.set("remove", "never", &destination);
    }
}

#[tokio::test]
async fn early_requests_are_among_the_metrics_those_that_must_wait_too() {
    for program in ["edgerouter", "edgedispatcher"] {
        let site = Site::new(program);
        site.set("change", "f", &site.destination(Scheme::Unsaid));
        let client = site.client(true);
        let may_be_repeated = LambdaRequest {
            idempotent: true,
            ..request("f")
        };
        for early in 0..3 {
            let asked = call(&may_be_repeated);
            client.call(&site.at(Scheme::Quic), &asked).await.unwrap();
            site.counts(&[
                &format!("edge_quic_server_connections_total {}", early + 1),
                &format!("edge_quic_server_early_requests_total {early}"),
                &format!("edge_quic_server_early_accepted_total {early}"),
            ])
            .await;
            client.hang_up();
        }
        // A client that breaks the rule: it says of what may not be repeated that it may be, and
        // sends it early.
        let bytes = [&[1, 1, 0, 0][..], &request("f").encode_to_vec()].concat();
        let mut tls = (*site.files.client_config().unwrap()).clone();
        tls.alpn_protocols = vec![ALPN_NATIVE.to_vec()];
        tls.enable_early_data = true;
        let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(tls));
        let socket = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let to = site.router.lambda.parse().unwrap();
        let connecting = || {
            socket
                .connect_with(config.clone(), to, "127.0.0.1")
                .unwrap()
        };
        let first = connecting().await.unwrap();
        assert_eq!(said(&first, &bytes).await, Some(0));
        first.close(0_u32.into(), b"");
        let (second, accepted) = connecting().into_0rtt().expect("there is a ticket");
        assert_eq!(said(&second, &bytes).await, Some(0));
        assert!(accepted.await);
        site.counts(&[
            "edge_quic_server_early_requests_total 3",
            "edge_quic_server_early_accepted_total 2",
            "edge_quic_server_early_postponed_total 1",
            "edge_quic_server_tickets_refused_total 0",
        ])
        .await;
    }
}

/// The status that a server answers with.
async fn said(connection: &quinn::Connection, bytes: &[u8]) -> Option<u8> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    send.finish().unwrap();
    let said = tokio::time::timeout(PATIENCE, receive.read_to_end(10_000)).await;
    said.unwrap().unwrap().first().copied()
}

#[test]
fn quic_without_certificates_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for program in ["edgerouter", "edgedispatcher"] {
        let refused = Command::cargo_bin(program)
            .unwrap()
            .args([
                "--server-conf=type=quic",
                "--server-endpoint=127.0.0.1:0",
                "--configuration-endpoint=127.0.0.1:0",
                "--admin-endpoint=",
            ])
            .env("CERT_DIR", folder.path())
            .output()
            .unwrap();
        assert!(!refused.status.success());
        let stderr = String::from_utf8_lossy(&refused.stderr);
        for part in ["QUIC is always encrypted", "CERT_DIR", "server.crt"] {
            assert!(stderr.contains(part), "{program}: {stderr}");
        }
    }
}

#[test]
fn a_scheme_where_none_belongs_is_refused_with_what_to_write_instead() {
    for program in ["edgerouter", "edgedispatcher"] {
        for endpoint in ["quic://127.0.0.1:1234", "h3://127.0.0.1:1234"] {
            for (option, also) in [
                ("--server-endpoint", "--server-conf type=quic"),
                ("--controller-endpoint", "controller.endpoint"),
            ] {
                let refused = Command::cargo_bin(program)
                    .unwrap()
                    .args([option, endpoint])
                    .output()
                    .unwrap();
                assert_eq!(refused.status.code(), Some(2));
                let stderr = String::from_utf8_lossy(&refused.stderr);
                for part in [endpoint, "write 127.0.0.1:1234", also] {
                    assert!(stderr.contains(part), "{program}: {stderr}");
                }
            }
        }
    }
}
