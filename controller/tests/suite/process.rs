//! The program itself: flags, exit codes, signals.
#![allow(
    clippy::disallowed_methods,
    reason = "what a test waits for comes, or the test has failed"
)]

use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::Arc;

use super::support::{
    Announcer, Program, Router, certificates, computer, eventually, leased, program,
};
use edge_transport::Cores;
use prost::Message as _;

/// Exit code, standard output and standard error of a run that ends by itself.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = program(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn both_signals_end_it_gracefully() {
    for signal in ["-TERM", "-INT"] {
        let mut running = Program::start(&[], &[]);
        let pid = running.child.id().to_string();
        let mut kill = Command::new("kill");
        assert!(kill.args([signal, &pid]).status().unwrap().success());
        let mut said = running.lines.by_ref().map(Result::unwrap);
        assert!(said.any(|line| line.contains("draining")));
        said.for_each(drop);
        assert_eq!(running.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn an_announcement_under_way_at_a_signal_is_taken_and_nobody_else_is_let_in() {
    use tonic_health::pb::health_check_response::ServingStatus;
    for signal in ["-TERM", "-INT"] {
        let mut running = Program::start(&[], &[]);
        let stream = tokio::net::TcpStream::connect(running.address).await;
        let (requests, mut connection) = h2::client::handshake(stream.unwrap()).await.unwrap();
        let mut pings = connection.ping_pong().unwrap();
        tokio::spawn(connection);
        let method = "http://controller/uiiit.rpc.EdgeController/AnnounceComputer";
        let head = http::Request::post(method)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let mut requests = requests.ready().await.unwrap();
        let (answer, mut body) = requests.send_request(head, false).unwrap();
        // Answered once the head has been read.
        pings.ping(h2::Ping::opaque()).await.unwrap();
        let mut watched = Vec::new();
        for service in ["", "uiiit.rpc.EdgeController"] {
            let mut stream = watch(running.address, service).await;
            let now = stream.message().await.unwrap().unwrap().status();
            assert_eq!(now, ServingStatus::Serving);
            watched.push(stream);
        }

        let pid = running.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.unwrap().success());
        for mut stream in watched {
            let now = stream.message().await.unwrap().unwrap().status();
            assert_eq!(now, ServingStatus::NotServing);
        }
        let closed = || std::net::TcpStream::connect(running.address).is_err();
        eventually("new connections are refused", closed).await;

        let message = leased("127.0.0.1:10", &["l0"], 60_000).encode_to_vec();
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend(message);
        body.send_data(frame.into(), true).unwrap();
        let mut answer = answer.await.unwrap().into_body();
        while let Some(data) = answer.data().await {
            data.unwrap();
        }
        let trailers = answer.trailers().await.unwrap().unwrap();
        assert_eq!(trailers["grpc-status"], "0", "{signal}");
        let said: Vec<_> = running.lines.by_ref().map(Result::unwrap).collect();
        assert!(said.iter().any(|line| line.contains("computer added")));
        assert_eq!(running.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn refused_announcements_do_not_fill_the_log_and_put_nothing_into_it() {
    const COUNT: usize = 50;
    let mut running = Program::start(&[], &[]);
    let announcer = Announcer::to(running.address);
    for _ in 0..COUNT {
        let forged = computer("a\n2000-01-01 ERROR forged", &["l0"]);
        announcer.computer(forged).await.unwrap_err();
    }
    let pid = running.child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.unwrap().success());
    let said: Vec<_> = running.lines.by_ref().map(Result::unwrap).collect();
    let refused = said.iter().filter(|line| line.contains("refused"));
    assert!((1..COUNT).contains(&refused.count()), "{said:?}");
    assert!(!said.iter().any(|line| line.starts_with("2000")));
}

/// What the controller at `address` says of the health of `service`, from now on.
async fn watch(
    address: std::net::SocketAddr,
    service: &str,
) -> tonic::Streaming<tonic_health::pb::HealthCheckResponse> {
    let channel = edge_transport::control::streaming_channel(&address.into(), None);
    let service = service.to_owned();
    let request = tonic_health::pb::HealthCheckRequest { service };
    let watching = tonic_health::pb::health_client::HealthClient::new(channel)
        .watch(request)
        .await;
    watching.unwrap().into_inner()
}

#[tokio::test]
async fn a_secure_control_plane_is_encrypted_in_both_directions_and_closed_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let tls = certificates(folder.path(), &["127.0.0.1"]);
    let folder = folder.path().to_str().unwrap();
    let running = Program::start(&["--secure-control"], &[("CERT_DIR", folder)]);
    let cores = Arc::new(Cores::start("router", NonZeroUsize::MIN).unwrap());
    let router = Router::encrypted(&tls, &cores);
    let info = leased("127.0.0.1:10", &["l0"], 60_000);
    let plain = Announcer::to(running.address);
    assert!(plain.computer(info.clone()).await.is_err());

    let announcer = Announcer::encrypted(running.address, &tls);
    announcer.router(router.leased(60_000)).await.unwrap();
    announcer.computer(info).await.unwrap();
    router.shows(&["l0,127.0.0.1:10"]).await;
    cores.join().await;
}

#[test]
fn a_port_in_use_ends_it_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, stderr) = run(&["--server-endpoint", &address, "--admin-endpoint", ""]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains(&format!("could not bind to {address}")),
        "{stderr}"
    );
}

#[test]
fn what_this_version_has_not_is_refused_as_such() {
    let (code, _, stderr) = run(&["--installer", "hier"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("not available in this version"), "{stderr}");
    assert!(stderr.contains("controller.installer"), "{stderr}");
}

#[test]
fn a_proxy_by_file_needs_a_file() {
    let (code, _, stderr) = run(&["--type", "etsi-file"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("etsi.file"), "{stderr}");
}

#[test]
fn files_of_a_proxy_that_cannot_be_read_are_errors_of_configuration() {
    let output = program(&["--type", "etsi-balanced", "--admin-endpoint", ""])
        .args(["--server-endpoint", "127.0.0.1:0"])
        .args(["--etsi-api-root", "http://127.0.0.1:0"])
        .env("EDGECONTROLLER__ETSI__TOKENS_FILE", "/does/not/exist")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("/does/not/exist"), "{stderr}");
}

#[test]
fn usage_errors_exit_with_2_and_help_with_0() {
    assert_eq!(run(&["--server-endpoint", "nowhere"]).0, Some(2));
    assert_eq!(run(&["--no-such-option"]).0, Some(2));
    assert_eq!(run(&["--type", "other"]).0, Some(2));
    let (code, stdout, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("--secure-control"), "{stdout}");
}

#[test]
fn the_example_is_a_valid_configuration_and_flags_override_it() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/controller.toml");
    let (code, stdout, stderr) = run(&["--conf", example, "--check-config"]);
    assert_eq!(
        (code, stdout.as_str()),
        (Some(0), "configuration OK\n"),
        "{stderr}"
    );
    let (code, stdout, _) = run(&[
        "--conf",
        example,
        "--server-endpoint",
        "127.0.0.1:7",
        "--secure-control",
        "--print-config",
    ]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("endpoint = \"127.0.0.1:7\""), "{stdout}");
    assert!(stdout.contains("control = true"), "{stdout}");
}

#[test]
fn missing_and_unusable_certificates_are_named_and_are_errors_of_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = program(&["--secure-control", "--server-endpoint", "127.0.0.1:0"])
            .args(arguments)
            .env("CERT_DIR", folder.path())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    for arguments in [&[][..], &["--check-config"]] {
        let (code, said) = run(arguments);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("server certificate"), "{said}");
        assert!(said.contains("--secure-control"), "{said}");
    }
    assert_eq!(run(&["--print-config"]).0, Some(0));
    certificates(folder.path(), &["127.0.0.1"]);
    let ok = (Some(0), "configuration OK\n".to_owned());
    assert_eq!(run(&["--check-config"]), ok);
    std::fs::write(folder.path().join("client.key"), "nonsense").unwrap();
    let (code, said) = run(&["--check-config"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("client.key"), "{said}");
}
